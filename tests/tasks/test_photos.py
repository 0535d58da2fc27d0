"""What task=predict and task=reference refuse alike, before they read anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from genspot.common.errors import GenspotError
from helpers.tasks import run_task

TASKS = ("predict", "reference")


@pytest.mark.parametrize("task", TASKS)
def test_photos_must_be_named(task: str, tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match=rf"^task={task} needs inputs=PHOTO_OR_FOLDER, or a"):
        run_task(f"task={task}", "checkpoint=none.ckpt", folder=tmp_path / "run")


@pytest.mark.parametrize("task", TASKS)
def test_condition_of_fakes_alone_is_refused(task: str, tmp_path: Path) -> None:
    settings = [f"task={task}", "checkpoint=none.ckpt", f"inputs={tmp_path}"]
    with pytest.raises(GenspotError, match=r"give protocol=matched_jpeg_96, or leave it out"):
        run_task(*settings, "protocol=fakes_jpeg_96", folder=tmp_path / "run")
