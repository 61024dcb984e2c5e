"""Arrays of a file find their layers: by the same names, in order, or by names given; what fits none is told."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from xpcnn import nn
from xpcnn.errors import FormatError, OptionError
from xpcnn.exchange import load_pytorch, save_pytorch


def numbered(*names):
    """Convolutions of one shape, each with its own number everywhere, under these names."""
    return {f"{name}.weight": np.full((2, 2, 1, 1), i, "float32") for i, name in enumerate(names)}


def chain(n):
    return nn.Sequential(*(nn.Conv2d(2, 2, 1, bias=False) for _ in range(n)))


def order(model):
    return [int(layer.weight[0, 0, 0, 0]) for _, layer in model.named_layers() if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize(
    "names",
    [
        ["features.0", "features.3", "features.10"],
        ["conv1", "conv2", "conv10"],
        ["conv", "conv_1", "conv_2"],
        ["net.layer1.0.conv1", "net.layer1.0.conv2", "net.layer1.1.conv1"],
        ["2", "1", "0"],  # the same names
    ],
)
def test_other_names_in_the_order_of_their_numbers(tmp_path, names):
    save_file(numbered(*names), tmp_path / "w")
    expected = [2, 1, 0] if names == ["2", "1", "0"] else [0, 1, 2]
    assert order(load_pytorch(chain(3), tmp_path / "w")) == expected


def test_names_whose_order_only_words_could_tell(tmp_path):
    save_file(numbered("stem", "body", "head"), tmp_path / "w")
    model = chain(3)
    before = [array.copy() for array in model.parameters().values()]
    with pytest.raises(FormatError, match=r"'body' and 'head'; pass names=.*list\(module.state_dict\(\)\)"):
        load_pytorch(model, tmp_path / "w")
    for array, expected in zip(model.parameters().values(), before, strict=True):
        np.testing.assert_array_equal(array, expected)
    in_order = ["stem.weight", "body.weight", "head.weight"]
    for names in (in_order, tuple(each.removesuffix(".weight") for each in in_order)):
        assert order(load_pytorch(chain(3), tmp_path / "w", names=names)) == [0, 1, 2]
    backwards = {"0": "head", "1": "body", "2": "stem"}
    for names in (backwards, backwards.get, {"0": "head", "2": "stem"}):
        assert order(load_pytorch(chain(3), tmp_path / "w", names=names)) == [2, 1, 0]


def test_an_order_of_words_does_not_matter_where_nothing_depends_on_it(tmp_path):
    extra = {f"{name}.weight": np.zeros((3, 3), "f4") for name in ("stem", "head")}
    save_file(numbered("conv1", "conv2") | extra, tmp_path / "w")
    assert order(load_pytorch(chain(2), tmp_path / "w", strict=False)) == [0, 1]
    save_file(numbered("body") | extra, tmp_path / "w")
    assert order(load_pytorch(chain(1), tmp_path / "w", strict=False)) == [0]


def test_names_for_saving(tmp_path):
    for names in ({"0": "conv", "1": "bn"}, {"0": "conv", "1": "bn"}.get):
        save_pytorch(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.PReLU()), tmp_path / "w", names=names)
        state = load_file(tmp_path / "w")
        assert {name.rpartition(".")[0] for name in state} == {"conv", "bn", "2"}
        assert state["bn.num_batches_tracked"].shape == ()
    with pytest.raises(OptionError, match=r"another name for each layer, got a\.weight twice"):
        save_pytorch(chain(2), tmp_path / "w", names=lambda name: "a")
    with pytest.raises(OptionError, match="names: a mapping or a function"):
        save_pytorch(chain(2), tmp_path / "w", names=["a"])


@pytest.mark.parametrize(
    ("state", "options", "text"),
    [
        (numbered("0"), {}, r"got missing: 1\.weight"),
        (numbered("0", "1", "2"), {}, r"got unknown: 2\.weight"),
        (numbered("0", "a", "b"), {}, r"missing: 1\.weight; unknown: a\.weight, b\.weight"),
        ({"a.gain": np.zeros(2, "f4")}, {"strict": False}, "arrays of this network, got none"),
        (numbered("0", "1") | {"1.bias": np.zeros(2)}, {}, r"unknown: 1\.bias"),
        (
            numbered("0") | {"1.weight": np.zeros((2, 2, 3, 1), "f4")},
            {"strict": False},
            r"wrong: 1\.weight \(2, 2, 3, 1\) for 1\.weight, which is \(2, 2, 1, 1\) there; build",
        ),
        (numbered(*"1abcdefghi"), {}, r"missing: 0\.weight; unknown: .* and 4 more"),
        (numbered("a.1", "a.2", "a.3"), {}, r"got unknown: a\.3\.weight"),
        (numbered("a.1"), {}, r"got missing: 1\.weight"),
        (numbered("0", "1"), {"names": {"0": "a"}}, "'a' of the file, which is none"),
        (numbered("0", "1"), {"names": {"7": "1"}}, "'7' of the network, which is none"),
        (numbered("0", "1"), {"names": {"0": "1", "1": "1"}}, "one for several"),
        (numbered("a", "b"), {"names": ["a"]}, r"names= with all of the file's layers, got none of b"),
        (numbered("0", "1"), {"names": "a"}, "a mapping, a function or a sequence"),
        (numbered("0", "1"), {"names": 3}, "a mapping, a function or a sequence"),
    ],
)
def test_what_does_not_fit_is_listed_in_a_line_and_changes_nothing(tmp_path, state, options, text):
    save_file(state, tmp_path / "w")
    model = chain(2)
    before = [array.copy() for array in model.parameters().values()]
    with pytest.raises((FormatError, OptionError), match=text) as caught:
        load_pytorch(model, tmp_path / "w", **options)
    assert "\n" not in str(caught.value)
    for array, expected in zip(model.parameters().values(), before, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_not_strict_passes_over_what_one_side_lacks(tmp_path):
    save_file(numbered("0", "7", "8"), tmp_path / "w")
    model = chain(2)
    second = model[1].weight.copy()
    load_pytorch(model, tmp_path / "w", strict=False)
    assert (model[0].weight == 0).all()
    np.testing.assert_array_equal(model[1].weight, second)


def test_a_layer_alone_and_layers_that_are_shared(tmp_path):
    shared = nn.Conv2d(2, 2, 1)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    save_pytorch(model, tmp_path / "w")
    assert sorted(load_file(tmp_path / "w")) == ["0.bias", "0.weight"]
    other = nn.Conv2d(2, 2, 1)
    load_pytorch(other, tmp_path / "w", names={"": "0"})
    np.testing.assert_array_equal(other.weight, shared.weight)
    save_pytorch(other, tmp_path / "w")
    assert sorted(load_file(tmp_path / "w")) == ["bias", "weight"]
