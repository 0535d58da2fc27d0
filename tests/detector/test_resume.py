"""How checkpoints are written, and which one a training resumes from."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from genspot.detector.resume import AtomicCheckpointIO, find_checkpoint, training_position
from helpers.errors import error_of


def save(step: int, file: Path) -> None:
    AtomicCheckpointIO().save_checkpoint({"global_step": step}, file)


def test_last_two_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in range(3):
        save(step, tmp_path / "last.ckpt")
        save(7, tmp_path / "best.ckpt")
    steps = {file.name: training_position(file)[0] for file in tmp_path.iterdir()}
    assert steps == {"last.ckpt": 2, "previous.ckpt": 1, "best.ckpt": 7}


def test_position_is_steps_taken_and_epochs_started(tmp_path: Path) -> None:
    assert training_position(None) == (0, 0)
    content = {"global_step": 9, "epoch": 2}
    AtomicCheckpointIO().save_checkpoint(content, tmp_path / "last.ckpt")
    assert training_position(tmp_path / "last.ckpt") == (9, 3)


NAN, ONE = torch.tensor([torch.nan]), torch.ones(1)
MOMENT = {"state": {3: {"step": ONE, "exp_avg": -ONE / 0}}}


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"state_dict": {"network.fc.bias": NAN}}, "state_dict.network.fc.bias"),
        ({"state_dict": {}, "optimizer_states": [MOMENT]}, "optimizer_states.0.state.3.exp_avg"),
        ({"state_dict": {"fc": ONE}, "callbacks": {"stop": {"best_score": ONE / 0}}}, None),
    ],
)
def test_find_checkpoint_refuses_what_is_not_finite(
    content: dict[str, Any], key: str | None, tmp_path: Path
) -> None:
    AtomicCheckpointIO().save_checkpoint({"global_step": 3, **content}, tmp_path / "last.ckpt")
    assert find_checkpoint(tmp_path, "never") is None
    if key is None:
        assert find_checkpoint(tmp_path, "auto") == tmp_path / "last.ckpt"
    else:
        message = error_of(find_checkpoint, tmp_path, "auto")
        assert f"last.ckpt is of no use: {key} holds NaN or infinity" in message
        assert "resume=never" in message


def test_find_checkpoint_passes_over_a_damaged_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    assert find_checkpoint(tmp_path, "auto") is None
    for step in range(2):
        save(step, last)
    assert find_checkpoint(tmp_path, "auto") == last
    assert find_checkpoint(tmp_path, "never") is None
    last.write_bytes(last.read_bytes()[:-100])
    assert find_checkpoint(tmp_path, "auto") == previous
    assert "last.ckpt is damaged" in caplog.text
    previous.write_bytes(b"")
    assert find_checkpoint(tmp_path, "auto") is None
    assert "starting from the beginning" in caplog.text
