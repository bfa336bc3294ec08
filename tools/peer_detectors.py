"""Out-of-distribution detectors of other libraries, and ours: one of them fitted and timed, in a process of its own.

    python peer_detectors.py NAME TASK RESULT

runs in the environment of the detector's library, which need not hold `keras_ood`; `compare_peers.py` calls it. `TASK` is an
.npz file: `seed`, `train` `(N, width)` and its `labels` `(N,)`, and a set of images `test:<name>` for each name, `test:` alone
being the in-distribution one; images are the features of one encoder, float32 `(n, width)`. `RESULT` gets the scores of each
set, higher = more out-of-distribution, and the costs.

Every detector has the settings that its documentation gives, or its defaults.
"""

import importlib
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
from task_process import answer, peak_mib

Scorer = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray, int], Scorer]
"""From features, their labels and a seed to a function that scores others."""

IMPORTED = {
    "keras-ood": ["keras_ood.training.resumable", "keras_ood.training.start"],
    "pytorch-ood": ["torch", "pytorch_ood.detector", "sklearn.linear_model"],
    "pyod": ["torch", "pyod.models.deep_svdd", "sklearn.preprocessing"],
    "alibi-detect": ["tensorflow", "alibi_detect.od", "sklearn.preprocessing"],
}
"""What is imported before the clock starts, by library."""


class Peer(NamedTuple):
    """A detector.

    Attributes:
        library: Its distribution on the package index.
        fit: See `Fit`.
        labels: Whether it needs the classes of the in-distribution images.
        slow: Whether a fit takes minutes: it is made with the first seed alone.
        note: Settings, for the page.
    """

    library: str
    fit: Fit
    labels: bool = False
    slow: bool = False
    note: str = "defaults"


def ours(family: str) -> Fit:
    """Return the fit of `keras_ood.finetune`, without the card: split, trained, its gate fitted, calibrated."""

    def fit(train: np.ndarray, labels: np.ndarray, seed: int) -> Scorer:
        import tempfile
        from pathlib import Path

        import keras

        from keras_ood.encoders import FrozenEncoder
        from keras_ood.images.embeddings import Embeddings
        from keras_ood.training.calibrated import calibrated
        from keras_ood.training.resumable import train as trained
        from keras_ood.training.settings import Settings
        from keras_ood.training.split import Split
        from keras_ood.training.start import ENCODER, Start

        keras.utils.set_random_seed(seed)
        start = Start.of(FrozenEncoder(ENCODER), None, None, family, Settings())
        gate, shape = start.original.gate, start.original.preprocessing.image_shape
        identity = start.original.feature_space.encoder.identity | {"given_shape": list(shape)}
        split = Split.of(Embeddings(train, identity), seed, 1 if gate is None else 2)
        with tempfile.TemporaryDirectory() as state:
            detector, _ = trained(start.over(split.training), split, Settings(seed=seed), Path(state), verbose=0)
        detector = calibrated(detector, gate, None, split)
        return lambda features: detector.score(Embeddings(features, identity), progress=False)

    return fit


def pyod(module: str, name: str, **settings: Any) -> Fit:
    """Return the fit of a detector of PyOD, on standardised features as its documentation advises."""

    def fit(train: np.ndarray, labels: np.ndarray, seed: int) -> Scorer:
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(train)
        kind = getattr(importlib.import_module(f"pyod.models.{module}"), name)
        own = {key: {"width": train.shape[1], "seed": seed}.get(value, value) for key, value in settings.items()}
        detector = kind(**own).fit(scaler.transform(train))
        return lambda features: detector.decision_function(scaler.transform(features))

    return fit


