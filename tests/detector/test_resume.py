"""How checkpoints are written, and which one a training resumes from."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from genspot.common.errors import GenspotError
from genspot.detector.resume import AtomicCheckpointIO, find_checkpoint, training_position


def test_checkpoints_appear_whole_and_the_last_two_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint_io = AtomicCheckpointIO()
    for number in range(3):
        checkpoint_io.save_checkpoint({"number": number}, tmp_path / "last.ckpt")
    checkpoint_io.save_checkpoint({"number": 7}, tmp_path / "best.ckpt")

    def numbers() -> dict[str, int]:
        files = [(file.name, torch.load(file, weights_only=True)) for file in tmp_path.iterdir()]
        return {name: content["number"] for name, content in files}

    assert numbers() == {"last.ckpt": 2, "previous.ckpt": 1, "best.ckpt": 7}

    def full_disk(path: Path, content: Any) -> int:
        path.open("wb").write(content[:100])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="no space left"):
        checkpoint_io.save_checkpoint({"number": 8}, tmp_path / "last.ckpt")
    assert numbers() == {"last.ckpt": 2, "previous.ckpt": 1, "best.ckpt": 7}


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "flipped":
        with zipfile.ZipFile(path) as archive:  # inside a tensor, where PyTorch would not look
            entry = max(archive.infolist(), key=lambda entry: entry.file_size)
        content[entry.header_offset + 200 + entry.file_size // 2] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize("how", ["truncated", "flipped", "empty"])
def test_find_checkpoint_passes_over_a_damaged_one(
    how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert find_checkpoint(tmp_path, "auto") is None
    for number in range(2):
        content = {"weights": torch.full((5000,), float(number)), "global_step": number}
        AtomicCheckpointIO().save_checkpoint(content, tmp_path / "last.ckpt")
    assert find_checkpoint(tmp_path, "auto") == tmp_path / "last.ckpt"
    assert find_checkpoint(tmp_path, "never") is None
    damage(tmp_path / "last.ckpt", how)
    with caplog.at_level(logging.WARNING):
        assert find_checkpoint(tmp_path, "auto") == tmp_path / "previous.ckpt"
    assert "last.ckpt is damaged" in caplog.text
    assert training_position(tmp_path / "previous.ckpt") == 0
    damage(tmp_path / "previous.ckpt", how)
    assert find_checkpoint(tmp_path, "auto") is None
    assert "starting from the beginning" in caplog.text


def test_find_checkpoint_of_another_choice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match="resume=sometimes: choose auto or never"):
        find_checkpoint(tmp_path, "sometimes")
