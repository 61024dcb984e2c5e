"""Numbers that no machine has, words that are no numbers, values of other kinds: one short line each, and status 2."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import cli, settings
from xpcnn.errors import OptionError
from xpcnn.training.config import RunConfig

WORDS = [
    "0", "-1", str(2**31), str(2**63 - 1), str(2**63), "1" + "0" * 400, "9" * 5000, "1e400", "nan", "inf", "-inf", "",
    "text", "1.5", "1,2", "\x1b[31mred\n", "x" * 5000, "y " * 3000,
]  # fmt: skip
TABLE = [
    "0", "-1", "1.5", str(2**31), str(2**63 - 1), str(2**63), "1" + "0" * 400, "9" * 5000, "1e400", "nan", "-inf",
    "true", "[]", "[1, 2]", "{}", "{a = 1}", '""', '"text"', r'"\u0000"', r'"a\u001b[31m\n"', f'"{"x" * 5000}"',
    "1979-05-27", "[" * 300 + "]" * 300, "[" * 5000 + "]" * 5000, "{a = " * 400 + "1" + "}" * 400,
]  # fmt: skip
KEYS = [*RunConfig.__dataclass_fields__, "out", "quiet"]
NUMBERS = [
    "epochs", "batch-size", "lr", "weight-decay", "validation", "patience", "seed", "accumulate", "shards", "timeout",
    "ema",
    "overfit-batches",
]  # fmt: skip


@pytest.fixture
def said(capsys):
    """A function of words: the status of the command, and one line where it is 2."""

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main(list(words))
        _, errors = capsys.readouterr()
        assert ended.value.code in (0, 2), errors
        assert errors.count("\n") == (ended.value.code == 2), errors
        assert len(errors) <= 1200, len(errors)
        assert errors.replace("\n", "").isprintable()
        assert max(errors.count("x"), errors.count("y")) < 450, errors
        return ended.value.code

    return run


@pytest.fixture
def _at_once(monkeypatch, tmp_path):
    """Accepted options are not run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("xpcnn.cli.train.dry_run", lambda *_, **__: None)


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("option", [*NUMBERS, "model", "optimizer", "schedule", "augment", "log"])
def test_an_option_of_train(said, option):
    statuses = [said("train", "digits", "--fast-dev-run", f"--{option}={word}") for word in WORDS]
    assert statuses.count(2) >= 9
    if option in NUMBERS:
        fits = option in ("lr", "weight-decay", "seed", "timeout")
        assert statuses[WORDS.index(str(2**63))] == (0 if fits else 2)


@pytest.mark.usefixtures("_at_once")
@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_a_file(said, tmp_path, key):
    statuses = []
    for value in TABLE:
        (tmp_path / "run.toml").write_text(f"{key} = {value}\n")
        words = () if key == "dataset" else ("digits",)
        statuses.append(said("train", *words, "--fast-dev-run", "--config", "run.toml"))
    assert statuses.count(2) >= 12


@pytest.mark.parametrize(
    "text", ["=", "a" * 5000, "[" * 100_000, "[a]\n" * 300 + "b", "\x00", "k = [" + "{x = [" * 3000]
)
@pytest.mark.usefixtures("_at_once")
def test_a_file_that_is_none(said, tmp_path, text):
    (tmp_path / "run.toml").write_text(text)
    assert said("train", "digits", "--fast-dev-run", "--config", "run.toml") == 2


@pytest.mark.parametrize("name", ["test_fraction", "seed", "image_shape", "channels_first", "test", "classes", "x"])
@pytest.mark.parametrize("file", ["a.npz", "a.csv"])
def test_an_option_of_a_data_set(said, tmp_path, monkeypatch, name, file):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", images=np.arange(216, 256, dtype="uint8")[:, None, None].repeat(4, 1), labels=np.arange(40) % 4)
    rows = "".join(f"{i % 3},{255 - i},1,2,3\n" for i in range(30))
    (tmp_path / "a.csv").write_text("label,p0,p1,p2,p3\n" + rows)
    nested = ["[" * 90 + "]" * 90, "[" * 600 + "]" * 600, "[" * 90_000, "(" * 150 + "1" + ")" * 150, '"a\\u0000b"']
    pairs = ["[1e999]", "[0, 0]", f"[{2**31}, {2**31}]", f"[{2**63}, {2**63}]", "[-1, 2]", "[NaN]", "NaN"]
    statuses = [said("data", "show", file, "--option", f"{name}={value}") for value in [*WORDS, *nested, *pairs]]
    assert statuses.count(2) >= 9