def pytorch_ood(name: str, labelled: bool = True, head: str = "", **settings: Any) -> Fit:
    """Return the fit of a detector of features of pytorch-ood; without labels all images are of one class.

    Args:
        name: Of its class.
        labelled: Whether it is given labels.
        head: What it takes of a linear classifier of the features, fitted to the labels: `"weights"`, the `"head"`, or nothing.
        **settings: Of its class.
    """

    def fit(train: np.ndarray, labels: np.ndarray, seed: int) -> Scorer:
        import torch
        from pytorch_ood import detector as detectors

        torch.manual_seed(seed)
        classes = labels if labelled else np.zeros(len(train), int)
        own = {key: train.shape[1] // 2 if value == "half the width" else value for key, value in settings.items()}
        if head:
            layer = _linear_head(train, labels)
            own |= {"w": layer.weight.data, "b": layer.bias.data} if head == "weights" else {"head": layer}
        detector = getattr(detectors, name)(encoder=None, **own)
        with torch.inference_mode():
            detector.fit_features(torch.tensor(train), torch.tensor(classes))
        return _of_tensors(detector.predict_features)

    return fit


def pytorch_ood_of_logits(name: str) -> Fit:
    """Return the fit of a detector of logits of pytorch-ood: those of a linear classifier of the features."""

    def fit(train: np.ndarray, labels: np.ndarray, seed: int) -> Scorer:
        import torch
        from pytorch_ood import detector as detectors

        torch.manual_seed(seed)
        layer, detector = _linear_head(train, labels), getattr(detectors, name)(model=None)
        return _of_tensors(lambda features: detector.predict_logits(layer(features)))

    return fit


def _of_tensors(predict: Callable[[Any], Any]) -> Scorer:
    import torch

    def score(features: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(predict(torch.tensor(features)))

    return score


def _linear_head(train: np.ndarray, labels: np.ndarray) -> Any:
    """Return a linear layer of the features, float32: a logistic regression on the labels."""
    import torch
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10.0, max_iter=200).fit(train, labels)
    layer = torch.nn.Linear(*model.coef_.T.shape)
    layer.weight.data, layer.bias.data = torch.tensor(model.coef_).float(), torch.tensor(model.intercept_).float()
    return layer


def alibi(kind: str) -> Fit:
    """Return the fit of an outlier detector of alibi-detect on standardised features, with dense networks."""

    def fit(train: np.ndarray, labels: np.ndarray, seed: int) -> Scorer:
        import tensorflow as tf
        from alibi_detect import od
        from sklearn.preprocessing import StandardScaler

        tf.keras.utils.set_random_seed(seed)
        scaler = StandardScaler().fit(train)
        width, layers = train.shape[1], tf.keras.layers
        encoder = [layers.InputLayer((width,)), layers.Dense(512, "relu"), layers.Dense(128, "relu")]
        decoder = [layers.InputLayer((64,)), layers.Dense(128, "relu"), layers.Dense(512, "relu"), layers.Dense(width)]
        if kind == "OutlierVAE":
            own: dict[str, Any] = {"score_type": "mse", "latent_dim": 64, "samples": 4}
            fitting: dict[str, Any] = {"cov_elbo": {"sim": 0.05}}
        else:
            encoder, own, fitting = [*encoder, layers.Dense(64)], {}, {}
        networks = {"encoder_net": tf.keras.Sequential(encoder), "decoder_net": tf.keras.Sequential(decoder)}
        detector = getattr(od, kind)(threshold=0.0, **networks, **own)
        detector.fit(scaler.transform(train).astype(np.float32), epochs=30, verbose=False, **fitting)
        return lambda features: detector.score(scaler.transform(features).astype(np.float32), batch_size=256)[1]

    return fit


HEAD = "logistic regression as head"

PEERS = {
    "keras_ood TiltedVAE": Peer("keras-ood", ours("TiltedVAE"), note="`finetune`, `fusion`"),
    "keras_ood InFlow": Peer("keras-ood", ours("InFlow"), note="`finetune`, `fusion`"),
    "pytorch-ood KNN": Peer("pytorch-ood", pytorch_ood("KNN", labelled=False), note="k = 50, normalised"),
    "pytorch-ood Mahalanobis, one class": Peer("pytorch-ood", pytorch_ood("Mahalanobis", labelled=False)),
    "pytorch-ood GMM, one class": Peer("pytorch-ood", pytorch_ood("GMM", labelled=False)),
    "pytorch-ood Mahalanobis": Peer("pytorch-ood", pytorch_ood("Mahalanobis"), labels=True),
    "pytorch-ood RMD": Peer("pytorch-ood", pytorch_ood("RMD"), labels=True),
    "pytorch-ood ViM": Peer(
        "pytorch-ood",
        pytorch_ood("ViM", head="weights", d="half the width"),
        labels=True,
        note=f"D of half the width, {HEAD}",
    ),
    **{
        f"pytorch-ood {name}": Peer("pytorch-ood", pytorch_ood_of_logits(name), labels=True, note=HEAD)
        for name in ("MaxSoftmax", "EnergyBased")
    },
    **{
        f"pytorch-ood {name}": Peer("pytorch-ood", pytorch_ood(name, head="head"), labels=True, note=HEAD)
        for name in ("NNGuide", "SHE", "fDBD")
    },
    "pytorch-ood DICE": Peer("pytorch-ood", pytorch_ood("DICE", head="weights", p=0.9), labels=True, note=f"p = 0.9, {HEAD}"),
    "PyOD ECOD": Peer("pyod", pyod("ecod", "ECOD", n_jobs=1), note="no parameters"),
    "PyOD COPOD": Peer("pyod", pyod("copod", "COPOD", n_jobs=1), note="no parameters"),
    "PyOD IForest": Peer("pyod", pyod("iforest", "IForest", random_state="seed"), note="100 trees"),
    "PyOD KNN": Peer("pyod", pyod("knn", "KNN", n_jobs=-1), note="k = 5, largest"),
    "PyOD LOF": Peer("pyod", pyod("lof", "LOF", n_jobs=-1), note="k = 20"),
    "PyOD DeepSVDD": Peer(
        "pyod", pyod("deep_svdd", "DeepSVDD", n_features="width", random_state="seed", verbose=0), slow=True, note="100 epochs"
    ),
    "alibi-detect OutlierVAE": Peer("alibi-detect", alibi("OutlierVAE"), slow=True, note="dense, 30 epochs"),
    "alibi-detect OutlierAE": Peer("alibi-detect", alibi("OutlierAE"), slow=True, note="dense, 30 epochs"),
}
"""Every detector that is compared, by the name that it has in the table."""


def run(peer: Peer, task: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the scores of each set by its name, and what they cost.

    Args:
        peer: A detector.
        task: See the head of this file.
    """
    for module in IMPORTED[peer.library]:
        importlib.import_module(module)
    start = time.perf_counter()
    score = peer.fit(task["train"], task["labels"], int(task["seed"]))
    seconds = time.perf_counter() - start
    sets = {name.removeprefix("test:"): images for name, images in task.items() if name.startswith("test:")}
    scores, rates = {}, []
    for name, images in sets.items():
        start = time.perf_counter()
        scores[name] = np.asarray(score(images), np.float64).reshape(-1)
        rates.append(len(images) / (time.perf_counter() - start))
    costs = {"version": version(peer.library), "fit_seconds": round(seconds, 2)}
    costs |= {"images_per_second": round(max(rates), 1), "peak_mib": peak_mib()}
    return scores, costs


if __name__ == "__main__":
    answer(lambda name, task: run(PEERS[name], task))
