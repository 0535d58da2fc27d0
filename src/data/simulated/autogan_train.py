"""Training of AutoGAN's generator, whose weights are kept beside the data sets made with it.

The generator is trained to fool the discriminator and to give back its input. A least-squares
adversarial loss, weight 10 of the mean absolute difference, Adam at 2e-4 with a rate that falls
to 0 over the second half, one image a step: all CycleGAN's (arXiv 1703.10593, section 4; the
weight is that of its cycle loss), with DCGAN's first beta. Those of AutoGAN are unconfirmed.
CycleGAN's history of 50 fakes is left out.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch.nn import functional
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.common.files import atomic_write
from genspot.data.simulated.autogan import Discriminator, Generator
from genspot.data.simulated.kept_weights import (
    check_recipe,
    load_weights,
    naming_damage,
    save_weights,
)
from genspot.data.simulated.photos import Photographs

log = logging.getLogger(__name__)

RATE, BETAS = 2e-4, (0.5, 0.999)
RECONSTRUCTION_WEIGHT = 10.0
SAVE_SECONDS = 60  # between two checkpoints of the training
LOG_STEPS = 500
REMEDY = "remove it, or give the data set another name: data.simulator.name=NAME"


def load_or_train(
    file: Path, recipe: dict[str, Any], photographs: Callable[[], Photographs]
) -> Generator:
    """Return the generator in `file`; it is trained first where the file is missing.

    An interrupted training goes on from the checkpoint beside the file, which is at most a minute
    old, and ends with the same weights. A GPU is used if there is one.

    Args:
        file: of the weights, in safetensors.
        recipe: width, blocks, side, steps and seed, and what else tells trainings apart.
        photographs: returns what it is trained on.

    Raises:
        GenspotError: the file, or the checkpoint, is damaged or of another recipe; or the
            training diverges.
    """
    with FileLock(f"{file}.lock"):  # one run trains it, others wait for it
        if not file.exists():
            checkpoint = file.with_name("training.ckpt")
            try:
                weights = _train(checkpoint, recipe, photographs())
            except BaseException:  # also a signal
                if checkpoint.exists():
                    log.info(
                        "the training so far is kept in %s; it goes on from there", checkpoint
                    )
                raise
            save_weights(file, weights, recipe)
            checkpoint.unlink(missing_ok=True)
    generator = load_weights(
        file, recipe, lambda: Generator(recipe["width"], recipe["blocks"]), REMEDY
    )
    return generator.to(_device())


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Training:
    """Both networks and their optimizers.

    Args:
        width: see `Generator`; so is blocks.
        blocks: number of residual blocks.
        seed: of the weights. Other draws of the process stay as they are.
    """

    def __init__(self, width: int, blocks: int, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            networks = Generator(width, blocks), Discriminator(width)
        self.generator, self.discriminator = (one.to(_device()) for one in networks)
        self.optimizers = [
            torch.optim.Adam(one.parameters(), RATE, BETAS)
            for one in (self.generator, self.discriminator)
        ]
        self.parts = [self.generator, self.discriminator, *self.optimizers]

    def step(self, real: torch.Tensor, rate: float) -> torch.Tensor:
        """Train on `real`, float N×3×H×W in [0, 1]; return the mean absolute difference."""
        for optimizer in self.optimizers:
            optimizer.param_groups[0]["lr"] = rate
        first, second = self.optimizers
        height, width = real.shape[2:]
        fake = self.generator(real)[..., :height, :width]  # of the next multiples of 4
        difference = functional.l1_loss(fake, real)
        adversarial = (self.discriminator(fake) - 1).square().mean()
        first.zero_grad()
        (adversarial + RECONSTRUCTION_WEIGHT * difference).backward()
        first.step()
        on_real = (self.discriminator(real) - 1).square().mean()
        on_fake = self.discriminator(fake.detach()).square().mean()
        second.zero_grad()  # also of what the generator's loss left there
        ((on_real + on_fake) / 2).backward()
        second.step()
        return difference.detach()


def _train(checkpoint: Path, recipe: dict[str, Any], photographs: Photographs) -> dict[str, Any]:
    """Return the weights of a trained generator; see `_restore` of the checkpoint."""
    training = Training(recipe["width"], recipe["blocks"], recipe["seed"])
    start, steps = _restore(checkpoint, recipe, training), recipe["steps"]
    log.info("training AutoGAN from step %d to %d on %s", start, steps, _device())
    saved = time.monotonic()
    for step in tqdm(range(start, steps), "training AutoGAN", initial=start, total=steps):
        real = _draw(photographs, recipe, step).to(_device())
        difference = training.step(real, RATE * min(1.0, 2 * (1 - step / steps)))
        if step % LOG_STEPS == 0 or step == steps - 1:
            log.info(
                "step %d: mean absolute difference of its image %.4f", step, difference.item()
            )
            if not math.isfinite(difference.item()):
                raise GenspotError(f"AutoGAN diverged by step {step}: give another seed, or width")
        if time.monotonic() - saved > SAVE_SECONDS:
            states = [part.state_dict() for part in training.parts]
            with atomic_write(checkpoint) as partial:
                torch.save({"recipe": recipe, "step": step + 1, "states": states}, partial)
            saved = time.monotonic()
    return {key: value.cpu() for key, value in training.generator.state_dict().items()}


def _restore(checkpoint: Path, recipe: dict[str, Any], training: Training) -> int:
    """Load `checkpoint`, if it exists, into `training`; return the next step."""
    if not checkpoint.exists():
        return 0
    with naming_damage(checkpoint):
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        check_recipe(state["recipe"], recipe, checkpoint, REMEDY)
        for part, one in zip(training.parts, state["states"], strict=True):
            part.load_state_dict(one)
        return int(state["step"])


def _draw(photographs: Photographs, recipe: dict[str, Any], step: int) -> torch.Tensor:
    """Return the image of `step`, float 1×3×`side`×`side` in [0, 1], perhaps flipped."""
    rng = np.random.default_rng((recipe["seed"], step))
    number = int(rng.integers(len(photographs.classes)))
    pixels = photographs.cut(number, recipe["side"], rng)
    pixels = pixels[:, ::-1] if rng.random() < 0.5 else pixels
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
