"""Words that people type into the search, and the pages that answer them: main entries of the index, thus first."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

WORDS = {
    "install": "pip; Windows; requirements; extras",
    "tutorial": "getting started; quick start; hello world; first steps; MNIST; batch; epoch",
    "command_line": "terminal; shell; CLI; train command",
    "course": "exercises; homework; students; teaching; lesson; solutions",
    "seeds": "Charlotte77; worked example; by hand",
    "design": "architecture of the code; threads; im2col; Winograd",
    "reliability": "crash; kill; power loss; corrupted file",
    "derivations/index": "backprop; backpropagation; chain rule; gradient; derivative; proof",
    "derivations/convolution": "convolution backward; kernel gradient; stride; dilation; groups; turned kernel",
    "derivations/checking": "gradient check; finite differences; numerical gradient; complex step",
    "derivations/normalisation": "batch norm backward; batchnorm",
    "derivations/classification_losses": "softmax backward; cross entropy; logits; label smoothing; class weight",
    "derivations/optimizers": "momentum; Adam formula; weight decay",
    "howto/own_images": "folder of pictures; jpg; png; image classification; custom dataset; own data",
    "howto/data_sets": "CIFAR; download data; CSV; npz; HDF5",
    "howto/larger_than_memory": "big data; memory map; webdataset; tar; streaming; out of memory",
    "howto/training": "fit; early stopping; patience; overfitting; validation; augmentation; callbacks; batch size; "
    "TensorBoard; progress bar",
    "howto/masks": "mask; segmentation; a class for each pixel; U-Net; IoU",
    "howto/several_labels": "multi-label; table of pictures; several labels",
    "howto/denoise": "denoising; autoencoder; image to image; super-resolution",
    "howto/two_inputs": "multiple inputs; tabular and image",
    "howto/fine_tuning": "transfer learning; pretrained; freeze; new head",
    "howto/part_of_a_network": "features; embedding; hooks; intermediate output",
    "howto/graph": "skip connection; residual; functional API; branches; multiple inputs; multiple outputs",
    "howto/models": "pretrained weights; ImageNet; torchvision; ResNet; model zoo",
    "howto/custom_layer": "own layer; Module; backward; custom layer",
    "howto/own_loss_and_optimizer": "custom loss; custom optimizer",
    "howto/learning_rate": "lr; lr finder; learning rate finder; learning rate; warm up",
    "howto/resume": "checkpoint; continue training; Ctrl-C; interrupted",
    "howto/reproducibility": "seed; random state; determinism; same result twice",
    "howto/nan": "NaN; inf; infinity; overflow; exploding gradient; loss is nan; not a number",
    "howto/compiled_loops": "numba; compile; jit",
    "howto/speed": "slow; faster; profile; threads; performance",
    "howto/gpu": "GPU; CUDA; CuPy; device; to cuda",
    "howto/processes": "multi-GPU; distributed; MPI; data parallel; cluster",
    "howto/saving": "save model; load model; safetensors; predict; pickle",
    "howto/network_as_program": "export to NumPy; without a library; deploy; embed; source code of a network",
    "howto/service": "serve; HTTP; REST; API; deploy; server; Prometheus; web page; upload",
    "howto/exchange": "weights from PyTorch; weights from Keras; ONNX; convert; import; export; state_dict; MLX",
    "howto/estimator": "sklearn; scikit-learn; GridSearchCV; pipeline; regression",
    "howto/pictures": "plot; visualize; confusion matrix; heat map; Grad-CAM; saliency; filters",
    "howto/notebooks": "Jupyter; Colab; ipynb; VS Code",
    "howto/explain": "visualize gradient; see the numbers; step by step",
    "coming_from/pytorch": "torch; PyTorch; autograd; nn.Module",
    "coming_from/keras": "Keras; TensorFlow",
    "coming_from/scikit_learn": "sklearn; scikit-learn",
    "reference/convolution": "Dense; dense layer; fully connected; depthwise; transposed convolution; deconvolution",
    "reference/activations": "softmax; ReLU; sigmoid",
    "reference/normalisation": "dropout; batch norm; normalization",
    "reference/optimizers": "learning rate; schedule; scheduler; Adam; SGD; gradient clipping; initializer; "
    "weight init",
    "reference/losses": "cross entropy; loss function; MSE; regression",
    "reference/evaluation": "accuracy; precision; recall; F1; ROC; AUC; IoU; PSNR",
    "reference/networks": "Sequential; model; freeze",
    "reference/errors": "exception; warning",
}


class Entries(SphinxTransform):
    default_priority = 250

    def apply(self, **options: Any) -> None:
        words = WORDS.get(self.env.current_document.docname)
        section = next(iter(self.document.findall(nodes.section)), None)
        if words and section is not None:
            place = section["ids"][0]
            entries = [("single", word.strip(), place, "main", None) for word in words.split(";")]
            section.insert(1, addnodes.index(entries=entries))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_transform(Entries)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
