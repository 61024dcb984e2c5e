"""Commands describe xpcnn and this machine; every mistake, whichever the command, is one line and its status."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import xpcnn
from xpcnn import cli
from xpcnn.errors import warn
from xpcnn.io.model_file import save_model
from xpcnn.nn import Flatten, Linear, Sequential

from .command import xpcnn_command


def test_ctrl_c_while_a_command_is_imported_is_one_line(monkeypatch, capsys):
    def importing(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "parser", importing)
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "digits"])
    assert ended.value.code == 130
    assert capsys.readouterr() == ("", "xpcnn: interrupted\n")


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line_on_standard_error(monkeypatch, capsys):
    monkeypatch.setattr("xpcnn.cli.info.run", lambda options: warn("data set", "2 files\n\x1b[2J left out", "look"))
    with pytest.raises(SystemExit) as ended:
        cli.main(["info"])
    assert ended.value.code == 0
    assert capsys.readouterr() == ("", "xpcnn: warning: data set: 2 files \ufffd[2J left out; look\n")


@pytest.mark.parametrize("words", [["gradcheck"], ["data", "list"]], ids=" ".join)
def test_a_log_in_ascii_is_enough(words):
    command = [sys.executable, "-m", "xpcnn", *words]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u2014" in done.stdout or "\\xd7" in done.stdout


def test_without_standard_output_a_command_is_silent(tmp_path):
    code = "import sys; sys.stdout = None; from xpcnn import cli; cli.main(['train', 'digits', '--epochs', '1'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "runs").is_dir()


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"], ["summary", "mlp"]], ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_cannot_be_printed_is_no_success(words, unbuffered):
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "xpcnn", *words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (2, "xpcnn: No space left on device\n")


@pytest.mark.parametrize("words", [["summary", "mlp"], ["data", "list"]], ids=" ".join)
def test_without_standard_output_what_was_to_be_printed_is_said_to_be_lost(words):
    code = f"import sys; sys.stdout = None; from xpcnn import cli; cli.main({words})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (
        2,
        "xpcnn: standard output is closed, and what was to be printed is lost\n",
    )


@pytest.mark.parametrize(("first", "status", "line"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_signals_after_the_first_one_change_nothing(tmp_path, first, status, line):
    code = f"""
import atexit, os, signal
from xpcnn import cli
from xpcnn.errors import warn

signal.signal(signal.SIGINT, signal.default_int_handler)  # a program in the background begins without

class Late:
    def __del__(self):
        send("SIGINT")
        send("SIGTERM")

def send(name):
    os.kill(os.getpid(), getattr(signal, name))

late = Late()
atexit.register(send, "SIGINT")
cli._run = lambda options: send({first!r})
cli.main(["info"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", f"xpcnn: {line}\n")


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
        (["train", "digits", "--optimizer", "nonsense"], "train optimizer: expected one of sgd, adam"),
        (["train", "digits", "--schedule", "x"], "train schedule: expected one of constant"),
        (["train", "digits", "--seed", "-1"], "seed"),
        (["train", "digits", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["train", "--resume", "nowhere"], "resume: expected a run in nowhere"),
        (
            ["train", "digits", "--resume", "run", "--lr", "1"],
            "--resume: expected no other option but --epochs, got lr",
        ),
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
        (["predict", "run", "range.npy"], "or of whole numbers 0 … 255, got numbers from 300.5"),
        (["predict", "run", "object.npy"], "object.npy"),
        (["predict", "run", "shape.npy", "--top-k", "0"], "--top-k: expected a number of classes ≥ 1, got 0"),
        (["predict", "run", "one.npy", "--out", "/proc/nowhere/answers"], "/proc/nowhere/answers: expected to write"),
        (["predict", "run", "one.npy", "--format", "xml"], "invalid choice: 'xml'"),
        (["completion", "sh"], "invalid choice: 'sh'"),
        (["summary", "alexnet"], "got 'alexnet'"),
        (["summary", "lenet5", "--input-shape", "28,28"], "three positive integers"),
        (["gradcheck", "Conv3d"], "got Conv3d"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["traine", "digits"], "did you mean train? see xpcnn --help"),
        (["plot", "sailency", "run", "one.npy"], "did you mean saliency? see xpcnn plot --help"),
        (["predict", "run", "one.npy", "--format", "jsn"], "did you mean json? see xpcnn predict --help"),
        (["summary", "resnet"], "got 'resnet'; did you mean resnet"),
        (["data", "get", "mnst"], "got 'mnst'; did you mean mnist?"),
        (
            ["plot", "batch", "digits", "photos"],
            "xpcnn plot batch: unrecognized arguments: photos; see xpcnn plot batch",
        ),
        (["data", "list", "all"], "xpcnn data list: unrecognized arguments: all; see xpcnn data list --help"),
    ],
)
def test_every_wrong_turn_is_one_line_and_status_2(trained, words, text):
    folder, _ = trained
    (folder / "broken.safetensors").write_bytes(b"no model at all")
    (folder / "broken.png").write_bytes(b"no picture at all")
    (folder / "broken.npy").write_bytes(b"no array at all")
    np.save(folder / "one.npy", np.zeros((8, 8), "uint8"))
    np.save(folder / "shape.npy", np.zeros((3, 7, 7), "uint8"))
    np.save(folder / "range.npy", np.full((8, 8), 300.5))
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
    assert "XPCNN_IMPLEMENTATION: expected one of numba, depthwise, pointwise, tiles, taps, winograd, " in done.stderr
    assert not (tmp_path / "runs").exists()


def test_info_speaks_where_the_backend_cannot_be_used(tmp_path):
    done = xpcnn_command("info", cwd=tmp_path, XPCNN_BACKEND="jax")
    assert done.returncode == 0
    assert "not usable: XPCNN_BACKEND: expected one of" in done.stdout
    forced = xpcnn_command("info", cwd=tmp_path, XPCNN_BACKEND="numpy", XPCNN_IMPLEMENTATION="reference")
    assert "conv2d               reference (others: depthwise, which refuses: it is not" in forced.stdout


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
    for words in "tr" "train --bat" "predict --format js" "train fa" "train digits --model mnist_" \\
        "train --optimizer adag" "train digits --schedule on" "plot batch kmn" "data get si" "summary len" "eval len"
    do
        COMP_WORDS=(xpcnn $words); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
        _shtab_xpcnn xpcnn "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"; echo "${COMPREPLY[@]}"
    done"""
    bash = shutil.which("bash") or pytest.skip("no bash")
    done = subprocess.run([bash, "-c", asked], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        *("train", "--batch-size", "json", "fashion_mnist", "mnist_cnn", "adagrad", "onecycle", "kmnist", "signs"),
        *("lenet5", ""),
    ]


def test_gradcheck_prints_a_row_for_every_gradient(tmp_path):
    done = xpcnn_command("gradcheck", "Conv2d", "ReLU", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[:2] for row in rows] == [["Conv2d", "x"], ["Conv2d", "weight"], ["Conv2d", "bias"], ["ReLU", "x"]]
    assert all(row[-1] == "ok" for row in rows)
