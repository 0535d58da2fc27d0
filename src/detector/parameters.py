"""Which parameters of a network are trained, and at which rate: chosen by patterns of names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.network import DetectorNetwork

FROZEN, GROUPS = "schedule.frozen", "schedule.parameter_groups"  # settings, for messages


def freeze(network: DetectorNetwork, patterns: Sequence[str]) -> None:
    """Train no parameter of `network` whose name matches a pattern.

    A part whose parameters are all frozen stays in evaluation mode: batch norms keep the
    statistics that they have, and dropout drops nothing.

    Args:
        network: changed in place.
        patterns: of names as `named_parameters` gives them, such as "backbone.layer1.*"; `*`
            stands for any text, `?` for a character.

    Raises:
        GenspotError: a pattern matches no parameter, or nothing is left to train.
    """
    if not patterns:
        return
    parameters = dict(network.named_parameters())
    matches = [_matches(parameters, pattern, FROZEN) for pattern in patterns]
    for name in set[str]().union(*matches):
        parameters[name].requires_grad_(False)
    if not any(value.requires_grad for value in parameters.values()):
        raise GenspotError(
            f"{FROZEN}={list(patterns)} with model.trainable={network.trainable} leaves no "
            "parameter to train"
        )
    network.fixed += tuple(name for name, part in network.named_modules() if _is_frozen(part))
    network.train(network.training)


def _is_frozen(part: nn.Module) -> bool:
    parameters = list(part.parameters())
    return bool(parameters) and not any(value.requires_grad for value in parameters)


def parameter_groups(
    network: nn.Module, groups: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the trained parameters of `network` as groups for an optimizer.

    Args:
        network: whose parameters are trained, except those without a gradient.
        groups: by a name of its own, each group's `parameters`, one pattern or several (see
            `freeze`), and arguments of the optimizer that it has for itself, such as `lr`.

    Returns:
        First the parameters that no group names, with the optimizer's own arguments; then each
        group.

    Raises:
        GenspotError: a pattern matches no trained parameter, or two groups have the same one.
    """
    trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
    owners: dict[str, str] = {}
    for group, settings in groups.items():
        for pattern in as_patterns(settings["parameters"]):
            for name in _matches(trained, pattern, f"{GROUPS}.{group}.parameters"):
                if owners.setdefault(name, group) != group:
                    raise GenspotError(
                        f"{GROUPS}: {owners[name]} and {group} both name {name}; a parameter is "
                        "in one group"
                    )
    found: list[dict[str, Any]] = [
        {"params": [value for name, value in trained.items() if name not in owners]}
    ]
    for group, settings in groups.items():
        values = [value for name, value in trained.items() if owners.get(name) == group]
        found.append(group_arguments(settings) | {"params": values})
    return found if found[0]["params"] else found[1:]


def as_patterns(value: str | Sequence[str]) -> list[str]:
    """Return one pattern or several as a list."""
    return [value] if isinstance(value, str) else list(value)


def group_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the optimizer among the settings of a group."""
    return {key: value for key, value in settings.items() if key != "parameters"}


def _matches(parameters: Mapping[str, Any], pattern: str, setting: str) -> list[str]:
    found = [name for name in parameters if fnmatchcase(name, pattern)]
    if not found:
        first, last = (list(parameters) or ["none"])[0], (list(parameters) or ["none"])[-1]
        raise GenspotError(
            f"{setting}: {pattern} matches no parameter that is trained; they are named from "
            f"{first} to {last}"
        )
    return found


def clip_gradients(
    optimizer: torch.optim.Optimizer,
    limit: float,
    algorithm: str | None,
    scaler: Any = None,
) -> None:
    """Clip the gradients of a step as Lightning does, also those of a fused optimizer.

    Lightning refuses fused optimizers under mixed precision, because they divide float16's
    gradients by the loss scale themselves. PyTorch lets the scaler do that before.

    Args:
        optimizer: whose parameters have the gradients.
        limit: of the norm of all gradients together, or of each value; above 0.
        algorithm: "norm" or "value", in Lightning's terms; None: "norm".
        scaler: float16's `torch.amp.GradScaler`; None in other precisions.
    """
    if scaler is not None and optimizer.param_groups[0].get("fused"):
        scaler.unscale_(optimizer)
    values = [value for group in optimizer.param_groups for value in group["params"]]
    clip: Callable[..., object] = nn.utils.clip_grad_norm_
    if algorithm == "value":  # Lightning's enumeration equals its texts
        clip = nn.utils.clip_grad_value_
    clip(values, limit)
