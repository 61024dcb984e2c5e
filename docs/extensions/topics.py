"""What stands on which page of the reference, by what one looks for.

A page lists modules. What is public of a module, by the `__all__` of any module, is on its page in the order of the
source; so a new function of a known module needs nothing here, and a new module one word.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A page: its file, its title, what one finds there, and modules below `xpcnn`."""

    name: str
    title: str
    about: str
    modules: tuple[str, ...]


def _topic(name: str, title: str, about: str, modules: str) -> Topic:
    return Topic(name, title, about, tuple(modules.split()))


TOPICS = (
    _topic(
        "networks",
        "Building a network",
        "Layers in a chain or a graph, branches that join, parts of a network, freezing, and plans for inference.",
        "nn.sequential nn.graph nn.branches nn.join ops.join ops.add nn.freezing nn.feature_output nn.hooks "
        "nn.inference nn.planning nn.parts",
    ),
    _topic(
        "convolution",
        "Convolution and linear layers",
        "Layers with weights, as classes and as pairs of functions; the window that slides over an image.",
        "nn.conv ops.conv ops.window nn.conv_transpose ops.conv_transpose nn.linear ops.linear nn.scale ops.scale",
    ),
    _topic(
        "pooling",
        "Pooling and reducing",
        "Maxima, averages and sums: under a window, of whole images, over any axes.",
        "nn.pool ops.pool ops.global_pool ops.adaptive_pool nn.reduce ops.reduce",
    ),
    _topic(
        "activations",
        "Activations",
        "Functions of each number, with their curves; softmax.",
        "nn.activation ops.rectifier ops.activation ops.gelu nn.hard_activation ops.hard_activation ops.clip "
        "nn.soft_activation ops.soft_activation nn.softmax ops.softmax nn.elementary ops.elementary",
    ),
    _topic(
        "normalisation",
        "Normalisation and dropout",
        "Batch norm, layer norm and others; fixed means and deviations of images; dropout.",
        "nn.norm ops.batch_norm nn.instance_norm ops.norm nn.normalize ops.normalize nn.response_norm "
        "ops.response_norm ops.l2_normalize nn.dropout ops.dropout",
    ),
    _topic(
        "shapes",
        "Shapes, padding and sizes of images",
        "Layers that move numbers: flatten, pad, resize, shuffle, slice.",
        "nn.shape ops.pad nn.pad ops.edge_pad nn.upsample ops.upsample ops.bilinear ops.separable nn.shuffle "
        "ops.shuffle",
    ),
    _topic(
        "losses",
        "Losses",
        "Criteria that training minimises, and their gradients.",
        "nn.classification_loss nn.loss ops.loss_classification ops.loss_focal ops.loss_dice ops.loss_elementwise",
    ),
    _topic(
        "optimizers",
        "Optimizers, schedules, initial weights",
        "How weights begin and how a step changes them; learning rates over time; clipping of gradients.",
        "optim.sgd optim.adam optim.adaptive optim.optimizer optim.groups optim.named optim.schedule "
        "optim.clip nn.init",
    ),
    _topic(
        "data",
        "Data sets and batches",
        "Data sets by name, your own files and arrays, batches, and random changes of images.",
        "data.loader data.split data.dataset data.splits data.registry data.digits data.mnist data.cifar data.signs "
        "data.image_folder data.picture_table data.mask_folder "
        "data.array_file data.csv_file data.hdf5_file data.tar_shards data.augment.compose "
        "data.augment.base data.augment.flip data.augment.shift data.augment.rotate data.augment.light "
        "data.augment.cutout data.augment.mixup",
    ),
    _topic(
        "training",
        "Training",
        "The loop with all that a long run needs, what it reports, learning rates found, time by layer, NaN traced.",
        "training.trainer training.callback training.history training.gradients training.csv_log "
        "training.tensorboard_log training.rate_finder training.class_weights training.moving_average "
        "training.features "
        "training.parameter_statistics training.layer_times training.nonfinite training.nonfinite_report",
    ),
    _topic(
        "evaluation",
        "Evaluation and metrics",
        "How good a network is: accuracy, confusion, precision and recall, areas under curves, images beside images.",
        "training.evaluation training.metrics.classification training.metrics.counts training.metrics.ranking "
        "training.metrics.regression training.metrics.images",
    ),
    _topic(
        "pictures",
        "Pictures",
        "Curves, confusion, filters, feature maps, and what a network looks at.",
        "plot.figure plot.curves plot.batch plot.confusion plot.wrong plot.layers plot.grad_cam plot.saliency",
    ),
    _topic(
        "explaining",
        "Explaining and checking gradients",
        "Every number of a layer or of a training step, drawings of an operation, and witnesses of a gradient.",
        "gradient_check explain.explain_layer explain.explanation explain.training_step explain.terminal "
        "explain.webpage explain.drawing",
    ),
    _topic(
        "own_layers",
        "Your own layers and losses",
        "The base classes, and how a file may name a layer of yours.",
        "nn.layer nn.op_layer nn.container nn.own_layers",
    ),
    _topic(
        "models",
        "Named networks",
        "Architectures from papers, from LeNet-5 to ConvNeXt, and a new last layer for them.",
        "models models.facts models.head models.normalized models.lenet models.mlp models.vgg models.resnet_cifar "
        "models.resnet models.densenet models.googlenet models.inception models.squeezenet models.mobilenet_v2 "
        "models.mobilenet_v3 models.shufflenet models.efficientnet models.regnet models.convnext models.fcn "
        "models.unet",
    ),
    _topic(
        "saving",
        "Saving, loading and exchange",
        "Files of networks and arrays; weights from and for PyTorch, Keras and MLX; ONNX.",
        "saved io.model_file io.tensors exchange.weights exchange.pytorch exchange.keras exchange.mlx "
        "exchange.onnx.importer exchange.onnx.export exchange.numpy_program.export service.application service.server",
    ),
    _topic(
        "devices",
        "The GPU, several processes, settings",
        "Where arrays live and which implementation runs; random numbers; the processes that train one network.",
        "backend ops.dispatch random distributed.start distributed.group",
    ),
    _topic(
        "estimators",
        "Estimators for scikit-learn",
        "Networks with fit and predict.",
        "sklearn.classifier sklearn.regressor sklearn.files",
    ),
    _topic(
        "course",
        "The course",
        "Exercises written into a folder, and the verdict on answers.",
        "course.folder course.verdict course.exercise",
    ),
    _topic("errors", "Errors and warnings", "What xpcnn raises, and what each means.", "errors"),
)

CONSTANTS = {  # names for values, which cannot say themselves where they belong: their module, and what they are
    "xpcnn.models.MODELS": ("models.facts", "The function of each named architecture, by its name."),
    "xpcnn.optim.OPTIMIZERS": (
        "optim.named",
        "Each optimizer by the name that commands and estimators know: its class and a learning rate to start from.",
    ),
    "xpcnn.training.STOP": ("training.callback", "What a callback returns to end the training after this step."),
    "xpcnn.data.augment.Augment": (
        "data.augment.base",
        "The type of an augmentation: a function (images, labels, generator) → (images, labels).",
    ),
}
