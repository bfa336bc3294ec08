"""The zoo's VAE networks in PyTorch, for comparison alone; needs PyTorch 2, which nothing else here does."""

from typing import Any

import numpy as np
import torch
from torch import nn

from keras_ood.benchmark.speed.rivals import LATENT_DIM, Rivals


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


def scorer(architecture: str, images: np.ndarray, channels_last: bool, device: str) -> Any:
    """Return the function that takes uint8 NHWC images through the networks, as `torch.inference_mode` allows."""
    encoder, decoder = network(architecture, channels_last).to(device)
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def score() -> Any:
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
            return decoder(encoder(batch.contiguous(memory_format=layout))).cpu()

    return score


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


RIVALS = Rivals("PyTorch", scorer, trainer, has_gpu=torch.cuda.is_available())
