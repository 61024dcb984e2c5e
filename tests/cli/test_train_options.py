"""A run has the settings of the command, before those of the file, before the data set's own defaults."""

from __future__ import annotations

from copy import copy

import pytest

from xpcnn.cli import main
from xpcnn.errors import FileError
from xpcnn.optim import OPTIMIZERS
from xpcnn.training.config import RunConfig


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """The arguments with which a command calls `start` (the configuration, the folder), and its output."""
    monkeypatch.chdir(tmp_path)
    told = {}

    def start(config, folder, **options):
        told.update(config=config, folder=folder, **options)
        numbers = {"test_images": 1, "best_epoch": 1, "epochs": 1, "seconds": 1.0, "test_loss": 0.5}
        return numbers | {"test_accuracy": 0.0, "test_metrics": {}}

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main(["train", *map(str, words)])
        assert end.value.code == 0
        return told["config"], told

    monkeypatch.setattr("xpcnn.cli.train.start", start)
    return run


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["digits"], {"model": "mnist_cnn", "epochs": 30, "batch_size": 32}),
        (["digits", "--epochs", 2, "--model", "mlp"], {"model": "mlp", "epochs": 2, "batch_size": 32}),
        (["mnist"], {"model": "lenet5", "epochs": 15, "batch_size": 64}),
        (["mnist", "--model", "mlp"], {"model": "mlp", "epochs": 15, "batch_size": 64}),
        (["cifar10"], {"model": "mnist_cnn", "epochs": 15, "batch_size": 64}),
    ],
)
def test_defaults_are_the_data_set_s_before_those_of_all(asked, words, expected):
    config, _ = asked(*words)
    assert config == RunConfig(dataset=words[0], **expected)


@pytest.mark.parametrize(("words", "shards"), [((), 8), (("--batch-size", 4), 4), (("--shards", 2), 2)])
def test_processes_make_no_more_shards_than_a_batch_has_images(asked, words, shards):
    config, _ = asked("digits", "--processes", 1, *words)
    assert config.shards == shards


def test_a_file_of_options_wins_over_defaults_and_words_win_over_it(asked, tmp_path):
    (tmp_path / "run.toml").write_text(
        'dataset = "mnist"\nmodel = "mlp"\nepochs = 3\nseed = 4\nvalidation = 0.5\n[options]\nsize = 3\n'
    )
    config, _ = asked("digits", "--config", "run.toml", "--seed", 0, "--validation", 0)
    assert config == RunConfig("digits", "mlp", 3, 32, seed=0, validation=0, options={"size": 3})
    config, _ = asked("--config", "run.toml", "--option", "size=5", "--option", "coarse=true")
    assert (config.dataset, config.options) == ("mnist", {"size": 5, "coarse": True})


def test_normalize_in_a_file_stays_where_no_word_is_said(asked, tmp_path):
    for encoding in ("utf-8", "utf-8-sig"):  # Windows' editors begin with a mark
        (tmp_path / "run.toml").write_text("normalize = true\n", encoding=encoding)
        assert asked("digits", "--config", "run.toml")[0].normalize is True
    assert asked("digits")[0].normalize is False


def test_a_folder_that_is_named_is_taken_as_it_is(asked, tmp_path):
    """It may be there already, such as an empty one; only a folder that nobody named is given a number."""
    for name in ("here", "runs/digits-mlp", "runs/digits-mlp-2"):
        (tmp_path / name).mkdir(parents=True)
    assert str(asked("digits", "--out", "here")[1]["folder"]) == "here"
    assert str(asked("digits", "--model", "mlp")[1]["folder"]) == "runs/digits-mlp-3"


def test_a_data_set_s_name_is_not_a_folder_that_is_called_so(asked, tmp_path):
    (tmp_path / "digits").mkdir()
    assert asked("digits")[0].dataset == "digits"
    (tmp_path / "pets").mkdir()
    config, told = asked("pets", "--model", "mlp")
    assert (config.dataset, told["folder"].name) == (str(tmp_path / "pets"), "pets-mlp")


def test_quiet_is_quiet_and_an_accuracy_of_nothing_is_one(asked, capsys):
    assert asked("digits")[1]["verbose"] is True
    assert capsys.readouterr().out.startswith("test accuracy 0.00% of 1 images")
    assert asked("digits", "--quiet")[1]["verbose"] is False


@pytest.mark.parametrize(
    ("words", "also"),
    [(["--out", "x"], "out"), (["--fast-dev-run"], "fast_dev_run"), (["--seed", "0"], "seed")],
)
def test_a_run_is_gone_on_with_as_it_was(capsys, words, also):
    with pytest.raises(SystemExit) as end:
        main(["train", "--resume", "run", *words])
    assert end.value.code == 2
    assert f"--resume: expected no other option but --epochs, got {also};" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("begun", "how"),
    [
        ([], ""),
        (["config.json"], "; nothing was kept yet; begin again with: xpcnn train --resume run"),
        (["config.json", "checkpoint.safetensors"], "; go on with: xpcnn train --resume run"),
    ],
)
@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (FileError("a", "to write", "No space", "free some"), 2, "a: expected to write, got No space; free some"),
    ],
    ids=["Ctrl-C", "full disk"],
)
def test_a_run_that_ends_early_says_how_to_go_on(tmp_path, monkeypatch, capsys, begun, how, error, status, said):
    def start(config, folder, **options):
        folder.mkdir()
        for name in begun:
            (folder / name).write_text("{}")
        raise copy(error)

    monkeypatch.setattr("xpcnn.cli.train.start", start)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["train", "digits", "--out", "run"])
    assert end.value.code == status
    assert capsys.readouterr().err == f"xpcnn: {said}{how}\n"


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer_has_its_own_rate_and_decay(asked, tmp_path, optimizer):
    lr, decay = OPTIMIZERS[optimizer].lr, OPTIMIZERS[optimizer].weight_decay
    config, _ = asked("digits", "--optimizer", optimizer)
    assert (config.lr, config.weight_decay) == (lr, decay)
    config, _ = asked("digits", "--optimizer", optimizer, "--lr", 0.5)
    assert (config.lr, config.weight_decay) == (0.5, decay)
    (tmp_path / "run.toml").write_text(f"optimizer = '{optimizer}'\nweight_decay = 0.25")
    config, _ = asked("digits", "--config", "run.toml")
    assert (config.lr, config.weight_decay) == (lr, 0.25)


def test_folder_and_quiet_may_stand_in_a_file(asked, tmp_path):
    (tmp_path / "run.toml").write_text("out = 'here'\nquiet = true")
    told = asked("digits", "--config", "run.toml")[1]
    assert (str(told["folder"]), told["verbose"]) == ("here", False)
    assert str(asked("digits", "--config", "run.toml", "--out", "there")[1]["folder"]) == "there"
