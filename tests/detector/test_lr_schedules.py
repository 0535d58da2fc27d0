"""Learning rates of each step against plain formulas, and after a resumption."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from genspot.common.errors import GenspotError
from genspot.detector.lr_schedules import build_scheduler, step_decay, warmup_cosine

TOTAL, EPOCH = 40, 5  # steps of a training and of an epoch


def make_optimizer(*rates: float) -> torch.optim.Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=1.0)


def rates_of(optimizer: torch.optim.Optimizer, scheduler: LRScheduler, steps: int) -> np.ndarray:
    """The rates of all groups, one row a step."""
    found = []
    for _ in range(steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return np.array(found)


SCHEDULES: dict[str, Callable[[torch.optim.Optimizer], LRScheduler]] = {
    "step": lambda optimizer: step_decay(optimizer, EPOCH, factor=0.9, every=2),
    "warmup_cosine": lambda optimizer: warmup_cosine(optimizer, TOTAL, EPOCH, 1, 1e-6),
}


def test_step_decay_multiplies_after_every_second_epoch() -> None:
    optimizer = make_optimizer(0.5)
    found = rates_of(optimizer, SCHEDULES["step"](optimizer), TOTAL)[:, 0]
    expected = [0.5 * 0.9 ** (epoch // 2) for epoch in range(TOTAL // EPOCH) for _ in range(EPOCH)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_warmup_rises_to_the_rate_and_the_cosine_ends_at_the_lowest() -> None:
    optimizer = make_optimizer(0.1, 0.01)
    found = rates_of(optimizer, SCHEDULES["warmup_cosine"](optimizer), TOTAL)
    for group, rate in enumerate((0.1, 0.01)):
        own = found[:, group]
        np.testing.assert_allclose(own[:EPOCH], rate * np.arange(1, 6) / 5)
        progress = np.linspace(0, 1, TOTAL - EPOCH + 1)[1:]
        cosine = 1e-6 + (rate - 1e-6) * 0.5 * (1 + np.cos(np.pi * progress))
        np.testing.assert_allclose(own[EPOCH:], cosine, rtol=1e-9)
        assert own.max() == pytest.approx(rate) and own[-1] == pytest.approx(1e-6)


@pytest.mark.parametrize("warmup", [0, 0.5])
def test_warmup_may_be_a_part_of_an_epoch_or_left_out(warmup: float) -> None:
    optimizer = make_optimizer(1.0)
    scheduler = warmup_cosine(optimizer, 20, 4, warmup, 0.0)
    found = rates_of(optimizer, scheduler, 20)[:, 0]
    assert int(found.argmax()) == (1 if warmup else 0)
    assert (np.diff(found[2:]) < 0).all() and found[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedule_continues_from_its_state(name: str) -> None:
    whole, first, second = (make_optimizer(0.1, 0.02) for _ in range(3))
    expected = rates_of(whole, SCHEDULES[name](whole), TOTAL)
    scheduler = SCHEDULES[name](first)
    begin = rates_of(first, scheduler, 17)
    resumed = SCHEDULES[name](second)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    rest = rates_of(second, resumed, TOTAL - 17)
    np.testing.assert_array_equal(np.concatenate([begin, rest]), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(step_decay, steps_per_epoch=5, factor=0, every=1), r"factor=0: give a number"),
        (partial(step_decay, steps_per_epoch=5, factor=0.9, every=0), "every=0: give a whole"),
        (partial(step_decay, steps_per_epoch=5, factor=0.9, every=1.5), r"every=1\.5"),
        (partial(step_decay, steps_per_epoch=5, factor="a", every=1), "factor=a: give a number"),
        (partial(step_decay, steps_per_epoch=5, factor=float("nan"), every=1), "factor=nan"),
        (partial(warmup_cosine, warmup_epochs=8, min_lr=0), "no shorter than .* of 8 epochs"),
        (partial(warmup_cosine, warmup_epochs=-1, min_lr=0), "warmup_epochs=-1"),
        (partial(warmup_cosine, warmup_epochs=None, min_lr=0), "warmup_epochs=None"),
        (partial(warmup_cosine, warmup_epochs=True, min_lr=0), "warmup_epochs=True"),
        (partial(warmup_cosine, warmup_epochs=1, min_lr="a"), "min_lr=a"),
        (partial(warmup_cosine, warmup_epochs=1, min_lr=0.2), r"min_lr=0\.2: .* rate, 0\.1"),
    ],
)
def test_values_out_of_range_are_refused(make: Callable[..., Any], message: str) -> None:
    with pytest.raises(GenspotError, match=rf"^schedule\.lr_scheduler\..*{message}"):
        build_scheduler(make, make_optimizer(0.1), TOTAL, EPOCH)


def test_group_with_a_rate_of_zero_keeps_it() -> None:
    optimizer = make_optimizer(0.1, 0.0)
    warmup_cosine(optimizer, TOTAL, EPOCH, warmup_epochs=1, min_lr=0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.02, 0])


def test_scheduler_gets_the_lengths_that_it_has_arguments_for() -> None:
    cycle = build_scheduler(partial(OneCycleLR, max_lr=0.1), make_optimizer(0.1), TOTAL, EPOCH)
    assert isinstance(cycle, OneCycleLR) and cycle.total_steps == TOTAL
    cosine = build_scheduler(partial(CosineAnnealingLR, T_max=7), make_optimizer(1), TOTAL, EPOCH)
    assert isinstance(cosine, CosineAnnealingLR) and cosine.T_max == 7
    with pytest.raises(TypeError, match="unexpected keyword argument 'foo'"):
        build_scheduler(partial(step_decay, foo=1), make_optimizer(1), TOTAL, EPOCH)
