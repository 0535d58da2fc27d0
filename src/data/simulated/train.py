"""Training of the simulators that ship in `simulators.safetensors` (task=simulators)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional
from tqdm import trange

from genspot.common.errors import GenspotError
from genspot.data.simulated.generators import Simulator, sharpness

log = logging.getLogger(__name__)

LEARNING_RATE = 3e-3  # maximum of the one-cycle schedule
# Training with a third stage diverges at that rate.
THIRD_STAGE_RATE, THIRD_STAGE_CLIP = 2e-3, 1.0
BATCH_SIZE, CROP = 12, 80  # CROP in pixels
SHARPNESS_WEIGHT = 0.01  # of the sharpness term in the loss


def load_photos(folder: Path) -> torch.Tensor:
    """Return all PNG files below `folder`, which must have one size, as `uint8` N×3×H×W.

    Raises:
        GenspotError: there are none.
    """
    files = sorted(folder.rglob("*.png"))
    if not files:
        raise GenspotError(f"no PNG photographs under {folder}; give task.photos=FOLDER")
    photos = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    return torch.from_numpy(photos).permute(0, 3, 1, 2)


def random_crops(
    photos: torch.Tensor, batch_size: int, size: int, rng: torch.Generator
) -> torch.Tensor:
    """Return random crops, float N×3×`size`×`size` in [0, 1].

    Each is cut from a photograph that was reduced at random, at most to `size` pixels.
    """

    def draw(high: int) -> int:
        return int(torch.randint(high, (1,), generator=rng))

    crops = []
    for _ in range(batch_size):
        photo = photos[draw(len(photos))][None].float() / 255
        side = size + draw(photo.shape[-1] - size + 1)
        photo = functional.interpolate(photo, (side, side), mode="bilinear", antialias=True)
        top, left = draw(side - size + 1), draw(side - size + 1)
        crops.append(photo[..., top : top + size, left : left + size])
    return torch.cat(crops).clamp(0, 1)


def fit(photos: torch.Tensor, simulator: Simulator, steps: int, seed: int, name: str) -> None:
    """Train `simulator`, in place.

    The loss is the mean absolute error plus the weighted difference in sharpness, without which
    the reconstruction would be softer than the photograph.

    Args:
        photos: `uint8` N×3×H×W.
        simulator: what is trained.
        steps: number of batches.
        seed: of the crops.
        name: of the simulator, in messages.
    """
    rng = torch.Generator().manual_seed(seed)
    three_stages = len(simulator.inner) > 0
    rate = THIRD_STAGE_RATE if three_stages else LEARNING_RATE
    optimizer = torch.optim.Adam(simulator.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for step in trange(steps, desc=name):
        real = random_crops(photos, BATCH_SIZE, CROP, rng)
        fake = simulator(real)
        difference = (sharpness(fake) - sharpness(real)).abs().mean()
        loss = functional.l1_loss(fake, real) + SHARPNESS_WEIGHT * difference
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if three_stages:
            torch.nn.utils.clip_grad_norm_(simulator.parameters(), THIRD_STAGE_CLIP)
        optimizer.step()
        schedule.step()
        if step % 500 == 0 or step == steps - 1:
            error = functional.mse_loss(fake.clamp(0, 1), real).item()
            log.info(
                "%s step %d: PSNR %.1f dB, sharpness differs by %.2f",
                name,
                step,
                -10 * np.log10(error),
                difference.item(),
            )


def train_simulators(
    simulators: dict[str, dict[str, Any]], photos: Path, output: Path, steps: int, seed: int
) -> None:
    """Train simulated generators on photographs and write their weights.

    Args:
        simulators: upsampling and stages of each, by name. A simulator of three stages grows
            from the first one of two stages with the same upsampling, if there is one before it.
        photos: folder of square PNG photographs of one size.
        output: the safetensors file to write, in float16.
        steps: number of batches per simulator.
        seed: of the weights and of the crops.

    Raises:
        GenspotError: there are no photographs.
    """
    images = load_photos(photos)
    trained: dict[str, Simulator] = {}  # the first simulator of each upsampling
    weights = {}
    for name, options in simulators.items():
        torch.manual_seed(seed)
        simulator = Simulator(**options)
        upsampling = options["upsampling"]
        if upsampling in trained:
            smaller = trained[upsampling].state_dict()
            simulator.load_state_dict(simulator.state_dict() | smaller)
        fit(images, simulator, steps, seed, name)
        trained.setdefault(upsampling, simulator)
        for key, value in simulator.state_dict().items():
            weights[f"{name}.{key}"] = value.half().contiguous()
    save_file(weights, output)
    log.info("wrote %s (%.2f MB)", output, output.stat().st_size / 1e6)
