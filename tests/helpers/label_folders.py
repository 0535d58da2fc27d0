"""Label folders of empty files: listing opens none that has the extension of an image."""

from __future__ import annotations

from pathlib import Path


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def make_label_folders(*parents: Path) -> None:
    for parent in parents:
        touch(parent / "0_real" / "b.png", parent / "0_real" / "a.png", parent / "1_fake/a.png")
