"""Overrides of the small runs that tests make."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEARCH_PATH = f"hydra.searchpath=[file://{ROOT}/tests/conf]"  # model=small

TINY = (
    "data=folder",
    SEARCH_PATH,
    "model=small",
    "schedule=quick",
    "schedule.max_epochs=2",
    "schedule.batch_size=8",
    "trainer=cpu",
    "trainer.log_every_n_steps=2",
    "workers=0",
)

# Its steps and checkpoints take long enough to be interrupted from outside.
RESNET = (
    "model=resnet18",
    "model.backbone.weights=null",
    "model.train={resize: null, crop: 32}",
    "model.test.crop=32",
)


def tiny(folder: Path) -> list[str]:
    """Return the overrides of a training on the sets below `folder` that takes seconds."""
    paths = [f"data.train={folder}/train", f"data.val={folder}/val"]
    return [*TINY, *paths, f"test_set.path={folder}/test", "test_set.name=mine"]
