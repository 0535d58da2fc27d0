"""What task=predict and task=reference refuse alike, before they read anything."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from genspot.common.errors import GenspotError
from genspot.tasks import photos
from helpers.tasks import composed, run_task

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


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "setting",
    [
        *("degradations=jpeg_75", "spectra=5", "confidence=0.9", "hub.id=a/b", "seed=3"),
        *("callbacks=checkpoint", "logger=csv", "schedule.batch_size=4", "+foo.bar=1"),
    ],
)
def test_setting_that_is_not_read_is_refused(task: str, setting: str, tmp_path: Path) -> None:
    settings = [f"task={task}", "checkpoint=none.ckpt", f"inputs={tmp_path}", setting]
    with pytest.raises(GenspotError) as found:
        run_task(*settings, folder=tmp_path / "run")
    key = setting.lstrip("+").partition("=")[0]
    assert str(found.value) == f"{key} is without effect on task={task}: leave it out"


def test_standard_input_begins_with_a_byte_order_mark_or_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf/no/a.jpg\r\n")))
    with composed("task=predict", "inputs=-", folder=tmp_path / "run") as cfg:
        assert photos._read_inputs(cfg)[0] == ["/no/a.jpg"]


@pytest.mark.parametrize("content", [b"a.jpg\0b.jpg\0", "a.jpg\n".encode("utf-16")])
def test_standard_input_with_zero_bytes_is_refused(
    content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    with pytest.raises(GenspotError, match=r"^inputs=-: .*zero bytes; give one path a line"):
        settings = ["task=predict", "checkpoint=none.ckpt", "inputs=-"]
        run_task(*settings, folder=tmp_path / "run")
