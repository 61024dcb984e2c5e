"""The command line as a user meets it, in processes of its own: results, files, exit status, one clear line."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import xpcnn
from xpcnn import cli, data
from xpcnn.io.model_file import load_model, save_model
from xpcnn.nn import Flatten, Linear, Sequential

from .command import xpcnn_command

FAST = ("--model", "mlp", "--epochs", 2, "--lr", 0.02)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    done = xpcnn_command("train", "digits", *FAST, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_train_keeps_everything(trained):
    folder, output = trained
    run = folder / "run"
    assert {path.name for path in run.iterdir()} == {
        "config.json", "history.csv", "checkpoint.safetensors", "model.safetensors", "result.json", "curves.png",
    }  # fmt: skip
    result = json.loads((run / "result.json").read_text())
    assert f"test accuracy {result['test_accuracy']:.2%} of 360 images" in output
    assert 0.8 < result["test_accuracy"] <= 1
    assert result["seconds"] > 0
    config = json.loads((run / "config.json").read_text())
    assert (config["dataset"], config["model"], config["epochs"], config["seed"]) == ("digits", "mlp", 2, 0)
    assert len((run / "history.csv").read_text().splitlines()) == 3
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_eval_and_predict_agree_with_train(trained, tmp_path):
    folder, _ = trained
    result = json.loads((folder / "run" / "result.json").read_text())
    done = xpcnn_command("eval", "run", "digits", cwd=folder)
    correct = round(result["test_accuracy"] * 360)
    assert f"({correct} of 360)" in done.stdout, done.stderr
    test = data.load("digits").test
    np.save(tmp_path / "images.npy", test.images)
    done = xpcnn_command("predict", "run/model.safetensors", tmp_path / "images.npy", cwd=folder)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(lines) == 360
    assert lines[7][0] == f"{tmp_path / 'images.npy'}[7]"
    assert sum(int(label) == true for (_, label, _), true in zip(lines, test.labels, strict=True)) == correct


def test_predict_reads_pictures_and_arrays_alike(trained, tmp_path):
    image = pytest.importorskip("PIL.Image")
    folder, _ = trained
    pixels = data.load("digits").test.images[3]
    image.fromarray(pixels[:, :, 0]).save(tmp_path / "digit.png")
    np.save(tmp_path / "one.npy", pixels[:, :, 0])
    np.save(tmp_path / "float.npy", (pixels / 255).astype("float32"))
    files = [tmp_path / name for name in ("digit.png", "one.npy", "float.npy")]
    done = xpcnn_command("predict", "run", *files, cwd=folder)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == [str(path) for path in files]
    assert len({tuple(line[1:]) for line in lines}) == 1


def test_predict_in_csv_and_json_with_the_likeliest_classes(trained, tmp_path):
    folder, _ = trained
    np.save(tmp_path / "images.npy", data.load("digits").test.images[:3])
    words = ("predict", "run", tmp_path / "images.npy", "--top-k", 3)
    text = [line.split("\t") for line in xpcnn_command(*words, cwd=folder).stdout.splitlines()]
    rows = list(csv.DictReader(xpcnn_command(*words, "--format", "csv", cwd=folder).stdout.splitlines()))
    done = xpcnn_command(*words, "--format", "json", "--out", tmp_path / "answers.json", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    answers = json.loads((tmp_path / "answers.json").read_text())
    saved = load_model(folder / "run" / "model.safetensors")
    x = data.load("digits").test.images[:3].astype("float32") / 255
    scores = xpcnn.to_numpy(saved.model(xpcnn.asarray(x)))
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert len(text) == len(answers) == 3
    assert len(rows) == 9
    for i, answer in enumerate(answers):
        best = np.argsort(-probabilities[i])[:3]
        assert answer["file"] == text[i][0] == rows[3 * i]["file"] == f"{tmp_path / 'images.npy'}[{i}]"
        assert [each["class"] for each in answer["predictions"]] == [str(k) for k in best] == text[i][1::2]
        for rank, (k, each) in enumerate(zip(best, answer["predictions"], strict=True)):
            row = rows[3 * i + rank]
            assert (row["rank"], row["class"]) == (str(rank + 1), str(k))
            for found in (each["probability"], float(row["probability"])):
                np.testing.assert_allclose(found, probabilities[i, k], rtol=1e-4)
            assert text[i][2 + 2 * rank] == f"{each['probability']:.4f}"


def test_names_in_a_file_do_nothing_to_a_terminal(tmp_path):
    classes = ["a\x1b[31m\nb", "c\td"]
    save_model(
        Sequential(Flatten(), Linear(4, 2, rng=0)),
        tmp_path / "model.safetensors",
        input_shape=(2, 2, 1),
        classes=classes,
    )
    np.save(tmp_path / "image.npy", np.zeros((2, 2), "uint8"))
    done = xpcnn_command("predict", "model.safetensors", "image.npy", "--top-k", 2, cwd=tmp_path)
    name, *cells = done.stdout.removesuffix("\n").split("\t")
    assert name == "image.npy"
    assert set(cells[::2]) == {"a\ufffd[31m b", "c d"}
    done = xpcnn_command("eval", "model.safetensors", "digits", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


def test_predict_answers_for_the_images_that_it_can_read(trained, tmp_path):
    folder, _ = trained
    np.save(tmp_path / "good.npy", data.load("digits").test.images[0])
    (tmp_path / "broken.png").write_bytes(b"no picture at all")
    files = [tmp_path / "broken.png", tmp_path / "good.npy", tmp_path / "nowhere.png"]
    done = xpcnn_command("predict", "run", *files, "--format", "json", cwd=folder)
    assert [each["file"] for each in json.loads(done.stdout)] == [str(files[1])]
    assert done.returncode == 2
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [str(files[0]), str(files[2])]
    assert "nowhere.png" in done.stderr
    assert json.loads(xpcnn_command("predict", "run", files[0], "--format", "json", cwd=folder).stdout) == []


def test_predict_of_dark_ink_transparency_and_sixteen_bits(trained, tmp_path):
    image = pytest.importorskip("PIL.Image")
    folder, _ = trained
    pixels = data.load("digits").test.images[3][:, :, 0]
    image.fromarray(255 - pixels).save(tmp_path / "dark_on_light.png")
    ink = np.zeros((8, 8, 4), "uint8")
    ink[..., 3] = pixels  # black, as opaque as there is ink
    image.fromarray(ink).save(tmp_path / "transparent.png")
    image.fromarray(pixels).save(tmp_path / "plain.png")
    image.fromarray(pixels.astype("uint16") * 257).save(tmp_path / "sixteen.png")

    def said(*words):
        done = xpcnn_command("predict", "run", *words, cwd=folder)
        assert done.returncode == 0, done.stderr
        return [tuple(line.split("\t")[1:]) for line in done.stdout.splitlines()]

    plain = said(tmp_path / "plain.png")
    assert said(tmp_path / "sixteen.png") == plain
    assert said("--invert", tmp_path / "dark_on_light.png", tmp_path / "transparent.png") == plain * 2
    assert said(tmp_path / "dark_on_light.png") != plain


def test_the_same_seed_gives_the_same_run_and_another_does_not(trained, tmp_path):
    folder, _ = trained
    model = (folder / "run" / "model.safetensors").read_bytes()
    for seed, same in ((0, True), (1, False)):
        done = xpcnn_command("train", "digits", *FAST, "--out", tmp_path / str(seed), "--seed", seed, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert ((tmp_path / str(seed) / "model.safetensors").read_bytes() == model) is same


def test_every_option_reaches_the_run(tmp_path):
    asked = {
        "model": "mlp", "epochs": 1, "batch_size": 50, "lr": 0.25, "optimizer": "sgd", "schedule": "cosine",
        "weight_decay": 0.125, "validation": 0.25, "patience": 3, "seed": 7,
    }  # fmt: skip
    words = [word for name, value in asked.items() for word in (f"--{name.replace('_', '-')}", value)]
    done = xpcnn_command("train", "digits", *words, "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert {name: config[name] for name in asked} == asked


def test_without_out_each_run_has_its_own_folder(tmp_path):
    for name in ("digits-mlp", "digits-mlp-2"):
        done = xpcnn_command("train", "digits", *FAST, "--epochs", 1, "--quiet", cwd=tmp_path)
        assert done.stdout.count("\n") == 1
        assert done.stdout.endswith(f"kept in runs/{name}\n")
        assert (tmp_path / "runs" / name / "result.json").exists()


def test_ctrl_c_leaves_a_checkpoint_from_which_the_run_goes_on_bit_for_bit(tmp_path):
    options = ["digits", "--model", "mlp", "--epochs", "40"]
    process = subprocess.Popen(
        [sys.executable, "-m", "xpcnn", "train", *options, "--out", "cut"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "cut" / "history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert re.fullmatch(r"xpcnn: interrupted .*; go on with: xpcnn train --resume cut\n", errors)
    assert not (tmp_path / "cut" / "result.json").exists()
    done = xpcnn_command("train", "--resume", "cut", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    xpcnn_command("train", *options, "--out", "whole", cwd=tmp_path)
    assert (tmp_path / "cut" / "model.safetensors").read_bytes() == (
        tmp_path / "whole" / "model.safetensors"
    ).read_bytes()


def test_ctrl_c_while_a_command_is_imported_is_one_line(monkeypatch, capsys):
    def importing(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "parser", importing)
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "digits"])
    assert ended.value.code == 130
    assert capsys.readouterr() == ("", "xpcnn: interrupted\n")


def test_resuming_a_finished_run_only_repeats_its_result(trained):
    folder, output = trained
    done = xpcnn_command("train", "--resume", "run", cwd=folder)
    assert done.returncode == 0
    assert done.stdout == output.splitlines(keepends=True)[-1]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["train"], "expected a data set: digits, mnist"),
        (["train", "cifar"], "digits"),
        (["train", "digits", "--model", "alexnet"], "train model: expected one of mlp, lenet5"),
        (["train", "digits", "--model", "vgg16"], "vgg16: expected images of at least 32×32"),
        (["train", "digits", "--epochs", "0"], "train: expected epochs: an integer ≥ 1, got 0"),
        (["train", "digits", "--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        (["train", "digits", "--lr", "nan"], "train: expected lr: a number in (0, inf), got nan"),
        (["train", "digits", "--optimizer", "lion"], "train optimizer: expected one of sgd, adam"),
        (["train", "digits", "--schedule", "x"], "train schedule: expected one of constant"),
        (["train", "digits", "--seed", "-1"], "seed"),
        (["train", "digits", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["train", "--resume", "nowhere"], "resume: expected a run in nowhere"),
        (["train", "digits", "--resume", "run"], "--resume: expected no other option, got dataset"),
        (["train", "digits", "--out", "run"], "xpcnn train --resume run"),
        (["train", "digits", "--out", "/proc/nowhere/run"], "/proc/nowhere"),
        (["eval", "nowhere.safetensors", "digits"], "nowhere.safetensors"),
        (["eval", "broken.safetensors", "digits"], "broken.safetensors"),
        (["eval", "run", "cifar"], "digits"),
        (["eval", "run/checkpoint.safetensors", "digits"], "expected a model, got a file of kind 'checkpoint'"),
        (["train", "digits", "--epoch", "1"], "xpcnn train: unrecognized arguments: --epoch 1; see xpcnn train --help"),
        (["--nonsense"], "xpcnn: unrecognized arguments: --nonsense; see xpcnn --help"),
        (["train", "digits", "--out", "broken.npy"], "broken.npy"),
        (["predict", "run", "nowhere.png"], "nowhere.png: expected a picture or a .npy array, got no such file"),
        (["predict", "run", "broken.png"], "broken.png: expected a picture"),
        (["predict", "run", "broken.npy"], "broken.npy: expected a .npy array"),
        (["predict", "run", "shape.npy"], r"shape.npy: expected images (8, 8, 1), or a batch of them, got (3, 7, 7)"),
        (["predict", "run", "range.npy"], "uint8, or floats in [0, 1]"),
        (["predict", "run", "object.npy"], "object.npy"),
        (["predict", "run", "shape.npy", "--top-k", "0"], "--top-k: expected a number of classes ≥ 1, got 0"),
        (["predict", "run", "one.npy", "--out", "/proc/nowhere/answers"], "/proc/nowhere/answers: expected to write"),
        (["predict", "run", "one.npy", "--format", "xml"], "invalid choice: 'xml'"),
        (["completion", "sh"], "invalid choice: 'sh'"),
        (["summary", "alexnet"], "got 'alexnet'"),
        (["summary", "lenet5", "--input-shape", "28,28"], "three positive integers"),
        (["gradcheck", "Conv3d"], "got Conv3d"),
        (["nonsense"], "invalid choice: 'nonsense'"),
    ],
)
def test_every_wrong_turn_is_one_line_and_status_2(trained, words, text):
    folder, _ = trained
    (folder / "broken.safetensors").write_bytes(b"no model at all")
    (folder / "broken.png").write_bytes(b"no picture at all")
    (folder / "broken.npy").write_bytes(b"no array at all")
    np.save(folder / "one.npy", np.zeros((8, 8), "uint8"))
    np.save(folder / "shape.npy", np.zeros((3, 7, 7), "uint8"))
    np.save(folder / "range.npy", np.full((8, 8), 200.0))
    np.save(folder / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    before = {path: path.read_bytes() for path in (folder / "run").iterdir()}
    done = xpcnn_command(*words, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("xpcnn")
    assert {path: path.read_bytes() for path in (folder / "run").iterdir()} == before


def test_a_missing_data_set_says_where_to_put_it(tmp_path):
    (tmp_path / "empty").mkdir()
    nobody = {"https_proxy": "http://127.0.0.1:9", "no_proxy": ""}  # no network: the proxy's port refuses
    places = {"XPCNN_DATA": str(tmp_path / "empty"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = xpcnn_command("train", "mnist", cwd=tmp_path, **nobody, **places)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "XPCNN_DATA" in done.stderr
    assert "train-images-idx3-ubyte" in done.stderr


def test_wrong_backend_is_one_line(tmp_path):
    done = xpcnn_command("train", "digits", cwd=tmp_path, XPCNN_BACKEND="jax")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "XPCNN_BACKEND: expected one of numpy, cupy" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_wrong_implementation_is_named_before_a_folder_is_made(tmp_path):
    done = xpcnn_command("train", "digits", cwd=tmp_path, XPCNN_IMPLEMENTATION="fast")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "XPCNN_IMPLEMENTATION: expected one of winograd, rows, im2col, reference, " in done.stderr
    assert not (tmp_path / "runs").exists()


def test_info_speaks_where_the_backend_cannot_be_used(tmp_path):
    done = xpcnn_command("info", cwd=tmp_path, XPCNN_BACKEND="jax")
    assert done.returncode == 0
    assert "not usable: XPCNN_BACKEND: expected one of" in done.stdout
    forced = xpcnn_command("info", cwd=tmp_path, XPCNN_BACKEND="numpy", XPCNN_IMPLEMENTATION="reference")
    assert "conv2d               reference (others: winograd; rows; im2col)" in forced.stdout


def test_a_model_for_other_images_is_refused(tmp_path):
    model = Sequential(Flatten(), Linear(9, 10, rng=0))
    save_model(model, tmp_path / "small.safetensors", input_shape=(3, 3, 1))
    done = xpcnn_command("eval", "small.safetensors", "digits", cwd=tmp_path)
    assert done.returncode == 2
    assert "expected images (3, 3, 1), got digits's (8, 8, 1)" in done.stderr


def test_info_summary_version_help(trained):
    folder, _ = trained
    info = xpcnn_command("info", cwd=folder).stdout
    for part in (f"xpcnn                {xpcnn.__version__}", "backend", "blas", "core", "cupy", "conv2d", "reference"):
        assert part in info
    assert "61,706" in xpcnn_command("summary", "lenet5", cwd=folder).stdout
    assert "Linear" in xpcnn_command("summary", "run", cwd=folder).stdout
    assert xpcnn_command("--version", cwd=folder).stdout == f"xpcnn {xpcnn.__version__}\n"
    helped = xpcnn_command("--help", cwd=folder)
    assert helped.returncode == 0
    assert all(command in helped.stdout for command in ("train", "eval", "predict", "summary", "info", "gradcheck"))
    assert "--batch-size" in xpcnn_command("train", "--help", cwd=folder).stdout


def test_doctor_finds_nothing_wrong_or_says_what(tmp_path):
    done = xpcnn_command("doctor", cwd=tmp_path, XPCNN_BACKEND="numpy")
    verdicts = {line[9:29].strip(): line[:8].strip() for line in done.stdout.split("\n\n")[1].splitlines()}
    assert {name for name, verdict in verdicts.items() if verdict == "ok"} >= {"gradients", "implementations", "files"}
    assert done.returncode == ("PROBLEM" in verdicts.values())
    ill = xpcnn_command(
        "doctor", cwd=tmp_path, XPCNN_BACKEND="numpy", XPCNN_DATA=str(tmp_path / "nowhere"), XPCNN_NUM_THREADS="1000"
    )
    assert ill.returncode == 1
    assert re.search(r"PROBLEM  data +XPCNN_DATA is .*nowhere, which is no folder; make it", ill.stdout)
    assert re.search(r"PROBLEM  threads +1000 for \d+ cores; set XPCNN_NUM_THREADS", ill.stdout)
    ill = xpcnn_command("doctor", cwd=tmp_path, XPCNN_BACKEND="jax")
    assert (ill.returncode, ill.stderr) == (1, "")
    assert "PROBLEM  gradients            XPCNN_BACKEND: expected one of" in ill.stdout


def test_completion_knows_commands_options_and_choices(tmp_path):
    (tmp_path / "script").write_text(xpcnn_command("completion", "bash", cwd=tmp_path).stdout)
    asked = """source ./script
    for words in "tr" "train --bat" "predict --format js"; do
        COMP_WORDS=(xpcnn $words); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
        _shtab_xpcnn xpcnn "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"; echo "${COMPREPLY[@]}"
    done"""
    bash = shutil.which("bash") or pytest.skip("no bash")
    done = subprocess.run([bash, "-c", asked], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["train", "--batch-size", "json"]


def test_gradcheck_prints_a_row_for_every_gradient(tmp_path):
    done = xpcnn_command("gradcheck", "Conv2d", "ReLU", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[:2] for row in rows] == [["Conv2d", "x"], ["Conv2d", "weight"], ["Conv2d", "bias"], ["ReLU", "x"]]
    assert all(row[-1] == "ok" for row in rows)


def test_output_that_nobody_reads_is_no_error(trained):
    folder, _ = trained
    np.save(folder / "many.npy", np.tile(data.load("digits").test.images, (20, 1, 1, 1)))
    command = f"{sys.executable} -m xpcnn predict run many.npy | head -n 1"
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
