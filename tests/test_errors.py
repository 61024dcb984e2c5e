"""A message is one line without effect on a terminal, and quotes only a little of its subject, whatever its origin."""

from __future__ import annotations

import pickle

import pytest

from xpcnn.errors import (
    DataError,
    FormatError,
    Interrupted,
    NonFiniteError,
    OptionError,
    XpcnnWarning,
    one_line,
    printable,
    readable,
    shortened,
    warn,
)  # fmt: skip


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("kind", [OptionError, FormatError, DataError, NonFiniteError])
def test_a_long_part_is_shortened_to_its_beginning_and_end(kind, part):
    parts = ["who", "expected", "got", "remedy"]
    parts[part] = "begin" + "x" * 5400 + "end"
    error = kind(*parts)
    assert 100 < str(error).count("x") <= 600
    assert "begin" in str(error)
    assert "end" in str(error)
    assert getattr(error, ["who", "expected", "got", "remedy"][part]) == parts[part]


def test_what_a_file_says_takes_400_characters_in_all():
    hostile = "x" * 5400
    error = FormatError(hostile, "y", hostile)
    error.where = [hostile, hostile]
    assert str(error).count("x") <= 600
    assert len(str(FormatError(hostile, "y", hostile))) < 430


@pytest.mark.parametrize("text", ["\x1b[2J", "\x9b31m", "\u202e", "\x00", "\x7f", "\udcff", "\ue000", "\u200b"])
def test_nothing_that_a_terminal_obeys_is_left(text):
    for made in (printable(text), one_line(text), str(OptionError(text, text, text, text))):
        assert made.isprintable()
        made.encode()


@pytest.mark.parametrize(
    ("name", "said"), [("caf\udce9", r"caf\xe9"), ("a\ud800b", "a\ufffdb"), ("a\x1bb", "a\ufffdb")]
)
def test_a_file_s_name_that_is_no_utf_8_can_be_read_and_written(name, said):
    assert printable(name) == said
    assert readable(name) == (name if name.isascii() else said)  # a terminal is not its concern
    readable(name).encode()


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029", " \n\t "])
def test_ends_of_lines_are_spaces(end):
    assert one_line(f"a{end}b") == "a b"
    assert str(OptionError("who", f"a{end}b", "c")) == "who: expected a b, got c"


def test_what_is_short_and_plain_stays():
    for text in ("", "a  b", "Größe × 2 → “x”", "数字", "👍"):
        assert printable(text) == text
        assert shortened(text) == text
    assert shortened("x" * 200) == "x" * 200
    assert len(shortened("x" * 201)) == 200


def test_a_warning_is_one_short_line():
    with pytest.warns(XpcnnWarning) as caught:
        warn("who\n", "x" * 5000 + "\x1b", "y" * 5000)
    (line,) = map(str, [each.message for each in caught])
    assert len(line) < 1100
    assert line.isprintable()


def test_an_error_is_the_same_after_pickling():
    error = NonFiniteError("a", "b", "c" * 1000, "d")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.got) == (str(error), error.got)


def test_an_interruption_is_ctrl_c_s_unless_it_is_another_signal_s():
    assert isinstance(Interrupted("now"), KeyboardInterrupt)
    assert (str(Interrupted("now")), Interrupted("now").number, Interrupted("now", 15).number) == ("now", 2, 15)
