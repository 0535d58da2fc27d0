"""The detector that ships with genspot, in the folder embedded/ beside this file."""

from __future__ import annotations

from pathlib import Path

from genspot.common.errors import GenspotError

FOLDER = Path(__file__).with_name("embedded")


def embedded_detector() -> Path:
    """Return the file of its weights; its reference (`evaluation.references`) lies beside it.

    Raises:
        GenspotError: this copy of genspot lacks it.
    """
    path = FOLDER / "embedded.safetensors"
    if not path.is_file():
        raise GenspotError(f"checkpoint=embedded: {path} is missing; install genspot again")
    return path


def ships(checkpoint: Path) -> bool:
    """Return whether a checkpoint is the one that ships, by whatever name it was given."""
    return checkpoint.resolve().parent == FOLDER.resolve()
