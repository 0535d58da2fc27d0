"""Figures of validations: kept with each checkpoint, and read from the best one."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genspot.detector.validation_figures import ValidationFigures, read_validation_figures


def validated(
    callback: ValidationFigures, step: int, sanity: bool = False, **values: float
) -> None:
    logged = {f"val/{name}": torch.tensor(value) for name, value in values.items()}
    logged["train/loss"] = torch.tensor(9.0)
    trainer: Any = SimpleNamespace(
        sanity_checking=sanity, global_step=step, callback_metrics=logged
    )
    callback.on_validation_end(trainer, None)  # type: ignore[arg-type]


def save(path: Path, callback: ValidationFigures, step: int) -> Path:
    """Write what matters of a checkpoint of Lightning."""
    states = {callback.state_key: callback.state_dict()}
    torch.save({"global_step": step, "callbacks": states}, path)
    return path


def test_figures_are_those_of_the_step_of_the_checkpoint(tmp_path: Path) -> None:
    callback = ValidationFigures()
    validated(callback, 0, sanity=True, ap=0.5)
    validated(callback, 10, ap=0.75, acc=0.5, loss=1.5)
    first = save(tmp_path / "first", callback, 10)
    resumed = ValidationFigures()
    resumed.load_state_dict(callback.state_dict())
    validated(resumed, 20, ap=0.875, acc=0.625, loss=math.inf)
    best, last = save(tmp_path / "best", resumed, 10), save(tmp_path / "last", resumed, 20)
    expected = {"ap": 0.75, "acc": 0.5, "loss": 1.5}
    assert read_validation_figures(first) == read_validation_figures(best) == expected
    assert read_validation_figures(last) == {"ap": 0.875, "acc": 0.625, "loss": None}


@pytest.mark.parametrize("content", [{}, {"callbacks": {}}], ids=str)
def test_checkpoint_of_an_earlier_version_has_no_figures(
    content: dict[str, Any], tmp_path: Path
) -> None:
    torch.save({"global_step": 10, **content}, tmp_path / "old")
    assert read_validation_figures(tmp_path / "old") is None
    assert read_validation_figures(save(tmp_path / "other", ValidationFigures(), 10)) is None
