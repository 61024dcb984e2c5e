"""A run shows nothing, plain lines, or a bar on a terminal that keeps the lines and leaves nothing else.

The terminal is a few lines of code that obey what is written to them and know what stands on the screen in the end.
"""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout

import pytest

from xpcnn import data
from xpcnn.progress import LOGGER, Bar, Lines, Progress, counting, progress

from .training.small import loader, stopped_at, trainer

WIDTH = 80
TERMINAL = {"TERM": "xterm-256color", "COLUMNS": str(WIDTH), "LINES": "24"}
OVERRIDES = ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "JUPYTER_COLUMNS", "JUPYTER_LINES")
SEQUENCE = re.compile(r"\x1b\[(\??)(\d*)(?:;\d+)*([A-Za-z])|(.)", re.DOTALL)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_without_a_console_there_are_lines(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert type(progress(True)) is Lines


class Screen:
    """Obeys line feeds, carriage returns and the control sequences that move, erase, and hide the cursor."""

    def __init__(self, stream):
        self.rows, self.row, self.column, self.cursor_shown = [""], 0, 0, True
        for private, number, command, character in SEQUENCE.findall(stream):
            if character:
                self.write(character)
            elif command == "A":
                self.row -= int(number or 1)
                assert self.row >= 0, "above the first row"
            elif (command, number) == ("K", "2"):
                self.rows[self.row] = ""
            elif private and number == "25" and command in "hl":
                self.cursor_shown = command == "h"
            else:
                assert command == "m", f"an unknown control sequence: {private}{number}{command}"  # m: colours

    def write(self, character):
        if character == "\n":
            self.row, self.column = self.row + 1, 0
            self.rows += [""] * (self.row == len(self.rows))
        elif character == "\r":
            self.column = 0
        else:
            assert self.column < WIDTH, "the terminal would break this line"
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + character + row[self.column + 1 :]
            self.column += 1

    def lines(self):
        return "\n".join(self.rows).rstrip("\n").split("\n")


@pytest.fixture
def terminal(monkeypatch):
    for name in OVERRIDES:
        monkeypatch.delenv(name, raising=False)
    for name, value in TERMINAL.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("rich._console", None)  # the console of the whole process knows the terminal it began on
    return Terminal()


def last_frame(stream):
    """The text on the bar's row when it was last drawn."""
    drawn = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", stream.getvalue())
    return [part for part in re.split(r"[\r\n]", drawn) if "/" in part][-1]


def test_the_one_that_fits_where_output_goes(terminal):
    for stream, expected in ((terminal, Bar), (io.StringIO(), Lines)):
        with redirect_stdout(stream):
            assert type(progress(True)) is expected
            assert type(progress(False)) is Progress


@pytest.mark.parametrize(("kind", "expected"), [(Progress, ""), (Lines, "first\nsecond\n")])
def test_silent_and_lines(kind, expected, capsys):
    with kind() as shown:
        assert isinstance(shown, kind)
        shown.start("epoch 1/2", 10, 0)
        shown.advance()
        shown.line("first")
        shown.start("epoch 2/2", 10, 3)
        shown.line("second")
    assert capsys.readouterr() == (expected, "")


def test_a_line_is_there_at_once():
    """A reader of a log file sees each epoch when it ends, not when the buffer is full."""
    file = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(file)):
        Lines().line("epoch 1")
        assert file.getvalue().splitlines() == [b"epoch 1"]


def test_the_bar_keeps_lines_and_leaves_nothing_else(terminal):
    texts = [f"epoch {epoch:>3}  loss {1 / epoch:.4f} [accuracy] {epoch}/3" for epoch in (1, 2, 3)]
    with redirect_stdout(terminal):
        with progress(True) as shown:
            for epoch, text in enumerate(texts, start=1):
                shown.start(f"epoch {epoch}/3", 40, 0)
                for _ in range(40):
                    shown.advance()
                shown.line(text)
            assert not Screen(terminal.getvalue()).cursor_shown
        screen = Screen(terminal.getvalue())
        assert screen.lines() == texts
        assert screen.cursor_shown
        assert sys.stdout is terminal  # no redirection is left
        print("after")
    assert Screen(terminal.getvalue()).lines() == [*texts, "after"]


def test_the_bar_says_where_the_run_is(terminal):
    with redirect_stdout(terminal), progress(True) as shown:
        shown.start("epoch 2/5", 10, 0)
        for _ in range(7):
            shown.advance()
    assert re.match(r"epoch 2/5 .* 7/10 ", last_frame(terminal))
    assert Screen(terminal.getvalue()).lines() == [""]


@pytest.mark.parametrize("done", [0, 4])
def test_the_bar_starts_each_epoch_anew_and_a_resumed_one_where_it_stopped(terminal, done):
    with redirect_stdout(terminal), progress(True) as shown:
        shown.start("epoch 1/5", 10, 0)
        for _ in range(10):
            shown.advance()
        shown.start("epoch 2/5", 10, done)
        shown.advance()
    assert re.match(rf"epoch 2/5 .* {done + 1}/10 ", last_frame(terminal))
    assert "0:00:00" not in last_frame(terminal)  # it does not call itself finished, as the first was


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_bar_is_cleared_away_when_a_run_breaks_off(terminal, error):
    def run():
        with redirect_stdout(terminal), progress(True) as shown:
            shown.start("epoch 1/2", 10, 0)
            shown.line("kept")
            shown.advance()
            raise error

    with pytest.raises(error):
        run()
    screen = Screen(terminal.getvalue())
    assert screen.lines() == ["kept"]
    assert screen.cursor_shown


