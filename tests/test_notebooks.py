"""The notebooks run without an error or a warning, and each cell gives what its source says.

Another kernel is interrupted in the middle of a training, as a reader would with the stop button.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from .test_docs import agrees

pytest.importorskip("ipykernel")
pytest.importorskip("nbclient")
sys.path.insert(0, str(Path(__file__).parent.parent / "docs" / "extensions"))

import notebooks

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of the kernel's own packages
SECONDS = re.compile(r"\d+\.\d s$", re.MULTILINE)


@pytest.mark.parametrize("path", sorted(notebooks.SOURCES.glob("*.py")), ids=lambda path: path.stem)
def test_a_notebook_gives_what_its_source_says(path):
    expected, source = [], list(notebooks.cells(path.read_text("utf-8")))
    for (kind, text), (after, output) in zip(source, [*source[1:], ("", "")], strict=True):
        if kind == "code":
            expected.append((text, output if after == "output" else ""))
    given = [cell for cell in notebooks.executed(path).cells if cell.cell_type == "code"]
    for (code, said), cell in zip(expected, given, strict=True):
        now = notebooks.said(cell)
        assert agrees(SECONDS.sub("s", said), SECONDS.sub("s", now)), f"{code}\ngives\n{now}"


def kernel(*cells):
    """The outputs of each cell, also of one that fails."""
    import nbformat
    from nbclient import NotebookClient

    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    NotebookClient(made, timeout=120, allow_errors=True).execute()
    return [each.outputs for each in made.cells]


def test_a_figure_is_shown_once_with_and_without_pyplot():
    draw = "import numpy as np; from xpcnn import plot; plot.confusion(np.eye(3, dtype=int))"
    for before in ("", "import matplotlib.pyplot as plt", "%matplotlib inline"):
        _, shown = kernel(before, draw)
        assert [each.output_type for each in shown] == ["execute_result"], before
        assert shown[0].data["image/png"], before


TRAINING = """
import os, signal
import numpy as np
from xpcnn import data, nn, optim, training
split = data.Split(np.random.default_rng(0).integers(0, 255, (80, 4, 4, 1)).astype("uint8"), np.arange(80) % 2)
model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, rng=0))

def press(trainer, step):
    if step.step == 13:
        os.kill(os.getpid(), signal.SIGINT)

trainer = training.Trainer(model, optim.SGD(model.parameters(), lr=0.01), on_step=[press])
loader = data.Loader(split, 10)
"""


def test_the_stop_button_and_running_a_cell_again():
    fit = "_ = trainer.fit(loader, epochs=3)"
    _, stopped, continued, again, more = kernel(TRAINING, fit, fit, fit, "print(trainer.fit(loader, epochs=4))")
    shown, error = stopped
    assert shown.data["text/plain"].startswith("epoch   1 ")
    assert "epoch 2/3, 5 of 8 batches" in shown.data["text/html"]
    where = "interrupted in epoch 2, after batch 5 of 8; calling fit again goes on from there"
    assert (error.ename, error.traceback) == ("Interrupted", [where])
    assert re.findall(r"^epoch +(\d)", continued[0].data["text/plain"], re.MULTILINE) == ["2", "3"]
    (warning,) = again
    assert (warning.name, "pass epochs=6 for 3 more" in warning.text) == ("stderr", True)
    assert re.findall(r"^epoch +(\d)", more[-1].text, re.MULTILINE) == ["1", "2", "3", "4"]


def test_the_bar_is_redrawn_in_its_place():
    slow = "import time\nfrom xpcnn.progress import progress\nwith progress(True) as shown:\n"
    slow += (
        "    shown.start('epoch 1/1', 5)\n    for _ in range(5):\n        time.sleep(0.25)\n        shown.advance()\n"
    )
    slow += "    shown.line('epoch 1 <done>')\n"
    redirected = slow.replace("with", "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as file,")
    (shown,), (printed,) = kernel(slow, redirected + "print(file.getvalue())")
    assert shown.data["text/plain"] == "epoch 1 <done>"
    assert "epoch 1 &lt;done&gt;" in shown.data["text/html"]
    assert "<progress" not in shown.data["text/html"]
    assert printed.text == "epoch 1 <done>\n\n"
