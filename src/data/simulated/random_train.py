"""Training of simulators that are drawn at random, each kept in a file of its own.

The loss is that of the pixels, with a term of sharpness and an adversarial one where the draw says
so. The adversarial loss is the hinge (Lim & Ye 2017, arXiv 1705.02894), after three tenths of
the training. Each simulator is trained by one thread, so that its bits do not depend on how many
cores there are, and as many at once as there are cores.
"""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.data.settings import default_workers
from genspot.data.simulated.generators import sharpness
from genspot.data.simulated.kept_weights import load_weights, save_weights
from genspot.data.simulated.photos import Photographs
from genspot.data.simulated.random_simulators import (
    Draw,
    PatchDiscriminator,
    RandomSimulator,
    draw,
)

log = logging.getLogger(__name__)

SIDE, BATCH = 80, 8  # of the training images: pixels, and number in a step
RATE, DISCRIMINATOR_RATE, BETAS = 1e-3, 4e-4, (0.5, 0.99)
WARM_UP = 50  # steps in which the rate rises; it falls to 0 over the second half
CLIP = 1.0  # norm of the gradients at most
SHARPNESS_WEIGHT, ADVERSARIAL_WEIGHT, SQUARE_WEIGHT = 0.01, 0.02, 4.0
ADVERSARIAL_FROM = 0.3  # share of the training after which the discriminator counts
MIN_PSNR = 15.0  # dB; a simulator below it gives back no photograph
FEW_STEPS, MIN_PSNR_OF_FEW = 300, 1.0  # a miniature has fewer, and takes what comes of them
ATTEMPTS = 4  # to train one simulator
REMEDY = "remove its folder, or use another place: paths.datasets=PATH"
CHECKED = 16  # images on which a trained simulator is checked

SourceOfPhotographs = Callable[[], Photographs]


@dataclass(frozen=True)
class Job:
    """What a process needs to train one simulator.

    Attributes:
        file: that it writes.
        recipe: see `load_or_train_all`, and the `draw` of the simulator.
        photographs: returns what it is trained on.
    """

    file: Path
    recipe: dict[str, Any]
    photographs: SourceOfPhotographs


def load_or_train_all(
    folder: Path,
    recipe: dict[str, Any],
    draws: Mapping[str, Sequence[int]],
    photographs: SourceOfPhotographs,
) -> list[nn.Module]:
    """Return simulators; those without a file in `folder` are trained first.

    What is trained is kept when the rest is interrupted.

    Args:
        folder: of the files, NAME.safetensors.
        recipe: the steps, and what else tells trainings apart.
        draws: the seeds of each simulator, see `random_simulators.draw`, by its name.
        photographs: returns what they are trained on; other processes call it too, so that it can
            be pickled.

    Raises:
        GenspotError: a file is damaged or of another recipe; or a simulator cannot be trained.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        Job(folder / f"{name}.safetensors", recipe | {"draw": list(seeds)}, photographs)
        for name, seeds in draws.items()
    ]
    with FileLock(f"{folder}.lock"):  # one run trains them, others wait for it
        missing = [job for job in jobs if not job.file.exists()]
        for _ in tqdm(_train_all(missing), "training simulators", total=len(missing)):
            pass
    return [
        load_weights(
            job.file, job.recipe, partial(RandomSimulator, draw(*job.recipe["draw"])), REMEDY
        )
        for job in jobs
    ]


def _train_all(jobs: Sequence[Job]) -> Iterator[None]:
    """Train, yielding after each simulator."""
    processes = min(default_workers(), len(jobs))
    if jobs:
        log.info("training %d simulators by %d processes", len(jobs), processes)
    if processes < 2:
        yield from map(_train, jobs)
        return
    # Leaving the block ends processes that are still at work, also after a signal.
    with get_context("spawn").Pool(processes, _leave_signals_to_parent) as pool:
        yield from pool.imap_unordered(_train, jobs)


def _leave_signals_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal, which sends it to all


def _train(job: Job) -> None:
    """Train one simulator by one thread and write its file."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        simulator = _train_usable(job)
    finally:
        torch.set_num_threads(threads)
    save_weights(job.file, simulator.state_dict(), job.recipe)