def test_a_real_terminal():
    """A whole run in a pseudo-terminal shows a bar while it lasts, and one line an epoch afterwards."""
    pytest.importorskip("termios")
    script = (
        "import numpy as np; from xpcnn import data, models, optim, training\n"
        "split = data.Split(np.zeros((30, 2, 2, 1), 'uint8'), np.arange(30) % 3)\n"
        "net = models.mlp((2, 2, 1), 3, rng=0)\n"
        "training.Trainer(net, optim.SGD(net.parameters(), lr=0.1)).fit(data.Loader(split, 10), epochs=3)\n"
    )
    outer, inner = os.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in OVERRIDES} | TERMINAL
    process = subprocess.Popen([sys.executable, "-c", script], stdout=inner, stdin=inner, env=environment)
    os.close(inner)
    shown = b""
    try:
        while part := os.read(outer, 65536):
            shown += part
    except OSError:  # EIO: nobody holds the other end any more
        pass
    os.close(outer)
    assert process.wait() == 0
    assert "━" in shown.decode()
    screen = Screen(shown.decode())
    assert [line.split()[:2] for line in screen.lines()] == [["epoch", str(epoch)] for epoch in (1, 2, 3)]
    assert screen.cursor_shown


def test_epochs_are_counted_from_1_and_batches_as_they_are_done(tmp_path, monkeypatch):
    told = []

    class Told(Progress):
        def start(self, *numbers):
            told.append(numbers)

        def advance(self, count=1, said=None):
            assert re.fullmatch(r"train \d\.\d{4}  ?\d+\.\d\d%", said())
            told.extend(["advance"] * count)

    monkeypatch.setattr("xpcnn.training.fitting.progress", lambda verbose: Told())
    with stopped_at(9, trainer(tmp_path)) as run:
        run.fit(loader(), epochs=3)
    assert told == [("epoch 1/3", 7, 0, 14), *["advance"] * 7, ("epoch 2/3", 7, 0, 7), *["advance"] * 2]
    told.clear()
    trainer(tmp_path).fit(loader(), epochs=3, resume=True)
    assert told == [("epoch 2/3", 7, 2, 7), *["advance"] * 5, ("epoch 3/3", 7, 0, 0), *["advance"] * 7]


@pytest.fixture
def logged():
    """The messages of level INFO, as they come."""
    messages, handler, level = [], logging.Handler(), LOGGER.level
    handler.emit = lambda record: messages.append(record.getMessage())
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    yield messages
    LOGGER.setLevel(level)
    LOGGER.removeHandler(handler)


def test_away_from_a_terminal_a_line_says_where_the_run_is_every_some_seconds(monkeypatch, capsys, logged):
    """Step, loss, rate, and the time that all remaining epochs take at it; the same through logging."""
    now = [100.0]
    monkeypatch.setattr("xpcnn.progress.time.monotonic", lambda: now[0])
    with Lines() as shown:
        shown.start("epoch 2/3", 40, 4, later=40)  # 4 were done before, in no time
        for _ in range(8):
            now[0] += 2
            shown.advance(1, lambda: "train 0.5000  75.00%")
        shown.line("epoch 2 is over")
    status = "epoch 2/3, 10 of 40 batches  train 0.5000  75.00%  0.5 batches/s  0:02:20 left"
    assert capsys.readouterr() == (f"{status}\nepoch 2 is over\n", "")
    assert logged == [status, "epoch 2 is over"]


def test_a_silent_run_is_logged(logged, tmp_path):
    trainer(tmp_path).fit(loader(), epochs=2)
    assert [message.split()[:2] for message in logged] == [["epoch", "1"], ["epoch", "2"]]


def test_the_bar_shows_loss_and_accuracy_as_they_run(terminal):
    with redirect_stdout(terminal), progress(True) as shown:
        shown.start("epoch 100/100", 1875, 1233)
        shown.advance(1, lambda: "train 0.5000  75.00%")
        assert isinstance(shown, Bar)
        shown._progress.refresh()
    assert last_frame(terminal).rstrip().endswith("train 0.5000  75.00%")


def test_a_short_preparation_shows_nothing_and_a_long_one_a_bar_on_standard_error(terminal, monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr("xpcnn.progress.time.monotonic", lambda: now[0])
    for seconds, bar in ((0.01, False), (1, True)):
        monkeypatch.setattr(sys, "stderr", terminal)
        with counting("pictures") as shown:
            shown.start("reading", 10)
            for _ in range(10):
                now[0] += seconds
                shown.advance()
        assert ("━" in terminal.getvalue()) is bar
    assert capsys.readouterr().out == ""


def test_reading_pictures_counts_them(tmp_path, monkeypatch, capsys):
    image = pytest.importorskip("PIL.Image")
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.new("L", (4, 4)).save(tmp_path / name)
    monkeypatch.setattr("xpcnn.progress.SECONDS", -1)
    data.image_folder(tmp_path, test_fraction=0.5)
    told = capsys.readouterr()
    assert told.out == ""
    assert re.search(r"^looking, 4 of 4 pictures .*^reading, 4 of 4 pictures ", told.err, re.DOTALL | re.MULTILINE)
