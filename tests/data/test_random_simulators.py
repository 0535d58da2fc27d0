"""Simulators that are drawn at random."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from genspot.data.settings import UPSAMPLERS
from genspot.data.simulated.random_simulators import (
    Draw,
    PatchDiscriminator,
    RandomSimulator,
    choose,
    draw,
)

PLAIN = Draw(("deconv4",), 4, 8, "none", "relu", 0, False, 1, "l1", False, False)


def test_draw_is_the_same_for_the_same_seeds_alone() -> None:
    assert draw(0, 1, 2) == draw(0, 1, 2)
    assert len({draw(0, 1, number) for number in range(40)}) == 40


def test_draws_are_of_every_kind() -> None:
    made = [draw(0, number) for number in range(300)]
    assert {kind for one in made for kind in one.upsamplings} == set(UPSAMPLERS)
    stages = Counter(len(one.upsamplings) for one in made)
    assert stages.keys() == {1, 2, 3} and stages[2] > max(stages[1], stages[3])
    assert 0.5 < sum(one.discriminator for one in made) / 300 < 0.7
    assert {one.normalisation for one in made} == {"none", "instance", "batch"}


def test_choose_leaves_out_an_upsampling_and_keeps_the_other_simulators() -> None:
    everything = choose(30, (0, 1))
    assert everything == list(range(30))
    without = choose(30, (0, 1), ["deconv3", "shuffle"])
    assert all(not {"deconv3", "shuffle"} & set(draw(0, 1, one).upsamplings) for one in without)
    left = [one for one in everything if one not in without]
    assert left and all({"deconv3", "shuffle"} & set(draw(0, 1, one).upsamplings) for one in left)


@pytest.mark.parametrize(("choice", "expected"), [("with", True), ("without", False)])
def test_choose_by_discriminator(choice: str, expected: bool) -> None:
    numbers = choose(10, (3,), discriminator=choice)
    assert [draw(3, one).discriminator for one in numbers] == [expected] * 10


@pytest.mark.parametrize("kind", UPSAMPLERS)
@pytest.mark.parametrize("normalisation", ["none", "instance", "batch"])
def test_simulator_returns_images_of_the_next_multiples(kind: str, normalisation: str) -> None:
    made = replace(
        PLAIN, upsamplings=(kind, kind), normalisation=normalisation, blocks=1, second=True
    )
    simulator = RandomSimulator(replace(made, kernel=5, activation="silu")).eval()
    for given, expected in (((16, 24), (16, 24)), ((17, 30), (20, 32))):
        fakes = simulator(torch.rand(2, 3, *given))
        assert fakes.shape == (2, 3, *expected)
        assert fakes.min() >= 0 and fakes.max() <= 1


def test_discriminator_has_layers_of_spectral_norm_1() -> None:
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(width=4)
    for _ in range(60):  # each forward pass of a training improves the estimate
        scores = discriminator(torch.rand(2, 3, 16, 24))
    assert scores.shape == (2, 1, 4, 6)
    for layer in discriminator.layers:
        if isinstance(layer, torch.nn.Conv2d):
            largest = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item()
            assert largest == pytest.approx(1, abs=0.02)
