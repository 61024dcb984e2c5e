"""The command line word for word: every option of every command, and what the commands print."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
import pytest

from xpcnn import cli, nn
from xpcnn.cli import info
from xpcnn.io.model_file import REGRESSION, save_model

from ..snapshot import assert_same

FOLDER = Path(__file__).parent / "snapshots"


def options(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield f"  {action.dest} {action.metavar}, required: {action.required}"
            for pseudo in action._choices_actions:
                yield f"    {pseudo.dest}: {pseudo.help}"
            for command in action.choices.values():
                yield f"{command.prog}: {command.description} {command.epilog or ''} {command.allow_abbrev}"
                yield from options(command)
        else:
            kind = getattr(action.type, "__name__", "")
            known = f"among {[*action.choices]}" if action.choices else ""
            yield f"  {' '.join(action.option_strings) or action.dest} {action.metavar or ''}: {action.help}".rstrip()
            yield f"    {type(action).__name__} {kind} {action.default!r} {action.nargs} {action.required} {known}"


def test_every_option_of_every_command():
    assert_same(FOLDER / "options.txt", options(cli.parser(cli.COMMANDS)))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A classifier, whose outputs are known without training; another with its mean inside; one that gives a value."""
    model = nn.Sequential(nn.Normalize([0.5], [0.25]), nn.Flatten(), nn.Linear(64, 10, rng=0))
    model[2].weight[...] = 0
    model[2].weight[3, 20], model[2].bias[...] = 1, np.arange(10) / 4
    save_model(model, tmp_path / "model.safetensors", input_shape=(8, 8, 1), classes=[*"0123456789"])
    value = nn.Sequential(nn.Flatten(), nn.Linear(64, 1, rng=0))
    value[1].weight[...], value[1].bias[...] = 0, 1.25
    save_model(value, tmp_path / "value.safetensors", input_shape=(8, 8, 1), extra={REGRESSION: True})
    np.save(tmp_path / "one.npy", np.full((8, 8, 1), 0.5, "f4"))
    np.save(tmp_path / "two.npy", np.arange(128).reshape(2, 8, 8, 1).astype("u1") * 2)
    np.save(tmp_path / "many.npy", np.zeros((1025, 8, 8, 1), "u1"))
    np.savez(tmp_path / "values.npz", x=np.zeros((20, 8, 8, 1), "u1"), y=np.arange(20) / 2)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


MOST = 25  # lines of output
PRINTED = """
eval model.safetensors digits --part test
eval model.safetensors digits --part test --batch-size 7
eval model.safetensors digits
eval value.safetensors values.npz --part all
eval model.safetensors values.npz
predict model.safetensors one.npy two.npy
predict model.safetensors one.npy --top-k 3
predict model.safetensors two.npy --format csv --top-k 2 --invert
predict model.safetensors two.npy --format json --top-k 1 --scale 510
predict value.safetensors one.npy two.npy
predict value.safetensors one.npy --format csv
predict value.safetensors one.npy --format json
predict model.safetensors one.npy --out answers.txt
predict model.safetensors folder
data list
data show digits
data show digits -n 3 --out sheet.png
data show values.npz
data get digits
export model.safetensors a.onnx
export model.safetensors b.safetensors
export model.safetensors c.safetensors --to mlx
export model.safetensors model.safetensors
summary model.safetensors
summary mlp --input-shape 4,6,3 --classes 7
explain model.safetensors 2 one.npy --precision 3
explain model.safetensors 2 one.npy --precision 16
explain model.safetensors loss two.npy
explain model.safetensors loss one.npy --batch two.npy --target 2 --html page.html
explain value.safetensors 1 one.npy
explain model.safetensors 1 one.npy --batch many.npy
plot confusion model.safetensors digits
plot saliency model.safetensors folder
plot saliency model.safetensors two.npy --index 1 --out two.svg
gradcheck Linear Dropout
gradcheck Linear Conv3d
"""


@pytest.mark.filterwarnings("default")
def test_what_commands_print(here, capsys):
    said = []
    for words in PRINTED.strip().splitlines():
        with pytest.raises(SystemExit) as ended:
            cli.main(words.split())
        output, errors = capsys.readouterr()
        if words.startswith("gradcheck"):
            output = re.sub(r"\d\.\de[-+]\d\d", "·······", output)
        if words == "data list":  # what is on this machine is no matter
            output = re.sub(r"(no; |/).*|-{60,}", "…", output)
        output = re.sub(r"(\.\d{3})\d+", r"\1…", output)
        said += [f"$ xpcnn {words}", *output.splitlines()[:MOST], errors.rstrip(), f"= {ended.value.code}", ""]
    assert_same(FOLDER / "printed.txt", [each.replace(str(here), "…") for each in said])


def test_which_implementation_takes_what():
    said = [f"{operation}: {others}" for operation, others in info._implementations()]
    assert_same(FOLDER / "implementations.txt", said)
