"""Learning rates over a training: schedules that recipes name and PyTorch counts otherwise.

PyTorch's schedulers can be chosen as well (`schedule.lr_scheduler._target_`). Each is stepped
after every step of the optimizer. All of these are computed from the number of the step alone, so
that a resumed training has the rates of an uninterrupted one.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from genspot.common.checks import check_integer, is_number
from genspot.common.errors import GenspotError

SETTING = "schedule.lr_scheduler"


def step_decay(
    optimizer: torch.optim.Optimizer, steps_per_epoch: int, factor: float, every: int
) -> LRScheduler:
    """Return the schedule that multiplies the learning rate by `factor` every `every` epochs.

    Raises:
        GenspotError: the factor is not above 0, or `every` is no whole number from 1 on.
    """
    check_integer(f"{SETTING}.every", every, minimum=1)
    if not (is_number(factor) and factor > 0):
        raise GenspotError(f"{SETTING}.factor={factor}: give a number above 0")
    return LambdaLR(optimizer, lambda step: factor ** (step // (every * steps_per_epoch)))


def warmup_cosine(
    optimizer: torch.optim.Optimizer,
    total_steps: int,
    steps_per_epoch: int,
    warmup_epochs: float,
    min_lr: float,
) -> LRScheduler:
    """Return a linear warm-up and then half a cosine (Loshchilov & Hutter, ICLR 2017), by steps.

    The rate rises in equal parts to the optimizer's own, which it has in the last step of the
    warm-up. The last step of the training has `min_lr`.

    Args:
        optimizer: each of its groups goes from its own rate to `min_lr`.
        total_steps: of the training.
        steps_per_epoch: of an epoch.
        warmup_epochs: length of the warm-up, from 0 on; 0.5 is half an epoch.
        min_lr: the last learning rate, from 0 to the optimizer's own.

    Raises:
        GenspotError: a value is out of range, or the warm-up is no shorter than the training.
    """
    if not (is_number(warmup_epochs) and warmup_epochs >= 0):
        raise GenspotError(f"{SETTING}.warmup_epochs={warmup_epochs}: give a number from 0 on")
    warmup = round(warmup_epochs * steps_per_epoch)
    if warmup >= total_steps:
        raise GenspotError(
            f"{SETTING}.warmup_epochs={warmup_epochs} is no shorter than the training of "
            f"{total_steps / steps_per_epoch:g} epochs: lower it, or raise schedule.max_epochs"
        )
    rates = [group["lr"] for group in optimizer.param_groups]
    if not (is_number(min_lr) and 0 <= min_lr <= min(rates)):
        raise GenspotError(
            f"{SETTING}.min_lr={min_lr}: give a number from 0 to the learning rate, {min(rates):g}"
        )

    def scale(lowest: float, step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step + 1 - warmup) / (total_steps - warmup))
        return lowest + (1 - lowest) * (1 + math.cos(math.pi * done)) / 2

    lowest = [min_lr / rate if rate else 0.0 for rate in rates]
    return LambdaLR(optimizer, [partial(scale, one) for one in lowest])


def build_scheduler(
    make: Callable[..., LRScheduler],
    optimizer: torch.optim.Optimizer,
    total_steps: int,
    steps_per_epoch: int,
) -> LRScheduler:
    """Return the scheduler that `make` gives for a training of this length.

    Args:
        make: from an optimizer, and `total_steps` and `steps_per_epoch` where it has these
            arguments, to a scheduler.
        optimizer: whose rates it sets.
        total_steps: of the training.
        steps_per_epoch: of an epoch.

    Raises:
        Exception: whatever `make` raises.
    """
    known = {"total_steps": total_steps, "steps_per_epoch": steps_per_epoch}
    try:
        accepted = set(inspect.signature(make).parameters)
    except ValueError:  # it was given an argument that it has not: the call says which
        accepted = set(known)
    return make(optimizer, **{key: value for key, value in known.items() if key in accepted})
