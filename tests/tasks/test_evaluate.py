"""What becomes of scores: exit codes, images that cannot be read, a report that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from genspot.common.errors import GenspotError
from helpers.images import save_set
from helpers.runs import read_csv
from helpers.settings import SEARCH_PATH
from helpers.tasks import run_task


def settings_of(task: str, trained: Path, images: Path, *more: str) -> list[str]:
    settings = [f"task={task}", f"checkpoint={trained}/best.ckpt", SEARCH_PATH, *more]
    settings += ["workers=0", "trainer=cpu"]
    if task == "predict":
        return [*settings, f"inputs={images}"]
    return [*settings, "generator=folder", f"test_set={{path: {images}, name: mine}}"]


@pytest.mark.parametrize(("limit", "fails"), [(0, True), (1, False), ("null", False)])
def test_number_of_unreadable_images_decides_the_exit_code_where_it_is_asked_for(
    limit: object, fails: bool, trained: Path, sets: Path, tmp_path: Path
) -> None:
    folder, settings = tmp_path / "run", settings_of("predict", trained, sets / "test")
    settings.append(f"max_unreadable={limit}")
    if fails:
        with pytest.raises(GenspotError, match=r"^1 images could not be read, more than max_unr"):
            run_task(*settings, folder=folder)
    else:
        run_task(*settings, folder=folder)
    assert len(read_csv(folder / "predictions.csv")) == 14


def test_test_ends_with_an_error_after_its_results_if_too_many_are_unreadable(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    settings = settings_of("test", trained, sets / "test", "max_unreadable=0")
    for _ in range(2):  # also when it is complete already
        with pytest.raises(GenspotError, match=r"1 images could not be read.*unreadable\.csv"):
            run_task(*settings, folder=tmp_path / "run")
        assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize("task", ["test", "predict"])
def test_run_without_any_readable_image_ends_with_one_line(
    task: str, trained: Path, tmp_path: Path
) -> None:
    images = save_set(tmp_path / "images", 0, 0)
    for name in ("0_real", "1_fake"):
        (images / name / "0.png").write_bytes(b"no image")
    folder = tmp_path / "run"
    with pytest.raises(GenspotError, match=r"^no image could be read: .*unreadable\.csv"):
        run_task(*settings_of(task, trained, images), folder=folder)
    assert len(read_csv(folder / "unreadable.csv")) == 2
    assert not (folder / "metrics.json").exists()
    assert not (folder / "predictions.csv").exists()
    assert not list(folder.glob("*.jsonl"))  # nothing to continue from


def test_report_that_fails_leaves_the_figures(
    trained: Path, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a picture\x1b")

    monkeypatch.setattr("genspot.tasks.evaluate.render_report", fail)
    with pytest.raises(GenspotError) as raised:
        run_task(*settings_of("test", trained, sets / "test"), folder=tmp_path / "run")
    line = (
        "the report could not be written (ZeroDivisionError: a picture\\x1b); the figures are in"
    )
    assert str(raised.value).startswith(line)
    assert (tmp_path / "run" / "metrics.json").is_file()
    assert not (tmp_path / "run" / "report.html").exists()