def _train_usable(job: Job) -> RandomSimulator:
    """Return a simulator that gives photographs back; each attempt has half the rate."""
    photographs, seeds = job.photographs(), job.recipe["draw"]
    made = draw(*seeds)
    least = MIN_PSNR if job.recipe["steps"] >= FEW_STEPS else MIN_PSNR_OF_FEW
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng((*seeds, attempt))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            training = Training(made, RATE / 2**attempt)
        training.fit(photographs, job.recipe["steps"], rng)
        if (quality := training.psnr(photographs, rng)) >= least:
            return training.simulator
        log.info("%s: %.1f dB, so it is trained again at half the rate", job.file.stem, quality)
    raise GenspotError(
        f"{job.file.stem}: a simulator reached no {least:g} dB in {ATTEMPTS} trainings: give "
        "more random_simulators.steps, or another simulation.seed"
    )


class Training:
    """A simulator, perhaps a discriminator, and their optimizers.

    Args:
        made: what the simulator is made of.
        rate: learning rate of the simulator at most.
    """

    def __init__(self, made: Draw, rate: float) -> None:
        self.made = made
        self.simulator = RandomSimulator(made)
        self.discriminator = PatchDiscriminator() if made.discriminator else None
        self.optimizers = [torch.optim.Adam(self.simulator.parameters(), rate, BETAS)]
        if self.discriminator:
            parameters = self.discriminator.parameters()
            self.optimizers.append(torch.optim.Adam(parameters, DISCRIMINATOR_RATE, BETAS))

    def fit(self, photographs: Photographs, steps: int, rng: np.random.Generator) -> None:
        """Train on `steps` batches of windows of photographs, drawn by `rng`."""
        highest = [one.param_groups[0]["lr"] for one in self.optimizers]
        for step in range(steps):
            factor = min(1.0, 2 * (1 - step / steps), (step + 1) / WARM_UP)
            for optimizer, rate in zip(self.optimizers, highest, strict=True):
                optimizer.param_groups[0]["lr"] = factor * rate
            adversarial = step >= ADVERSARIAL_FROM * steps
            self._step(windows(photographs, BATCH, SIDE, rng), adversarial)
        self.simulator.eval()

    def _step(self, real: torch.Tensor, adversarial: bool) -> None:
        fake = self.simulator(real)
        if self.made.loss == "l1":
            total = functional.l1_loss(fake, real)
        else:
            total = SQUARE_WEIGHT * functional.mse_loss(fake, real)
        if self.made.sharpness:
            total = total + SHARPNESS_WEIGHT * (sharpness(fake) - sharpness(real)).abs().mean()
        if self.discriminator and adversarial:
            total = total - ADVERSARIAL_WEIGHT * self.discriminator(fake).mean()
        self.optimizers[0].zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.simulator.parameters(), CLIP)
        self.optimizers[0].step()
        if self.discriminator and adversarial:
            on_real = functional.relu(1 - self.discriminator(real)).mean()
            on_fake = functional.relu(1 + self.discriminator(fake.detach())).mean()
            self.optimizers[1].zero_grad()  # also of what the simulator's loss left there
            (on_real + on_fake).backward()  # type: ignore[no-untyped-call]
            self.optimizers[1].step()

    @torch.inference_mode()
    def psnr(self, photographs: Photographs, rng: np.random.Generator) -> float:
        """Return how near the simulator comes to windows of photographs, in dB; 0 of NaN."""
        real = windows(photographs, CHECKED, SIDE, rng)
        error = functional.mse_loss(self.simulator(real), real).item()
        return -10 * math.log10(max(error, 1e-12)) if math.isfinite(error) else 0.0


def windows(
    photographs: Photographs, count: int, side: int, rng: np.random.Generator
) -> torch.Tensor:
    """Return random windows of random photographs, float `count`×3×`side`×`side` in [0, 1]."""
    numbers = rng.integers(len(photographs.classes), size=count)
    pixels = np.stack([photographs.cut(int(number), side, rng) for number in numbers])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
