"""Values show themselves in a notebook: well-formed HTML, nothing unescaped, bounded, in colours that suit any theme.

On a console, the same values fill at most a screen.
"""

from __future__ import annotations

import copy
import pickle
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import xpcnn
from xpcnn import data, explain, html, io, models, nn, optim, plot, table, training

EVIL = '<script>alert("1")</script>\x1b[31m'
WITHOUT_END = {"img", "circle", "path", "rect"}
SCREEN = 45


class Checked(HTMLParser):
    """Knows whether all elements are closed in their order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.kinds = [], "", []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.kinds.append(tag)
        assert tag != "script"
        for name, value in attributes:
            assert name not in ("onclick", "onload")
            assert name != "src" or value.startswith("data:image/png;base64,")
        if tag not in WITHOUT_END:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in WITHOUT_END:
            assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] != "style":
            self.text += f"{text}\n"


def shown(value):
    """The text of its HTML, and the kinds of elements."""
    page = value._repr_html_()
    assert len(page) < 200_000
    assert repr(value).count("\n") < SCREEN
    assert len(repr(value)) < 3000
    checked = Checked(page)
    return checked.text, checked.kinds


def split(count=30, shape=(6, 5, 3)):
    images = np.random.default_rng(0).integers(0, 255, (count, *shape)).astype("uint8")
    return data.Split(images, np.arange(count) % 2)


def run(epochs=2):
    model = nn.Sequential(nn.Flatten(), nn.Linear(90, 2, rng=0))
    trainer = training.Trainer(model, optim.SGD(model.parameters(), lr=0.01), verbose=False)
    if epochs:
        trainer.fit(data.Loader(split(), 10), split(6), epochs=epochs)
    return trainer


def test_a_network_is_a_table_of_its_layers():
    text, _ = shown(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()))
    assert "Sequential of 2 layers, 224 parameters" in text
    assert "Conv2d(in_channels=3, out_channels=8, kernel_size=(3, 3), padding=1)" in text
    assert "weight (8, 3, 3, 3), bias (8,)" in text
    frozen = nn.freeze(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), "0.*")
    assert "13 parameters, 4 of them trained" in shown(frozen)[0]
    assert "weight (3, 2) frozen, bias (3,) frozen" in shown(frozen)[0]
    assert "Linear(in_features=2, out_features=3" in shown(nn.eval_mode(nn.Sequential(nn.Linear(2, 3))))[0]
    text, _ = shown(nn.Graph({"a": (nn.Linear(2, 2), "x"), "y": (nn.Add(), "a", "x")}))
    assert "a, x" in text
    text, _ = shown(models.build("densenet121", (224, 224, 3), 1000, rng=0))
    assert re.search(r"… and \d+ more", text)
    assert shown(nn.Linear(2, 3))[0].startswith("Linear, 9 parameters")


def test_a_long_network_s_parts_take_a_line_each_on_a_console():
    block = nn.Sequential(*(nn.ReLU() for _ in range(30)))
    assert repr(nn.Sequential(block, block)) == (
        "Sequential(\n  (0) Sequential of 30 layers, 0 parameters\n  (1) Sequential of 30 layers, 0 parameters\n)"
    )
    lines = repr(nn.Sequential(*(nn.ReLU() for _ in range(100)))).split("\n")
    assert (len(lines), lines[1], lines[-2]) == (42, "  (0) ReLU()", "  (99) ReLU()")


def test_a_summary_is_its_table_and_still_a_text():
    summary = nn.Linear(2, 3).summary((2,))
    assert isinstance(summary, str)
    assert repr(summary) == str(summary)
    assert repr(summary).startswith("Layer   Output")
    assert type(summary + "") is str
    text, kinds = shown(summary)
    assert "multiply-adds forward + backward: 12" in text
    assert kinds.count("tr") == 3
    again = pickle.loads(pickle.dumps(copy.deepcopy(summary)))
    assert (again, again._repr_html_()) == (summary, summary._repr_html_())


def test_data_show_their_pictures_with_labels():
    dataset = data.Dataset(f"a {EVIL}", split(), split(4), (EVIL, "dog"))
    for value, count in ((split(), 10), (split(3), 3), (dataset, 10), (data.Loader(split(), 4, shuffle=True), 4)):
        assert shown(value)[1].count("img") == count
    text, _ = shown(dataset)
    assert EVIL.partition("\x1b")[0] in text
    assert "\x1b" not in text
    assert "30 items" in text
    targets = data.Split(split().images, np.linspace(0, 1, 60, dtype="float32").reshape(30, 2))
    assert "0, 0.0169" in shown(targets)[0]
    large = data.Split(np.random.default_rng(0).integers(0, 255, (20, 300, 200, 3)).astype("uint8"), np.arange(20))
    assert 'width="40" height="60"' in large._repr_html_()
    shown(data.Split(np.random.default_rng(0).normal(size=(4, 5, 5, 7)).astype("float32"), np.arange(4), scale=1.0))


def test_a_picture_is_that_of_the_image():
    image = pytest.importorskip("PIL.Image")
    from base64 import b64decode
    from io import BytesIO

    (url,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html.pictures(split(1).images, ["a"]))
    np.testing.assert_array_equal(np.asarray(image.open(BytesIO(b64decode(url)))), split(1).images[0])


def test_training_shows_its_curves_and_its_lines():
    for trainer, count in ((run(0), 0), (run(), 2)):
        for value in (trainer, trainer.history):
            text, kinds = shown(value)
            assert kinds.count("svg") == count
            assert ("epoch   2  train" in text) is bool(count)
    assert "2 epochs done" in repr(trainer)
    assert isinstance(trainer.history, list)
    assert repr(trainer.history).split("\n") == [str(row) for row in trainer.history]
    many = training.history.History(training.Epoch(i, 0.1, 1 / i, 0.5, np.nan, np.nan, 1.0) for i in range(1, 5001))
    text, _ = shown(many)
    assert "… 4971 more …" in text
    assert "validation" not in text
    assert "1.weight, 1.bias" in shown(trainer.optimizer)[0]


def test_a_curve_has_gaps_where_there_are_no_numbers():
    drawn = html.curves("loss", [1, 2, 3, 4], {"a": [1.0, np.nan, 3.0, np.inf], "b": [np.nan] * 4})
    (path,) = re.findall(r'<path d="([^"]+)" fill="none" stroke="#3b', drawn)
    assert path.count("M") == 2
    assert "L" not in path
    assert html.curves("loss", [1], {"a": [np.nan]}) == ""
    Checked(html.curves("loss", [1], {"a": [2.0]}))


def test_an_evaluation_shows_the_confusion():
    text, kinds = shown(training.Evaluation(0.5, 0.75, 1.0, np.array([[2, 1], [0, 1]])))
    assert "75.00%: 3 of 4" in text
    assert kinds.count("td") == 2 * 2 + 2 * 2 + 2
    big = np.eye(1000, dtype=int)
    big[3, 7] = 5
    text, kinds = shown(training.Evaluation(0.5, 0.9, 1.0, big))
    assert text.split()[-3:] == ["3", "7", "5"]
    assert shown(training.Evaluation(0.5, np.nan, np.nan, np.zeros((0, 0), int)))[0].split() == ["loss", "0.5000"]


def test_a_gradient_check_shows_each_verdict():
    class Wrong(nn.Linear):
        def backward(self, dy, cache, *, input_grad=True):
            dx, grads = super().backward(dy, cache)
            return 2 * dx, grads

    report = xpcnn.gradcheck(Wrong(3, 2, rng=0), [[1.0, 2.0, 3.0]])
    text, _ = shown(report)
    assert repr(report) == str(report)
    assert (text.count("FAILED"), text.count("ok")) == (3, 6)


def test_an_explanation_is_a_line_and_a_page_in_a_frame():
    x = np.ones((1, 4, 4, 1), "float32")
    page = explain.explain(nn.Conv2d(1, 1, 2), "", x, dy=np.ones((1, 3, 3, 1), "float32"))
    assert len(repr(page)) < 300
    assert re.fullmatch(r'<iframe sandbox="allow-scripts" style="[^"]*" srcdoc="[^"]*"></iframe>', page._repr_html_())
    assert html.escape(explain.html(page)) in page._repr_html_()


def test_a_training_step_is_its_page_in_a_frame_and_that_of_a_large_network_a_table(monkeypatch):
    walk = explain.step(nn.Linear(3, 2, rng=0), np.ones((1, 3), "float32"), 1)
    assert html.escape(walk.html()) in walk._repr_html_()
    monkeypatch.setattr("xpcnn.explain.training_step.MOST_IN_A_CELL", 10)
    assert "<iframe" not in walk._repr_html_()
    assert "One training step" in walk._repr_html_()


def test_other_results():
    trainer, batch = run(), next(data.Loader(split(), 10).epoch(0))
    for value in (
        training.profile(trainer.model, *batch, repeats=1),
        training.gradient_statistics(trainer.model, *batch),
        training.lr_find(trainer.model, trainer.optimizer, data.Loader(split(), 10), steps=20),
        plot.top_losses(trainer.model, split(), 3),
        io.SavedModel(trainer.model, (6, 5, 3), ("a", "b"), {}),
    ):
        text, _ = shown(value)
        assert text.strip()


def test_a_figure_is_a_picture():
    pytest.importorskip("matplotlib")
    figure = plot.confusion(np.eye(2, dtype=int))
    for each in (figure, pickle.loads(pickle.dumps(figure))):
        picture, size = each._repr_png_()
        assert picture[:4] == b"\x89PNG"
        assert size["width"] == round(each.get_size_inches()[0] * 96)


def test_colours_suit_light_and_dark():
    """Text has the notebook's colour; a background is transparent enough to read it on either."""
    page = run()._repr_html_() + training.Evaluation(0.5, 0.75, 1.0, np.array([[2, 1], [0, 1]]))._repr_html_()
    assert "color:black" not in page
    assert "#fff" not in page
    assert all(float(alpha) <= 0.75 for alpha in re.findall(r"rgba\([^)]*,([\d.]+)\)", page))


def test_a_screenful():
    assert table.screenful(list("abcdef"), 4) == "a\nb\n… 3 more …\nf"
    assert table.screenful(list("abcd"), 4) == "a\nb\nc\nd"


class Source:
    """Items as another program has them, read by position."""

    def __init__(self, items):
        self.items, self.shape, self.dtype = items, items.shape, items.dtype

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def test_splits_of_every_kind_show_what_they_hold():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (9, 6, 5, 3)).astype("uint8"), np.arange(9)
    rows = rng.normal(size=(9, 4)).astype("float32")
    for made, count in (
        (data.Split(Source(images), labels), 9),
        (data.Split((images, images[..., :1]), labels), 18),
        (data.Split((images, rows), labels, scale=(255.0, 1.0)), 9),
        (data.Split(images, (images[..., 0] > 99).astype("int64")), 18),
        (data.Split(images, images.astype("float32") / 255), 18),
        (data.Split(images, rows), 9),
    ):
        text, kinds = shown(made)
        assert kinds.count("img") == count
        assert text.startswith("9 items")
        shown(data.Loader(made, 4))
