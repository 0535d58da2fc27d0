"""Fixtures of tests that use Weights & Biases."""

from helpers.wandb_fixtures import (
    isolated_wandb,
    refusing_server,
    server,
    set_server,
    silent_server,
)

__all__ = ["isolated_wandb", "refusing_server", "server", "set_server", "silent_server"]
