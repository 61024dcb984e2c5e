"""Layers of one's own are saved by their registered names, come back in a program that has registered them, and in no
other; nothing is imported by the words of a file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.backend import array_namespace
from xpcnn.errors import FormatError, OptionError
from xpcnn.explain import explain
from xpcnn.io import load_model, read_tensors, save_model, write_tensors
from xpcnn.nn import own_layers
from xpcnn.nn.own_layers import standing_for

from ..training.small import loader, rows, split, trainer


class ScaleShift(nn.Layer):
    """y = x · scale + shift, one of each a channel."""

    parameter_names = ("scale", "shift")
    config_names = ("channels",)

    def __init__(self, channels):
        self.channels = channels
        self.scale = nn.init.draw(nn.init.constant(1.0), (channels,))
        self.shift = nn.init.draw("zeros", (channels,))

    def forward(self, x):
        return x * self.scale + self.shift, x

    def backward(self, dy, cache, *, input_grad=True):
        x = cache
        xp = array_namespace(dy)
        axes = tuple(range(x.ndim - 1))
        return dy * self.scale, {"scale": xp.sum(dy * x, axis=axes), "shift": xp.sum(dy, axis=axes)}


class Block(nn.Sequential):
    """Makes its layers itself."""

    config_names = ("channels",)

    def __init__(self, channels, *, rng=None):
        self.channels = channels
        super().__init__(
            nn.Conv2d(channels, channels, 3, padding=1, rng=rng), ScaleShift(channels), nn.Dropout(0.5, rng=rng)
        )


class Halved(nn.Container):
    """Takes its layer, and computes something with what that gives: y = body(x) / 2."""

    def __init__(self, body):
        super().__init__({"body": body})

    def run_children(self, x, run):
        return run("body", self.children()["body"], x) / 2

    def forward(self, x):
        y, cache = self.forward_child("body", x)
        return y / 2, cache

    def backward(self, dy, cache, *, input_grad=True):
        grads = {}
        return self.backward_child("body", dy / 2, cache, grads, input_grad), grads


class Chain(nn.Layer):
    """Takes a list of layers, and is no container."""

    config_names = ("times",)

    def __init__(self, layers, times=1):
        self.layers, self.times = list(layers), times

    def forward(self, x):
        for layer in self.layers:
            x = layer(x) * self.times
        return x, None

    def backward(self, dy, cache, *, input_grad=True):
        return dy, {}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(own_layers, "_OWN", {})
    for kind in (ScaleShift, Block, Halved, Chain):
        assert nn.register(kind) is kind


def network(seed=0):
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=seed), ScaleShift(4), Block(4, rng=seed), nn.GlobalAvgPool2d(), nn.Linear(4, 3, rng=seed)
    )
    for number, array in enumerate(model.state_dict().values()):
        array += 0.1 + number / 10
    return model


MODELS = {
    "blocks": network,
    "a container that takes a layer": lambda: nn.Sequential(Halved(nn.Conv2d(1, 2, 3)), nn.Flatten()),
    "a list of layers": lambda: Chain([nn.Conv2d(1, 1, 3), ScaleShift(1)], times=3),
    "one of them alone": lambda: ScaleShift(1),
}


@pytest.mark.parametrize("name", MODELS)
def test_they_come_back(tmp_path, rng, name):
    model = MODELS[name]()
    save_model(model, tmp_path / "m.safetensors", input_shape=(6, 5, 1))
    again = load_model(tmp_path / "m.safetensors").model
    assert repr(again) == repr(model)
    x = xpcnn.asarray(rng.normal(size=(2, 6, 5, 1)), "float32")
    np.testing.assert_array_equal(xpcnn.to_numpy(again(x)), xpcnn.to_numpy(model(x)))
    assert [type(layer) for _, layer in again.named_layers()] == [type(layer) for _, layer in model.named_layers()]


def test_a_file_says_a_name_that_no_layer_of_xpcnn_can_have(tmp_path):
    save_model(network(), tmp_path / "m.safetensors", input_shape=(6, 5, 1))
    children = read_tensors(tmp_path / "m.safetensors")[1]["architecture"]["children"]
    assert children["1"] == {"type": "own:ScaleShift", "channels": 4}
    assert children["2"] == {"type": "own:Block", "channels": 4}  # its layers are made by its constructor


def test_another_program_refuses_them_and_says_what_to_do(tmp_path, monkeypatch):
    save_model(network(), tmp_path / "m.safetensors", input_shape=(6, 5, 1))
    monkeypatch.setattr(own_layers, "_OWN", {})
    with pytest.raises(
        FormatError, match=r"layer '1': .* registered, got 'ScaleShift'; .*@nn.register above the class"
    ):
        load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize("name", ["os.system", "own:os.system", "own:", "own:Layer", "own:Conv2d", "subprocess:Popen"])
def test_a_file_cannot_name_anything_else(tmp_path, name):
    save_model(ScaleShift(2), tmp_path / "m.safetensors", input_shape=(2,))
    tensors, metadata = read_tensors(tmp_path / "m.safetensors")
    metadata["architecture"]["type"] = name
    write_tensors(tmp_path / "m.safetensors", tensors, metadata)
    modules = set(sys.modules)
    with pytest.raises(FormatError, match=r"expected a layer of xpcnn.nn|expected the type of a layer"):
        load_model(tmp_path / "m.safetensors")
    assert set(sys.modules) == modules


def test_a_claimed_size_allocates_nothing(tmp_path):
    save_model(ScaleShift(2), tmp_path / "m.safetensors", input_shape=(2,))
    tensors, metadata = read_tensors(tmp_path / "m.safetensors")
    metadata["architecture"]["channels"] = 2**40
    write_tensors(tmp_path / "m.safetensors", tensors, metadata)
    with pytest.raises(FormatError, match=r"expected array scale: float32|a parameter of at most"):
        load_model(tmp_path / "m.safetensors")


def test_layers_within_a_container_of_ones_own_do_not_grow(tmp_path):
    save_model(Halved(nn.Upsample(2)), tmp_path / "m.safetensors", input_shape=(6, 5, 1))
    tensors, metadata = read_tensors(tmp_path / "m.safetensors")
    metadata["architecture"]["children"]["body"]["scale_factor"] = [2**20, 2**20]
    write_tensors(tmp_path / "m.safetensors", tensors, metadata)
    with pytest.raises(FormatError, match="layer 'body': expected at most 134217728 numbers"):
        load_model(tmp_path / "m.safetensors")


class Conv2d(ScaleShift):
    pass


class Renamed(ScaleShift):
    config_names = ("chanels",)


def test_what_cannot_be_registered():
    for wrong, said in [
        (Conv2d, "a name that no layer of xpcnn.nn has, got Conv2d"),
        (nn.Conv2d, "a name that no layer of xpcnn.nn has, got Conv2d"),
        (Renamed, "config_names of Renamed: arguments of its constructor, got chanels"),
        (nn.Layer, "Layer with all methods of a layer, got none of backward, forward"),
        (ScaleShift(2), "a class derived from nn.Layer, got ScaleShift"),
        (dict, "a class derived from nn.Layer, got <class 'dict'>"),
    ]:
        with pytest.raises(OptionError) as raised:
            nn.register(wrong)
        assert said in str(raised.value)


def test_one_name_for_two_classes():
    other = type("ScaleShift", (nn.ReLU,), {"__module__": "elsewhere"})
    with pytest.raises(OptionError, match=r"no other registered class has, got ScaleShift, of .*test_own_layers"):
        nn.register(other)


def test_a_class_that_is_defined_again_replaces_the_first(tmp_path):
    def define():
        class Anew(nn.ReLU):
            pass

        return nn.register(Anew)

    first, second = define(), define()
    save_model(second(), tmp_path / "m.safetensors", input_shape=(2,))
    assert type(load_model(tmp_path / "m.safetensors").model) is second
    with pytest.raises(OptionError, match=r"write @nn.register above its class"):
        save_model(first(), tmp_path / "m.safetensors", input_shape=(2,))


def refused(tmp_path, layer, said):
    with pytest.raises(OptionError) as raised:
        save_model(layer, tmp_path / "m.safetensors", input_shape=(2,))
    assert said in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_arguments_that_a_file_would_forget_are_refused(tmp_path):
    @nn.register
    class Exponent(nn.OpLayer):
        pair = (lambda x: (x, None), lambda dy, cache: dy)

        def __init__(self, exponent=2):
            self.exponent = exponent

    refused(
        tmp_path, Exponent(3), "config_names of Exponent with all arguments of its constructor, got none of exponent"
    )


def test_arguments_that_are_no_attributes_are_refused(tmp_path):
    @nn.register
    class Hidden(nn.ReLU):
        config_names = ("exponent",)

        def __init__(self, exponent=2):
            pass

    refused(tmp_path, Hidden(3), "each of config_names as an attribute of Hidden, got no exponent")


def test_arguments_that_change_on_the_way_are_refused(tmp_path):
    @nn.register
    class Doubled(nn.ReLU):
        config_names = ("exponent",)

        def __init__(self, exponent=2):
            self.exponent = 2 * exponent

    refused(tmp_path, Doubled(3), "to be the constructor's argument exponent, got 6, of which 12 is made")


def test_a_training_is_resumed_and_its_best_model_is_a_model_file(tmp_path):
    def run(to, epochs, **options):
        made = trainer(tmp_path / to, network())
        made.fit(loader(), split(30, seed=1), epochs=epochs, **options)
        return rows(made)

    run("parts", 2)
    assert run("parts", 4, resume=True) == run("whole", 4)
    best = load_model(tmp_path / "parts" / "model.safetensors")
    assert isinstance(best.model[2], Block)


def test_it_is_explained_with_its_docstring(rng):
    page = explain(network(), "1", rng.normal(size=(1, 6, 5, 1)).astype("float32"))
    assert page.steps[0].equations[0].lines == ("y = x · scale + shift, one of each a channel.",)
    assert page.title == "ScaleShift(channels=4)"
    assert {"scale", "shift", "d scale", "dx"} <= page.arrays.keys()


def test_numbered_equations_of_a_docstring_come_first(rng):
    class Square(nn.OpLayer):
        """The square, whose slope = 2x.

        y = x²           (1)
        dx = 2 x · dy    (2)
        """

        pair = (lambda x: (x * x, x), lambda dy, x: 2 * x * dy)

    page = explain(Square(), "", rng.normal(size=(1, 4)).astype("float32"), dy=np.ones((1, 4), "float32"))
    assert [each.numbers for each in page.steps[0].equations] == [(1,), (2,)]


def test_what_stands_for_what():
    class Renamed(nn.BatchNorm2d):
        pass

    class Changed(nn.BatchNorm2d):
        def __call__(self, x):
            return x

    assert standing_for(Renamed) is nn.BatchNorm2d
    assert standing_for(Changed) is None
    assert standing_for(Block) is nn.Sequential
    assert standing_for(Halved) is None


PROGRAM = """
from layers import Gate
from xpcnn import nn
from xpcnn.io import save_model

