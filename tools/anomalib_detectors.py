"""PatchCore and PaDiM of anomalib over given features: one of them fitted and timed, in a process of its own.

    python anomalib_detectors.py NAME TASK RESULT

runs where anomalib is, which need not hold `keras_ood`; `compare_anomalib.py` calls it. `TASK` is an .npz file: features
`train` and `test`, float32 `(n, h, w, channels)`, and `side`, the height and width of what the encoder saw. `RESULT` gets
`maps` `(n, side, side)` and `scores` `(n,)` of `test`, higher = more anomalous, and the costs. No backbone is loaded: the
features take its place.
"""

import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from anomalib.models.image.padim.torch_model import PadimModel
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from task_process import answer, peak_mib

LAYER, BATCH = "layer1", 16
POSITIONS, SHARE = 20_000, 0.1  # of PatchCore: training positions, and the share of them in its coreset
CHANNELS = 100  # at most, of PaDiM: what anomalib takes of a ResNet-18


class Given(torch.nn.Module):  # type: ignore[misc]
    """In the place of a backbone: features of the images whose numbers are given as their first pixel."""

    def __init__(self, features: np.ndarray) -> None:
        super().__init__()
        self.features = torch.tensor(features).permute(0, 3, 1, 2)

    def forward(self, images: Any) -> dict[str, Any]:
        """Return `{layer: (batch, channels, h, w)}`."""
        return {LAYER: self.features[images[:, 0, 0, 0].long()]}


def patchcore(width: int) -> Any:
    """Return the untrained model."""
    model = PatchcoreModel(layers=[LAYER], backbone="resnet18", pre_trained=False)
    model.feature_pooler = torch.nn.Identity()  # the features given are means over three by three positions already
    return model


def padim(width: int) -> Any:
    """Return the untrained model, its channels drawn of so many."""
    model = PadimModel(backbone="resnet18", layers=[LAYER], pre_trained=False, n_features=1)
    model.idx = torch.randperm(width)[: min(CHANNELS, width)]
    return model


def fit(model: Any, count: int, side: int) -> None:
    """Fit a model to so many images that it is shown."""
    for images in numbered(count, side):
        model(images)
        if isinstance(model, PatchcoreModel):  # all positions at once would take tens of gigabytes
            seen = model.embedding_store[-1]
            model.embedding_store[-1] = seen[torch.randperm(len(seen))[: POSITIONS * len(images) // count]].clone()
    if isinstance(model, PatchcoreModel):
        model.subsample_embedding(SHARE)
    else:
        model.fit()


MODELS = {"anomalib PatchCore": patchcore, "anomalib PaDiM": padim}


def run(name: str, task: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the maps and scores of one model, and what they cost."""
    torch.manual_seed(0)
    train, test, side = task["train"], task["test"], int(task["side"])
    start = time.perf_counter()
    model = MODELS[name](train.shape[-1])
    model.feature_extractor = Given(train)
    model.train()
    fit(model, len(train), side)
    seconds = time.perf_counter() - start
    model.feature_extractor = Given(test)
    model.eval()
    start = time.perf_counter()
    with torch.inference_mode():
        found = [model(images) for images in numbered(len(test), side)]
    costs = {"version": version("anomalib"), "seconds_to_make": round(seconds, 1)}
    costs["ms"] = round(1000 * (time.perf_counter() - start) / len(test), 3)
    costs["peak_mib"] = peak_mib()
    maps, scores = (torch.cat([getattr(each, key) for each in found]) for key in ("anomaly_map", "pred_score"))
    return {"maps": maps.reshape(-1, side, side).numpy(), "scores": scores.reshape(-1).numpy()}, costs


def numbered(count: int, side: int) -> Any:
    """Yield batches of images `(batch, 3, side, side)` that hold nothing but their number."""
    for numbers in torch.arange(count, dtype=torch.float32).split(BATCH):
        yield numbers[:, None, None, None].expand(-1, 3, side, side)


if __name__ == "__main__":
    answer(run)
