"""Train the simulators that ship in `simulators.safetensors` (`python run.py task=simulators`)."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional
from tqdm import trange

from genspot.common.errors import GenspotError
from genspot.data.simulated.generators import Simulator, sharpness

log = logging.getLogger(__name__)

LEARNING_RATE = 3e-3  # at the top of its cycle
# A third stage diverges at that rate.
GROWING_RATE, GROWING_CLIP = 2e-3, 1.0


def _photos(folder: Path) -> torch.Tensor:
    """Every PNG below `folder` as one `uint8` N×3×H×W tensor; all must be of one size."""
    files = sorted(folder.rglob("*.png"))
    if not files:
        raise GenspotError(f"no PNG photographs under {folder}; give photos=FOLDER")
    photos = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    return torch.from_numpy(photos).permute(0, 3, 1, 2)


def _crops(photos: torch.Tensor, batch: int, size: int, draws: torch.Generator) -> torch.Tensor:
    """Random crops in [0, 1], each from a photograph reduced at random (1 to 3 times)."""

    def draw(high: int) -> int:
        return int(torch.randint(high, (1,), generator=draws))

    crops = []
    for _ in range(batch):
        photo = photos[draw(len(photos))][None].float() / 255
        reduced = size + draw(photo.shape[-1] - size + 1)
        photo = functional.interpolate(photo, (reduced, reduced), mode="bilinear", antialias=True)
        top, left = draw(reduced - size + 1), draw(reduced - size + 1)
        crops.append(photo[..., top : top + size, left : left + size])
    return torch.cat(crops).clamp(0, 1)


def fit(
    photos: torch.Tensor,
    simulator: Simulator,
    steps: int,
    seed: int,
    label: str,
) -> None:
    """Train `simulator` for `steps` batches of 12 crops of 80 pixels.

    The loss is the mean absolute error plus the difference in sharpness, without which the
    reconstruction would be softer than the photograph.
    """
    draws = torch.Generator().manual_seed(seed)
    grows = len(simulator.inner) > 0
    rate = GROWING_RATE if grows else LEARNING_RATE
    optimizer = torch.optim.Adam(simulator.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for step in trange(steps, desc=label):
        real = _crops(photos, batch=12, size=80, draws=draws)
        fake = simulator(real)
        softer = (sharpness(fake) - sharpness(real)).abs().mean()
        loss = functional.l1_loss(fake, real) + 0.01 * softer
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if grows:
            torch.nn.utils.clip_grad_norm_(simulator.parameters(), GROWING_CLIP)
        optimizer.step()
        schedule.step()
        if step % 500 == 0 or step == steps - 1:
            error = functional.mse_loss(fake.clamp(0, 1), real).item()
            psnr = -10 * np.log10(error)
            log.info(
                "%s step %d: PSNR %.1f dB, sharpness off by %.2f", label, step, psnr, softer.item()
            )


def train(cfg: DictConfig) -> None:
    """Train every simulated generator of `cfg.generator` on photographs.

    `cfg.task` says how: photos (a folder), output (a file), steps and seed.
    """
    task = cfg.task
    images = _photos(Path(task.photos))
    trained: dict[str, Simulator] = {}  # by upsampling: of two stages, for three to grow from
    weights = {}
    for name, spec in cfg.generator.items():
        if "simulator" not in spec:
            raise GenspotError(f"{name} is not simulated; give generator=[sim_nearest, …]")
        torch.manual_seed(task.seed)
        simulator = Simulator(**spec.simulator)
        if spec.simulator.upsampling in trained:
            smaller = trained[spec.simulator.upsampling].state_dict()
            simulator.load_state_dict(simulator.state_dict() | smaller)
        fit(images, simulator, task.steps, task.seed, label=name)
        trained.setdefault(spec.simulator.upsampling, simulator)
        for key, value in simulator.state_dict().items():
            weights[f"{name}.{key}"] = value.half().contiguous()
    save_file(weights, task.output)
    log.info("wrote %s (%.2f MB)", task.output, Path(task.output).stat().st_size / 1e6)