@pytest.mark.parametrize("model", ["mlp", "lenet5", "resnet20"])
def test_a_shape_and_a_number_of_classes(said, model):
    for word in WORDS:
        for words in ([f"--classes={word}"], [f"--input-shape={word},28,1"], [f"--input-shape=28,28,{word}"]):
            if word != str(2**31) or model != "mlp":
                said("summary", model, *words)
    huge = f"--input-shape={2**31},{2**31},{2**31}"
    assert said("summary", model, huge) == said("summary", model, f"--input-shape={2**31},28,1") == 2


def test_a_network_that_is_too_large_says_what_to_make_smaller(monkeypatch, capsys):
    monkeypatch.setattr("xpcnn.models.build", lambda *_, **__: (_ for _ in ()).throw(MemoryError("37 TiB")))
    with pytest.raises(SystemExit):
        cli.main(["summary", "mlp", "--input-shape", "99999,99999,3"])
    assert capsys.readouterr().err.endswith("3), got 37 TiB; pass a smaller --input-shape, or fewer --classes\n")


@pytest.mark.filterwarnings("ignore:.*files are no picture and passed over")
def test_what_commands_of_a_model_are_given(said, trained, monkeypatch):
    folder, _ = trained
    monkeypatch.chdir(folder)
    np.save("one.npy", np.full((8, 8), 255, "uint8"))
    for word in WORDS:
        small = word not in ("0", str(2**31), str(2**63 - 1))  # these are numbers of images, and may be right
        if small:
            said("eval", "run", "digits", f"--batch-size={word}")
            said("plot", "batch", "digits", "--out=o.png", f"-n={word}")
            said("plot", "saliency", "run", "one.npy", "--out=o.png", f"--index={word}")
        for words in (
            ["predict", "run", "one.npy", f"--top-k={word}"],
            ["predict", word, "one.npy"],
            ["predict", "run", word],
            ["plot", "gradcam", "run", "one.npy", "--out=o.png", f"--target={word}"],
            ["plot", "features", "run", "one.npy", "--out=o.png", f"--layer={word}"],
            ["plot", "curves", "run", f"--out={word}"],
            ["explain", "run", "1", "one.npy", f"--target={word}"],
            ["explain", "run", "1", "one.npy", f"--at={word}"],
            ["explain", "run", "1", "one.npy", f"--precision={word}"],
            ["explain", "run", word, "one.npy"],
            ["export", "run", word],
        ):
            said(*words)


@pytest.mark.parametrize("command", ["", "summary", "gradcheck", "completion", "train"])
def test_words_that_stand_for_nothing(said, monkeypatch, tmp_path, command):
    monkeypatch.chdir(tmp_path)
    for word in WORDS:
        if word:
            assert said(*([command] if command else []), word) == 2
    assert said(*([command] if command else []), "a\0b") == 2


@pytest.mark.parametrize(
    ("name", "read"), [("XPCNN_NUM_THREADS", settings.num_threads), ("XPCNN_CACHE_MIB", settings.cache_bytes)]
)
def test_an_environment_variable(name, read, monkeypatch):
    for word in ("-1", "nan", "1" + "0" * 400, "9" * 5000, "text", "x" * 5000):
        monkeypatch.setenv(name, word)
        with pytest.raises(OptionError, match=name) as caught:
            read()
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize("option", ["epochs", "batch-size", "patience", "accumulate", "overfit-batches", "seed"])
def test_the_largest_number_that_is_accepted_is_also_run(tmp_path, monkeypatch, said, option):
    monkeypatch.chdir(tmp_path)
    said("train", "digits", "--model", "mlp", "--quiet", "--fast-dev-run", f"--{option}={2**63 - 1}")