model = nn.Sequential(nn.Flatten(), Gate(4, strength=3.0), nn.Linear(4, 2, rng=0))
save_model(model, "m.safetensors", input_shape=(2, 2, 1), classes=("cat", "dog"))
"""
LAYERS = '''
from xpcnn import nn

@nn.register
class Gate(nn.Layer):
    """y = x · strength."""

    config_names = ("channels", "strength")

    def __init__(self, channels, strength=1.0):
        self.channels, self.strength = channels, strength

    def forward(self, x):
        return x * self.strength, None

    def backward(self, dy, cache, *, input_grad=True):
        return dy * self.strength, {}
'''
COMMAND = """
import layers
from xpcnn import cli

cli.main()
"""


def test_programs_of_ones_own(tmp_path):
    """Saved by one process, predicted by the command line of another; `xpcnn` alone says what is missing."""
    for name, text in (("train", PROGRAM), ("layers", LAYERS), ("mine", COMMAND)):
        (tmp_path / f"{name}.py").write_text(text)
    np.save(tmp_path / "x.npy", np.eye(2, dtype="float32"))
    root = str(Path(xpcnn.__file__).parents[1])

    def run(*words):
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, text=True)

    assert run("train.py").returncode == 0
    done = run("mine.py", "predict", "m.safetensors", "x.npy", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    refused = run("-m", "xpcnn", "predict", "m.safetensors", "x.npy")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("xpcnn: m.safetensors: architecture, layer '1': expected a layer of xpcnn.nn")
    assert "got 'Gate'; in a program of your own, import its module" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
