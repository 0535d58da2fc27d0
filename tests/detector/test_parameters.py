"""Frozen parts, groups of parameters, and clipped gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.network import DetectorNetwork
from genspot.detector.parameters import clip_gradients, freeze, parameter_groups
from helpers.detectors import make_batch


def make_network(**options: Any) -> DetectorNetwork:
    torch.manual_seed(0)
    backbone = nn.Sequential()
    for number, channels in enumerate((3, 4)):
        block = nn.Sequential(
            nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5)
        )
        backbone.add_module(f"stage{number}", block)
    backbone.add_module("end", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    backbone.add_module("fc", nn.Linear(4, 1))
    return DetectorNetwork(ToFloat(), backbone, **options)


class ToFloat(nn.Module):
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float() / 255


def step(network: DetectorNetwork, groups: dict[str, Any] | None = None) -> set[str]:
    """Take a step in training mode; return the entries of the state that it moved."""
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.SGD(parameter_groups(network, groups or {}), lr=0.1)
    network(make_batch([0, 1, 2, 3])["image"]).sum().backward()
    optimizer.step()
    return {
        key for key, value in network.state_dict().items() if not torch.equal(value, before[key])
    }


def test_frozen_batch_norm_stays_so_where_it_is_synchronised() -> None:
    """Lightning replaces the layers then; those that are not frozen move their statistics."""
    network = make_network()
    freeze(network, ["backbone.stage0.1.*"])
    network = nn.SyncBatchNorm.convert_sync_batchnorm(network).train()
    frozen, other = (network.get_submodule(f"backbone.stage{number}.1") for number in (0, 1))
    assert isinstance(frozen, nn.SyncBatchNorm) and isinstance(other, nn.SyncBatchNorm)
    assert not frozen.training and other.training


def test_frozen_part_keeps_weights_and_statistics_in_training() -> None:
    network = make_network()
    freeze(network, ["backbone.stage0.*"])
    network.train()  # Lightning does so before each epoch
    moved = step(network)
    assert moved and not any(key.startswith("backbone.stage0.") for key in moved)
    assert {"backbone.stage1.1.running_mean", "backbone.stage1.1.weight"} <= moved
    modes = {name: part.training for name, part in network.named_modules()}
    assert not modes["backbone.stage0.1"] and not modes["backbone.stage0.3"]  # and its dropout
    assert modes["backbone.stage1.1"] and modes["backbone.stage1.3"] and modes["backbone"]
    network.eval().train()
    assert not network.get_submodule("backbone.stage0.1").training


def test_frozen_weights_alone_leave_the_rest_of_a_part_in_training() -> None:
    network = make_network()
    freeze(network, ["backbone.stage?.0.weight"])
    moved = step(network)
    assert "backbone.stage0.0.weight" not in moved and "backbone.stage0.0.bias" in moved
    assert "backbone.stage0.1.running_mean" in moved


def test_frozen_part_of_a_network_of_which_the_head_is_trained() -> None:
    network = make_network(trainable="head")
    freeze(network, ["backbone.fc.bias"])
    assert step(network) == {"backbone.fc.weight"}


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (["backbone.stage0.*", "fc.*"], r"schedule\.frozen: fc\.\* matches no parameter"),
        (["*"], r"schedule\.frozen=\['\*'\] with model\.trainable=all leaves no parameter"),
    ],
)
def test_pattern_that_freezes_nothing_or_everything_is_refused(
    patterns: list[str], message: str
) -> None:
    with pytest.raises(GenspotError, match=message):
        freeze(make_network(), patterns)


def test_groups_have_their_own_settings_and_the_rest_comes_first() -> None:
    network = make_network()
    groups = {
        "head": {"parameters": "backbone.fc.*", "lr": 0.5},
        "norms": {"parameters": ["*.1.weight", "*.1.bias"], "weight_decay": 0.0},
    }
    found = parameter_groups(network, groups)
    names = {id(value): name for name, value in network.named_parameters()}
    assert [[names[id(value)] for value in group["params"]] for group in found] == [
        [f"backbone.stage{number}.0.{kind}" for number in (0, 1) for kind in ("weight", "bias")],
        ["backbone.fc.weight", "backbone.fc.bias"],
        [f"backbone.stage{number}.1.{kind}" for number in (0, 1) for kind in ("weight", "bias")],
    ]
    optimizer = torch.optim.SGD(found, lr=0.1, weight_decay=0.3)
    settings = [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    assert settings == [(0.1, 0.3), (0.5, 0.3), (0.1, 0.0)]


def test_group_of_all_parameters_is_the_only_one() -> None:
    (group,) = parameter_groups(make_network(), {"all": {"parameters": "*", "lr": 1}})
    assert group["lr"] == 1 and len(group["params"]) == 10


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            {"a": {"parameters": "backbone.fc.*"}, "b": {"parameters": "*.bias"}},
            r"a and b both name backbone\.fc\.bias",
        ),
        ({"a": {"parameters": "*.stage0.*"}}, r"parameter_groups\.a\.parameters: .* no parameter"),
    ],
)
def test_group_that_overlaps_or_is_empty_is_refused(groups: Any, message: str) -> None:
    network = make_network()
    freeze(network, ["backbone.stage0.*"])
    with pytest.raises(GenspotError, match=message):
        parameter_groups(network, groups)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("algorithm", [None, "norm", "value"])
def test_clipped_step_of_a_scaled_loss_is_that_of_the_plain_one(
    algorithm: str | None, fused: bool
) -> None:
    """As under float16, whose scaler the fused rule would apply after the clipping."""
    weights = torch.linspace(-2, 3, 6)

    def trained(scaled: bool) -> torch.Tensor:
        parameter = nn.Parameter(torch.zeros(6))
        optimizer = torch.optim.SGD([parameter], lr=1.0, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        loss = (parameter * weights).sum()
        if not scaled:
            loss.backward()
            clip_gradients(optimizer, 0.5, algorithm)
            optimizer.step()
            return parameter.detach()
        scaler.scale(loss).backward()
        if not fused:
            scaler.unscale_(optimizer)  # Lightning does it
        clip_gradients(optimizer, 0.5, algorithm, scaler)
        scaler.step(optimizer)
        return parameter.detach()

    clipped = weights.clamp(-0.5, 0.5) if algorithm == "value" else 0.5 * weights / weights.norm()
    torch.testing.assert_close(trained(scaled=False), -clipped)
    torch.testing.assert_close(trained(scaled=True), -clipped)
