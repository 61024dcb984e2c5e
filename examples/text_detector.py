"""Fine-tune a text detector from an ONNX file
===========================================

The detector of printed text in the package rapidocr-onnxruntime is imported, gives what it gives in ONNX Runtime,
learns from eight pictures to find enlarged digits, and is exported again. Get its file with
``pip install --no-deps rapidocr-onnxruntime``. Without it, a small untrained network takes its place.
"""

import math
import sys
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from xpcnn import asarray, data, nn, optim, to_numpy
from xpcnn.exchange import export_onnx, import_onnx

tiny = "--tiny" in sys.argv
shape = (32, 64, 3) if tiny else (96, 128, 3)
folder = TemporaryDirectory()
path = Path(folder.name) / "small.onnx"
package = find_spec("rapidocr_onnxruntime")  # it is found, and not imported
if package is not None:
    path = Path(package.submodule_search_locations[0]) / "models" / "ch_PP-OCRv4_det_infer.onnx"
else:
    layers = nn.Conv2d(3, 8, 3, stride=2, padding=1, rng=0), nn.ReLU(), nn.ConvTranspose2d(8, 1, 2, stride=2, rng=1)
    export_onnx(nn.Sequential(*layers, nn.Sigmoid()), path, input_shape=shape)

# %%
# Read it
# -------
# The file leaves height and width open. Each entry of the graph is a layer of xpcnn.

detector = import_onnx(path, input_shape=shape).model
weights = sum(array.size for array in detector.parameters().values())
print(f"{len(detector.children())} layers, {weights:,} weights: from {shape} to {detector.output_shape(shape)}")


def in_onnxruntime(file, x):
    """What the file gives for images (N, H, W, C); None without ONNX Runtime."""
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: np.moveaxis(x, -1, 1).copy()})
    return np.moveaxis(y, 1, -1)


def compare(file, x):
    """Prints how far the network is from its file."""
    expected = in_onnxruntime(file, x)
    if expected is not None:
        difference = float(np.abs(to_numpy(detector(asarray(x))) - expected).max())
        print(f"largest difference from ONNX Runtime: {difference:.0e}")
        assert difference < 1e-4


# %%
# Draw pictures
# -------------
# Numbers of three or four digits, three times enlarged, grey on light paper; and where they are.

digits = data.digits().train


def picture(rng):
    """An image (H, W, 3), as the detector takes it, in [-1, 1]; and where its numbers are, (H, W, 1)."""
    paper, mask = np.ones(shape[:2], np.float32), np.zeros(shape[:2], np.float32)
    for top in range(4, shape[0] - 24, 34):
        chosen = digits.images[rng.integers(0, len(digits.images), 2 if tiny else rng.integers(3, 5)), :, :, 0]
        word = np.concatenate(list(chosen), axis=1).repeat(3, axis=0).repeat(3, axis=1) / np.float32(255)
        height, width = word.shape
        row, column = top + rng.integers(0, 4), rng.integers(2, shape[1] - width - 2)
        paper[row : row + height, column : column + width] -= word * rng.uniform(0.4, 0.9)
        mask[row + 2 : row + height - 2, column : column + width] = 1
    return (2 * paper - 1)[..., None].repeat(3, axis=-1), mask[..., None]


def pictures(seed, number=2 if tiny else 8):
    """Arrays of images and masks."""
    drawn = [picture(np.random.default_rng([seed, i])) for i in range(number)]
    x, target = (np.stack(each).astype(np.float32) for each in zip(*drawn, strict=True))
    return x, target


def found(predict, x, target):
    """The part that is found and there, of all that is found or there: intersection over union."""
    is_text = to_numpy(predict(asarray(x))) > 0.3
    return float((is_text & (target > 0)).sum() / max((is_text | (target > 0)).sum(), 1))


x, target = pictures(seed=0)
others = pictures(seed=1)
compare(path, x)
print(f"found of the numbers in eight other pictures: {found(detector, *others):.0%}")

# %%
# Train it
# --------
# Batch norm keeps its statistics: eight pictures are too few for new ones. Beside it, the same network from random
# weights, which has no statistics yet, and uses those of each batch.


def train(network, predict):
    """Trains on the pictures; what `predict` finds in the others, before each step and at the end."""
    loss, optimizer = nn.MSELoss(), optim.Adam(network.parameters(), lr=1e-3)
    overlaps = [found(predict, *others)]
    for step in range(3 if tiny else 15):
        y, cache = network.forward(asarray(x))
        value, loss_cache = loss.forward(y, asarray(target))
        _, grads = network.backward(loss.backward(loss_cache), cache, input_grad=False)
        optimizer.step(grads)
        overlaps.append(found(predict, *others))
        if step % 5 == 0:
            print(f"step {step}: loss {float(value):.3f}")
    print(f"found of the numbers in eight other pictures: {overlaps[-1]:.0%}")
    return overlaps


scratch, rng = deepcopy(detector), np.random.default_rng(0)
for name, array in scratch.parameters().items():
    if array.ndim > 1:  # He's initialisation
        array[...] = asarray(rng.normal(0, np.sqrt(2 / math.prod(array.shape[1:])), array.shape))
    else:
        array[...] = 0 if name.endswith("bias") else 1
curves = {
    "from the file": train(nn.eval_mode(detector), detector),
    "from scratch": train(scratch, lambda x: scratch.forward(x)[0]),
}

# %%
# The curves, side by side
# ------------------------

if find_spec("matplotlib") is not None:
    from matplotlib.figure import Figure

    axes = Figure(figsize=(6, 3.5), layout="constrained").subplots()
    for label, overlaps in curves.items():
        axes.plot(overlaps, label=label)
    axes.set(xlabel="step", ylabel="intersection over union", ylim=(0, 1))
    axes.legend()
    axes.figure.savefig(Path(folder.name) / "curves.png", dpi=120)

# %%
# Export it
# ---------

export_onnx(detector, Path(folder.name) / "digits.onnx", input_shape=shape)
compare(Path(folder.name) / "digits.onnx", x)
folder.cleanup()
