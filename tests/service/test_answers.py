"""A service answers pictures, forms and arrays as `saved.predict` does, for every kind of network, and says what it is.

The policy, the scripts and the keys of its page are in test_page.
"""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from xpcnn import nn

from .asking import ask
from .conftest import CLASSES, SHAPE, network, png, saved_network


def told(answers):
    """Answers of `saved.predict` as the service writes them."""
    return [
        [{"class": label, "probability": pytest.approx(p, abs=1e-6)} for label, p in each.scores] for each in answers
    ]


def form(*files):
    """A body and its content type."""
    parts = b"".join(
        b'--cut\r\nContent-Disposition: form-data; name="p"; filename="' + name.encode() + b'"\r\n\r\n' + data + b"\r\n"
        for name, data in files
    )
    return parts + b"--cut--\r\n", "multipart/form-data; boundary=cut"


def test_pictures_forms_and_arrays_get_the_answers_of_predict(service, saved, pixels):
    larger = np.random.default_rng(1).integers(0, 256, (31, 20, 3), np.uint8)
    for kind in ("image/png", "application/octet-stream"):
        response = ask(service, "POST", "/predict", png(larger), content_type=kind)
        assert response.status == 200
        (answer,) = response.json["answers"]
        assert answer == {"name": "picture", "predictions": told(saved.predict(png(larger)))[0]}
    body, kind = form(("a.png", png(pixels[0])), ("../b.jpg", png(larger)))
    answers = ask(service, "POST", "/predict?top_k=2", body, content_type=kind).json["answers"]
    assert [each["name"] for each in answers] == ["a.png", "../b.jpg"]
    expected = told([*saved.predict(pixels[0], top_k=2), *saved.predict(png(larger), top_k=2)])
    assert [each["predictions"] for each in answers] == expected
    for array in (pixels, pixels[0], pixels / 255):
        for document in (array.tolist(), {"images": array.tolist()}):
            response = ask(service, "POST", "/predict", json.dumps(document).encode(), content_type="application/json")
            assert [each["predictions"] for each in response.json["answers"]] == told(saved.predict(array))


def test_options_are_those_of_predict(make, saved, pixels):
    service = make(saved, scale=510, invert=True)
    answers = ask(service, "POST", "/predict", json.dumps(pixels.tolist()).encode(), content_type="application/json")
    expected = told(saved.predict(pixels, scale=510, invert=True))
    assert [each["predictions"] for each in answers.json["answers"]] == expected


def test_several_labels(make, tmp_path, pixels):
    labels = {"extra": {"regression": True, "labels": True}}
    loaded = saved_network(tmp_path / "m.safetensors", network(), **labels)
    body = json.dumps(pixels.tolist()).encode()
    answers = ask(make(loaded), "POST", "/predict", body, content_type="application/json").json["answers"]
    assert [each["predictions"] for each in answers] == told(loaded.predict(pixels))
    found = [each["probability"] for each in answers[0]["predictions"]]
    assert found == sorted(found, reverse=True)
    assert sum(found) > 1.01  # each is a question of its own


def test_a_network_of_rows(make, tmp_path, pixels):
    options = {"input_shape": (4,), "classes": (), "extra": {"regression": True, "unit": False, "scale": 1}}
    service = make(saved_network(tmp_path / "m.safetensors", nn.Linear(4, 2, rng=0), **options))
    rows = [[1.5, -2.0, 0.25, 3.0], [0.0, 0.0, 0.0, 0.0]]
    (one, two) = ask(service, "POST", "/predict", json.dumps(rows).encode(), content_type="application/json").json[
        "answers"
    ]
    expected = np.float32(rows) @ service.saved.model.weight.T
    np.testing.assert_allclose([one["values"], two["values"]], expected, rtol=1e-6)
    refused = ask(service, "POST", "/predict", png(pixels[0]), content_type="image/png")
    assert (refused.status, "got a picture" in refused.json["error"]) == (400, True)


def test_values_and_a_class_a_pixel(make, tmp_path, pixels):
    body = json.dumps((pixels[:1] / 255).tolist()).encode()
    one = nn.Sequential(nn.Flatten(), nn.Linear(90, 2, rng=0))
    many = nn.Conv2d(3, 4, 1, rng=0)
    values = {"classes": (), "extra": {"regression": True}}
    for model, options in ((one, values), (many, values), (many, {})):
        loaded = saved_network(tmp_path / "m.safetensors", model, **options)
        outputs = loaded.outputs(pixels[0])[0]
        (answer,) = ask(make(loaded), "POST", "/predict", body, content_type="application/json").json["answers"]
        if options:
            np.testing.assert_allclose(answer["values"], outputs, rtol=1e-5, atol=1e-6)
        else:
            mask = outputs.argmax(axis=-1)
            assert answer["mask"] == mask.tolist()
            assert {each["class"]: each["share"] for each in answer["shares"]} == {
                word: pytest.approx((mask == i).mean()) for i, word in enumerate(CLASSES)
            }


def test_health_metrics_and_the_page(service):
    ask(service, "GET", "/nothing")
    health = ask(service, "GET", "/health")
    assert health.json == {"status": "ok", "input": list(SHAPE), "classes": list(CLASSES), "outputs": "classes"}
    response = ask(service, "GET", "/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = response.body.decode().splitlines()
    assert all(
        re.fullmatch(r'# (HELP|TYPE) xpcnn_\w+ .+|xpcnn_\w+(\{\w+="[\w.+]+"\})? [\d.e-]+', line) for line in lines
    )
    found = dict(line.rsplit(" ", 1) for line in lines if line[0] != "#")
    assert int(found['xpcnn_requests_total{status="404"}']) >= 1
    assert found['xpcnn_batch_images_bucket{le="+Inf"}'] == found["xpcnn_batch_images_count"]
    assert found["xpcnn_waiting_images"] == "0"
    page = ask(service, "GET", "/")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert b"6 \xc3\x97 5 \xc3\x97 3" in page.body
    assert ask(service, "HEAD", "/health").status == 200  # the server leaves the body out
