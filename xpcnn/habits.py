"""Names that people bring from PyTorch, Keras and scikit-learn, and what stands for each here.

They are no second names. A missing one is an AttributeError as ever, so that `hasattr` is False; its line says more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

_BACKWARD = "loss, cache = criterion.forward(y, target); dx, grads = model.backward(criterion.backward(cache), …)"
_MOVE = "model.to_backend() moves it to the current backend: XPCNN_BACKEND=cupy, or xpcnn.use_backend('cupy')"
_TRAIN = "training.Trainer(model, optimizer).fit(loader, validation, epochs=…), or your own loop of five lines"
_NO_GRAD = "layer(x) is inference and remembers nothing; only layer.forward(x) keeps what backward needs"
_NO_ZERO = "gradients are returned by backward and added up nowhere, so there is nothing to set to zero"
_SOME = "SGD({name: p for name, p in model.parameters().items() if …}, lr=…)"
_FREEZE = "nn.freeze(model, '0.*') is the network in which the parameters of these names stay as they are"
_NONE = "xpcnn has none: no recurrent or attention layers, no embeddings, no 3-d convolutions"

LAYER = {
    "fit": _TRAIN,
    "compile": f"there is nothing to compile: {_TRAIN}",
    "train": f"no mode: layer.forward(x) is for training, layer(x) for inference; to train, {_TRAIN}",
    "eval": "no mode: layer(x) is inference already; nn.eval_mode(layer) gives its gradients",
    "training": "no mode: layer.forward(x) is for training, layer(x) for inference",
    "zero_grad": _NO_ZERO,
    "requires_grad_": _FREEZE,
    "trainable": _FREEZE,
    "predict": "model(x) returns the scores; of a saved one, xpcnn.load(path).predict(pictures) gives the classes",
    "predict_proba": "softmax of model(x): ops.softmax_forward(model(x))[0]",
    "score": "training.evaluate(model, split).accuracy",
    "evaluate": "training.evaluate(model, split)",
    "to": f"{_MOVE}; astype('float64') changes the dtype",
    "cuda": _MOVE,
    "cpu": "xpcnn.use_backend('numpy'), then model.to_backend()",
    "float": "model.astype('float32')",
    "double": "model.astype('float64')",
    "half": "float32 and float64 alone are trained: model.astype('float32')",
    "named_parameters": "model.parameters() has the names: {'0.weight': array, …}",
    "weights": "model.parameters() has them by name",
    "get_weights": "model.state_dict() has them by name",
    "set_weights": "model.load_state_dict(state)",
    "load_weights": "exchange.load_weights(model, path)",
    "save": "io.save_model(model, path, input_shape=…)",
    "save_weights": "io.save_model(model, path, input_shape=…)",
    "modules": "model.named_layers()",
    "named_modules": "model.named_layers()",
    "named_children": "model.children()",
    "layers": "model.children(), or model.named_layers() for all depths",
    "get_layer": "model.children()[name]",
    "count_params": "model.summary(input_shape) counts parameters and multiply-adds",
    "register_forward_hook": "nn.with_hooks(model, hooks), or nn.features(model, layer) for a layer's output",
    "register_backward_hook": "nn.with_hooks(model, hooks)",
    "apply": "for name, layer in model.named_layers(): …",
    "call": "define __call__ for inference, and forward and backward for training",
    "build": "sizes of inputs are arguments of the constructor; model.output_shape(shape) tells what comes out",
    "grad": _BACKWARD,
    "coef_": "model.parameters()",
}
CRITERION = {"to": "a loss has no arrays to move", "cuda": "a loss has no arrays to move", "item": "float(loss)"}
OPTIMIZER = {
    "zero_grad": _NO_ZERO,
    "minimize": "optimizer.step(grads), with the gradients that backward returned",
    "apply_gradients": "optimizer.step(grads), with the gradients that backward returned",
    "param_groups": f"one optimizer for each part: {_SOME}",
    "learning_rate": "optimizer.lr",
    "add_param_group": "one optimizer for each part",
}
TRAINER = {
    "train": "trainer.fit(loader, validation, epochs=…)",
    "compile": "the optimizer and the criterion are arguments of Trainer(…)",
    "test": "trainer.evaluate(split)",
    "predict": "trainer.best_model(x) returns the scores",
    "save_checkpoint": "Trainer(…, folder=…) writes them; fit(…, resume=True) continues",
    "callbacks": "Trainer(…, on_step=[…], on_epoch=[…])",
}
TOP = {
    "no_grad": _NO_GRAD,
    "inference_mode": _NO_GRAD,
    "enable_grad": _NO_GRAD,
    "GradientTape": _BACKWARD,
    "autograd": f"gradients are written by hand: {_BACKWARD}",
    "tensor": "xpcnn.asarray(…): arrays are those of NumPy or CuPy",
    "Tensor": "xpcnn.asarray(…): arrays are those of NumPy or CuPy",
    "array": "xpcnn.asarray(…): arrays are those of NumPy or CuPy",
    "from_numpy": "xpcnn.asarray(…)",
    "manual_seed": "xpcnn.seed(…)",
    "set_random_seed": "xpcnn.seed(…)",
    "device": "XPCNN_BACKEND=cupy, or xpcnn.use_backend('cupy')",
    "cuda": "XPCNN_BACKEND=cupy, or xpcnn.use_backend('cupy')",
    "float32": "dtypes are given by name: 'float32'",
    "float64": "dtypes are given by name: 'float64'",
    "save": "io.save_model(model, path, input_shape=…)",
    "layers": "xpcnn.nn",
    "losses": "the losses are in xpcnn.nn",
    "optimizers": "xpcnn.optim",
    "utils": "xpcnn.data has Split and Loader",
    "datasets": "xpcnn.data",
    "callbacks": "Trainer(…, on_step=[…], on_epoch=[…]) takes functions",
    "metrics": "xpcnn.training has accuracy, top_k_accuracy and confusion_matrix",
    "Model": "nn.Layer, nn.Sequential or nn.Graph",
    "Module": "nn.Layer",
    "compile": "nn.plan(model, input_shape) prepares fast inference",
}
NN = {
    "Module": "nn.Layer",
    "Model": "nn.Layer, nn.Sequential or nn.Graph",
    "Parameter": "an array in an attribute that parameter_names lists; see nn.Layer",
    "ModuleList": "a list of layers in an attribute, or nn.Container",
    "ModuleDict": "nn.Container",
    "functional": "xpcnn.ops, whose functions are pairs: relu_forward, relu_backward",
    "F": "xpcnn.ops, whose functions are pairs: relu_forward, relu_backward",
    "Dense": "nn.Linear(in_features, out_features)",
    "Conv2D": "nn.Conv2d(in_channels, out_channels, kernel_size)",
    "Conv1D": "nn.Conv1d(in_channels, out_channels, kernel_size)",
    "Conv2DTranspose": "nn.ConvTranspose2d(in_channels, out_channels, kernel_size)",
    "Conv1DTranspose": "nn.ConvTranspose1d(in_channels, out_channels, kernel_size)",
    "DepthwiseConv2D": "nn.Conv2d(c, c, kernel_size, groups=c)",
    "SeparableConv2D": "nn.Conv2d(c, c, kernel_size, groups=c), then nn.Conv2d(c, out_channels, 1)",
    "MaxPooling2D": "nn.MaxPool2d(kernel_size)",
    "MaxPooling1D": "nn.MaxPool1d(kernel_size)",
    "AveragePooling2D": "nn.AvgPool2d(kernel_size)",
    "AveragePooling1D": "nn.AvgPool1d(kernel_size)",
    "GlobalAveragePooling2D": "nn.GlobalAvgPool2d()",
    "GlobalMaxPooling2D": "nn.GlobalMaxPool2d()",
    "AdaptiveMaxPool2d": "nn.GlobalMaxPool2d() for an output of one; nn.AdaptiveAvgPool2d for averages",
    "BatchNormalization": "nn.BatchNorm2d(channels) for images, nn.BatchNorm1d(features) for rows",
    "LayerNormalization": "nn.LayerNorm(shape)",
    "ZeroPadding2D": "nn.ZeroPad2d(padding)",
    "UpSampling2D": "nn.Upsample(scale_factor)",
    "UpsamplingNearest2d": "nn.Upsample(scale_factor)",
    "UpsamplingBilinear2d": "nn.Upsample(scale_factor, mode='bilinear')",
    "Concatenate": "nn.Concat() in a Graph; nn.Concat(branch, branch) for branches of one input",
    "Activation": "the activation itself, such as nn.ReLU()",
    "Input": "layers take the sizes of their inputs; only nn.Graph names its inputs",
    "InputLayer": "layers take the sizes of their inputs; only nn.Graph names its inputs",
    "Lambda": "a class of your own with forward and backward; see nn.Layer",
    "CategoricalCrossentropy": "nn.CrossEntropyLoss()",
    "SparseCategoricalCrossentropy": "nn.CrossEntropyLoss()",
    "BinaryCrossentropy": "nn.BCEWithLogitsLoss()",
    "BCELoss": "nn.BCEWithLogitsLoss(), on scores before the sigmoid",
    "MeanSquaredError": "nn.MSELoss()",
    "MeanAbsoluteError": "nn.L1Loss()",
    "SmoothL1Loss": "nn.HuberLoss()",
    **dict.fromkeys(
        ("LSTM", "GRU", "RNN", "Embedding", "MultiheadAttention", "Transformer", "Conv3d", "Conv3D"), _NONE
    ),
}
OPTIM = {
    "lr_scheduler": "the schedules are in xpcnn.optim: StepDecay, Exponential, Cosine, OneCycle, Plateau, WarmUp",
    "schedules": "the schedules are in xpcnn.optim: StepDecay, Exponential, Cosine, OneCycle, Plateau, WarmUp",
    "StepLR": "optim.StepDecay",
    "ExponentialLR": "optim.Exponential",
    "ExponentialDecay": "optim.Exponential",
    "CosineAnnealingLR": "optim.Cosine",
    "CosineDecay": "optim.Cosine",
    "OneCycleLR": "optim.OneCycle",
    "ReduceLROnPlateau": "optim.Plateau",
    "Adamax": "optim.Adam",
    "NAdam": "optim.Adam",
}
DATA = {
    "DataLoader": "data.Loader(split, batch_size, shuffle=True)",
    "TensorDataset": "data.Split(images, labels)",
    "random_split": "split.split(0.1, seed=0)",
    "train_test_split": "split.split(0.1, seed=0)",
    "ImageFolder": "data.image_folder(path)",
    "transforms": "data.augment.parse('flip,crop:4'), and nn.Normalize as a layer",
    "load_data": "data.load('mnist')",
}
TRAINING = {
    "EarlyStopping": "Trainer(…, patience=5)",
    "ModelCheckpoint": "Trainer(…, folder=…)",
    "LearningRateScheduler": "Trainer(…, schedule=optim.Cosine(…))",
    "fit": _TRAIN,
}
MODULES: Mapping[str, Mapping[str, str]] = {
    "xpcnn": TOP, "xpcnn.nn": NN, "xpcnn.optim": OPTIM, "xpcnn.data": DATA, "xpcnn.training": TRAINING,
}  # fmt: skip


def no_such_name(module: str, name: str, names: Iterable[str] = ()) -> AttributeError:
    """The error for a name that a module does not have.

    Parameters
        module : its `__name__`
        names : what it has, in case that one differs only in capitals or underscores

    >>> raise no_such_name("xpcnn.nn", "Dense")
    Traceback (most recent call last):
    AttributeError: module 'xpcnn.nn' has no attribute 'Dense'; here: nn.Linear(in_features, out_features)
    """
    said = MODULES.get(module, {}).get(name, "")
    alike = [each for each in names if _plain(each) == _plain(name)]
    if not said and alike:
        said = f"{module.removeprefix('xpcnn.')}.{alike[0]}"
    return AttributeError(f"module {module!r} has no attribute {name!r}" + (f"; here: {said}" if said else ""))


def names_of(module: str, names: Iterable[str]) -> Any:
    """A module's `__getattr__` that knows nothing but these habits."""

    def look_up(name: str) -> Any:
        raise no_such_name(module, name, names)

    return look_up


class Familiar:
    """The base of classes of which people expect methods that they have elsewhere."""

    __slots__ = ()
    _elsewhere: ClassVar[Mapping[str, str]] = {}  # what stands for each

    if not TYPE_CHECKING:  # to a type checker, other names stay errors

        def __getattr__(self, name: str) -> Any:
            if name[0] == "_":  # asked for often, by protocols and of slots that are not set
                raise AttributeError(name)
            if hasattr(type(self), name):  # a property, which has raised an AttributeError of its own
                return object.__getattribute__(self, name)
            said = type(self)._elsewhere.get(name, "")
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(message + (f"; here: {said}" if said else ""))


def _plain(name: str) -> str:
    return name.replace("_", "").casefold()
