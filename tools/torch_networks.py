"""The zoo's networks in PyTorch, for comparison alone; needs PyTorch 2, which nothing else here does."""

from typing import Any

import numpy as np
import torch
from torch import nn

from keras_ood.benchmark.speed.rivals import LATENT_DIM, Rivals
from keras_ood.encoders.efficientnet_lite0 import BLOCKS, STAGES


def network(architecture: str, channels_last: bool) -> Any:
    """Return encoder, `loc` head and decoder for 32x32x1 images, the layers of `keras_ood.networks.vae`."""

    def up(*arguments: int) -> list[Any]:
        return [nn.ConvTranspose2d(*arguments), nn.LeakyReLU(0.01)]

    def down(*arguments: int) -> list[Any]:
        return [nn.Conv2d(*arguments), nn.LeakyReLU(0.01)]

    if architecture == "paper":
        encoder = down(1, 32, 5, 1, 2) + down(32, 32, 5, 2, 2) + down(32, 64, 5, 1, 2) + down(64, 64, 5, 2, 2)
        encoder += [*down(64, 2 * LATENT_DIM, 7), nn.Flatten(), nn.Linear(8 * LATENT_DIM, LATENT_DIM)]
        decoder = [nn.Unflatten(1, (LATENT_DIM, 1, 1)), *up(LATENT_DIM, 64, 8), *up(64, 64, 5, 1, 2), *up(64, 64, 5, 2, 2, 1)]
        decoder += up(64, 32, 5, 1, 2) + up(32, 32, 5, 2, 2, 1) + up(32, 32, 5, 1, 2) + [nn.Conv2d(32, 1, 5, 1, 2)]
    else:
        encoder = down(1, 16, 4, 2, 1) + down(16, 32, 4, 2, 1) + down(32, 64, 4, 2, 1)
        encoder += [nn.Flatten(), nn.Linear(1024, LATENT_DIM)]
        decoder = [nn.Linear(LATENT_DIM, 1024), nn.LeakyReLU(0.01), nn.Unflatten(1, (64, 4, 4))]
        decoder += up(64, 32, 4, 2, 1) + up(32, 16, 4, 2, 1) + [nn.ConvTranspose2d(16, 1, 4, 2, 1)]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return nn.ModuleList([nn.Sequential(*encoder), nn.Sequential(*decoder)]).to(memory_format=layout)


def scorer(architecture: str, images: np.ndarray, channels_last: bool, device: str, precision: str) -> Any:
    """Return the function that takes uint8 NHWC images through the networks, as `torch.inference_mode` allows."""
    dtype = getattr(torch, precision)
    encoder, decoder = network(architecture, channels_last).to(device, dtype)
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def score() -> Any:
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).to(dtype) / 255
            return decoder(encoder(batch.contiguous(memory_format=layout))).float().cpu()

    return score


class _Block(nn.Module):  # type: ignore[misc]
    """An inverted residual of EfficientNet."""

    def __init__(self, channels: int, filters: int, size: int, strides: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        before = [] if expansion == 1 else _normalised(channels, inner, 1)
        self.body = nn.Sequential(
            *before, *_normalised(inner, inner, size, strides, inner), *_normalised(inner, filters, 1)[:-1]
        )
        self.is_residual = strides == 1 and channels == filters

    def forward(self, x: Any) -> Any:
        """Return the block's map."""
        return x + self.body(x) if self.is_residual else self.body(x)


class EfficientNetLite0(nn.Module):  # type: ignore[misc]
    """The network of `keras_ood.encoders.efficientnet_lite0`, as PyTorch users have it: batch normalisation by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_normalised(3, 32, 3, 2))
        blocks, channels = [], 32
        for repeats, kernel, stride, expansion, filters in BLOCKS:
            for repeat in range(repeats):
                blocks.append(_Block(channels, filters, kernel, 1 if repeat else stride, expansion))
                channels = filters
        self.blocks, self.head = nn.ModuleList(blocks), nn.Sequential(*_normalised(320, 1280, 1))

    def forward(self, x: Any) -> list[Any]:
        """Return the means of the four stages, float32 `(batch, channels)`."""
        x, maps = self.stem(x), []
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number in STAGES:
                maps.append(x)
        return [stage.float().mean((2, 3)) for stage in (*maps, self.head(x))]


def _normalised(channels: int, filters: int, size: int, strides: int = 1, groups: int = 1) -> list[Any]:
    convolution = nn.Conv2d(channels, filters, size, strides, size // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(filters, eps=1e-3), nn.ReLU6()]


def embedder(images: np.ndarray, device: str, precision: str) -> Any:
    """Return the function that takes uint8 NHWC images through EfficientNet-Lite0, to NumPy arrays."""
    dtype = getattr(torch, precision)
    model = EfficientNetLite0().eval().to(device, dtype).to(memory_format=torch.channels_last)

    def embed() -> Any:
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).to(dtype) / 255
            return [stage.cpu().numpy() for stage in model(batch.contiguous(memory_format=torch.channels_last))]

    return embed


def trainer(architecture: str, images: np.ndarray, channels_last: bool) -> Any:
    """Return the function that takes one step of Adam on the tilted VAE's loss, with clipped gradients."""
    parts = network(architecture, channels_last)
    log_scale = torch.nn.Parameter(torch.tensor(-1.2))
    optimizer = torch.optim.Adam([*parts.parameters(), log_scale], 1e-3)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)

    def step() -> float:
        loc = parts[0](batch)
        decoded = parts[1](loc + torch.randn_like(loc))
        errors = ((batch - decoded) / log_scale.exp()) ** 2 / 2 + log_scale
        loss = (errors.sum((1, 2, 3)) + (loc.norm(dim=1) - 14) ** 2 / 2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parts.parameters(), 100.0)
        optimizer.step()
        return float(loss.detach())

    return step


RIVALS = Rivals("PyTorch", scorer, embedder, trainer, has_gpu=torch.cuda.is_available())
