"""What a service cannot answer is refused in one line of JSON, with a status that says why, and it goes on."""

from __future__ import annotations

import json
import struct
import zlib

import numpy as np
import pytest

from xpcnn.errors import OptionError

from .asking import ask
from .conftest import png, saved_network
from .test_answers import form

NINE = json.dumps(np.zeros((9, 6, 5, 3), int).tolist()).encode()
PICTURE = {"content_type": "image/png"}
JSON = {"content_type": "application/json"}


def bomb(side):
    """A PNG that claims more pixels than any picture may have."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(9000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("request_", "headers", "status", "words"),
    [
        (("GET", "/predict"), {}, 405, "expected the method POST, got GET"),
        (("POST", "/health"), {}, 405, "expected the method GET, HEAD, got POST"),
        (("GET", "/predict/x"), {}, 404, "there are /, /predict, /health and /metrics"),
        (("POST", "/predict", b"x"), {"content_type": "text/html"}, 415, "got text/html"),
        (("POST", "/predict"), PICTURE, 400, "empty body"),
        (("POST", "/predict", b"hello"), PICTURE, 400, "picture: expected a picture, got cannot identify"),
        (("POST", "/predict", bomb(9000)), PICTURE, 400, "at most 67108864 pixels"),
        (("POST", "/predict", bomb(60_000)), PICTURE, 400, "3600000000 pixels"),
        (("POST", "/predict", b"x" * 10_001), PICTURE, 413, "at most 10000 bytes"),
        (("POST", "/predict", [b"x" * 6000] * 3), PICTURE, 413, "at most 10000 bytes"),
        (("POST", "/predict", b"x"), PICTURE | {"content_length": 10**15}, 413, "at most 10000 bytes"),
        (("POST", "/predict", b"[[1, 2"), JSON, 400, "expected JSON"),
        (("POST", "/predict", b"[" * 5000), JSON, 400, "expected JSON"),
        (("POST", "/predict", b"\xff"), JSON, 400, "expected JSON"),
        (("POST", "/predict", b"[NaN]"), JSON, 400, "expected numbers, got NaN"),
        (("POST", "/predict", b"[1e999]"), JSON, 400, "expected"),
        (("POST", "/predict", b'["a"]'), JSON, 400, "lists of numbers"),
        (("POST", "/predict", b"[[1], [1, 2]]"), JSON, 400, "equal lengths"),
        (("POST", "/predict", b"[null]"), JSON, 400, "numbers"),
        (("POST", "/predict", b'{"image": [1]}'), JSON, 400, '"images"'),
        (("POST", "/predict", b"[]"), JSON, 400, "lists of numbers"),
        (("POST", "/predict", b"[[1, 2], [3, 4]]"), JSON, 400, "expected images (6, 5, 3)"),
        (("POST", "/predict", json.dumps(np.full((6, 5, 3), -1).tolist()).encode()), JSON, 400, "expected"),
        (("POST", "/predict", NINE), JSON, 413, "at most 8 images"),
        (("POST", "/predict?top_k=0", b"x"), PICTURE, 400, "top_k"),
        (("POST", "/predict?top_k=x", b"x"), PICTURE, 400, "top_k"),
        (("POST", "/predict?topk=2", b"x"), PICTURE, 400, "no parameter but top_k, got topk"),
        (("POST", "/predict", b"--x"), {"content_type": "multipart/form-data"}, 400, "form"),
        (("POST", "/predict", b"--cut--\r\n"), {"content_type": form()[1]}, 400, "a file in the form"),
        (("POST", "/predict", form(("a.png", b"x"))[0]), {"content_type": form()[1]}, 400, "a.png: expected a picture"),
        (("POST", "/predict", form(*[("a.png", b"x")] * 9)[0]), {"content_type": form()[1]}, 400, "Too many files"),
        (("GET", "/health"), {"host": "elsewhere.example:8000"}, 421, "localhost"),
    ],
)
def test_refusals(service, pixels, request_, headers, status, words):
    response = ask(service, *request_, **headers)
    assert (response.status, response.headers["content-type"]) == (status, "application/json")
    assert words in response.json["error"]
    assert "\n" not in response.json["error"]
    assert " at 0x" not in response.json["error"]  # no address of Python's
    assert ask(service, "POST", "/predict", png(pixels[0]), **PICTURE).status == 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80", "[::1]:80", "[::1]"])
def test_hosts_that_are_this_machine(service, host):
    assert ask(service, "GET", "/health", host=host).status == 200


def test_a_body_that_does_not_come_is_given_up(service, monkeypatch):
    monkeypatch.setattr("xpcnn.service.guard.READ_SECONDS", 0.05)
    response = ask(service, "POST", "/predict", b"x", waits=True, **PICTURE)
    assert (response.status, response.headers["connection"]) == (408, "close")


def test_a_network_that_gives_nan_is_said_and_the_service_goes_on(make, saved, pixels):
    service = make(saved)
    network, held = service.saved._network, vars(service.saved)
    held["_network"] = lambda x: network(x) * np.float32(np.nan)
    response = ask(service, "POST", "/predict", png(pixels[0]), **PICTURE)
    assert (response.status, "expected finite numbers" in response.json["error"]) == (500, True)
    held["_network"] = network
    assert ask(service, "POST", "/predict", png(pixels[0]), **PICTURE).status == 200


def test_options_and_networks_that_make_no_service(make, saved, tmp_path):
    from .test_batches import two_inputs

    for options in ({"batch_size": 0}, {"wait_ms": -1}, {"queue": 0}, {"most_bytes": 0}, {"scale": 0}, {"invert": 2}):
        with pytest.raises(OptionError):
            make(saved, **options)
    both = saved_network(tmp_path / "m.safetensors", two_inputs(), input_shape=((4,), (4,)), classes=())
    with pytest.raises(OptionError, match="one input"):
        make(both)
