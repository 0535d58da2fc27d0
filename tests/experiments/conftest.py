"""Fixtures of tests that use Weights & Biases."""

from helpers.wandb_fixtures import isolated_wandb, refusing_server, set_server

__all__ = ["isolated_wandb", "refusing_server", "set_server"]
