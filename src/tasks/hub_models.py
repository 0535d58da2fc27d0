"""Models of the Hugging Face Hub as checkpoints: hub/OWNER/NAME, or hub/OWNER/NAME@REVISION."""

from __future__ import annotations

from pathlib import Path

HUB = "hub/"  # a checkpoint that begins so is a model of the Hub


def hub_file(name: str, setting: str) -> Path:
    """Return the weights of a model of the Hugging Face Hub, fetched where they are not there yet.

    Args:
        name: hub/OWNER/NAME, or hub/OWNER/NAME@REVISION.
        setting: that gave the name, for messages.

    Raises:
        GenspotError: no such name, model or revision, no weights in it, no right to read it, no
            network and no copy, or huggingface_hub is not installed.
    """
    raise NotImplementedError
