"""Networks of papers, exported by PyTorch: outputs and gradients are PyTorch's, in float64, or a line says why not."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
from ci.paper_networks import classifiers, dense, mobile, pictures, tasks
from ci.paper_networks.catalogue import NETWORKS, Network
from ci.paper_networks.compare import compare

# of one branch, of crossing ones, of two inputs and three outputs, channels that change places, an encoder and decoder
QUICK = [classifiers.LeNet5, classifiers.CBAM, pictures.Autoencoder, mobile.ShuffleNetV2, dense.BilinearUNet]
TRAINED = [classifiers.Res2Net, mobile.EfficientNet]  # with batch norm, without dropout


def known(kind: type) -> Network:
    return next(each for each in NETWORKS if each.make is kind)


@pytest.mark.parametrize("kind", QUICK)
def test_a_few(tmp_path, kind):
    assert compare(known(kind), tmp_path)[0] == "right"


@pytest.mark.parametrize("kind", TRAINED)
def test_in_training(tmp_path, kind):
    assert compare(known(kind), tmp_path, training=True)[0] == "right"


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS, ids=[each.name for each in NETWORKS])
def test_all(tmp_path, network):
    verdict, why = compare(network, tmp_path)
    assert verdict != "wrong", why
    assert verdict == "right" or "expected" in why


def test_a_wrong_gradient_is_seen(tmp_path, monkeypatch):
    """Of one parameter of many, by a millionth."""
    from xpcnn import nn

    backward = nn.Conv2d.backward

    def wrong(self, dy, cache, *, input_grad=True):
        dx, grads = backward(self, dy, cache, input_grad=input_grad)
        return dx, {**grads, "bias": grads["bias"] * (1 + 1e-6)} if self.out_channels == 3 else grads

    monkeypatch.setattr(nn.Conv2d, "backward", wrong)
    verdict, why = compare(known(pictures.EDSR), tmp_path)
    assert verdict == "wrong"
    assert why.startswith("gradient of up.4.bias: ")


assert tasks  # which enters its networks
