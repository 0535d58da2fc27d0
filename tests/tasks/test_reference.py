"""References of real photos, and the grades of photos by them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from genspot.common.errors import GenspotError
from helpers.images import save_image
from helpers.runs import read_csv
from helpers.settings import SEARCH_PATH
from helpers.tasks import run_task

FEW = 12


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 110 real photos and one that is broken, and another of a few new ones."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(110):
        save_image(folder / "known" / f"{number:03d}.png", 50_000 + number, fake=False)
    (folder / "known" / "torn.png").write_bytes(b"no image")
    for number in range(FEW):
        save_image(folder / "new" / f"{number:03d}.png", 60_000 + number, fake=False)
    save_image(folder / "new" / "small.png", 5, fake=False, size=(20, 31))
    save_image(folder / "new" / "large.png", 6, fake=False, size=(200, 300))
    return folder


@pytest.fixture(scope="module")
def checkpoint(trained: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the reference of `photos` beside it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    file = Path(shutil.copy(trained / "best.ckpt", folder))
    run_task(*settings("reference", file, photos / "known"), folder=folder / "run")
    return file


def settings(task: str, checkpoint: Path, inputs: Path) -> list[str]:
    chosen = [f"task={task}", f"checkpoint={checkpoint}", f"inputs={inputs}"]
    return [*chosen, "workers=0", SEARCH_PATH]


def test_reference_has_the_logit_and_the_traits_of_each_readable_photo(
    checkpoint: Path, photos: Path, tmp_path: Path
) -> None:
    table = pq.read_table(checkpoint.with_name("best.reference.parquet"))
    assert table.num_rows == 110 and set(table["width"].to_pylist()) == {40}
    assert [
        Path(row["path"]).name for row in read_csv(checkpoint.parent / "run/unreadable.csv")
    ] == ["torn.png"]
    run = settings("predict", checkpoint, photos / "known")
    folder = run_task(*run, "reference=none", folder=tmp_path / "run")
    rows = read_csv(folder / "predictions.csv")
    assert sorted(table["logit"].to_pylist()) == pytest.approx(
        sorted(float(row["logit"]) for row in rows), abs=1e-6
    )
    assert "grade" not in rows[0]


def test_predict_grades_by_the_reference_beside_the_checkpoint(
    checkpoint: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_task(*settings("predict", checkpoint, photos / "new"), folder=tmp_path / "run")
    references = pq.read_table(checkpoint.with_name("best.reference.parquet"))["logit"].to_numpy()
    rows = {Path(row["path"]).name: row for row in read_csv(folder / "predictions.csv")}
    assert list(next(iter(rows.values())))[:6] == (
        ["path", "logit", "probability", "verdict", "calibrated", "padded"]
    )
    for name in ("small.png", "large.png"):
        assert (rows[name]["grade"], rows[name]["p_value"]) == ("cannot say", "")
    assert "smaller than the crop" in rows.pop("small.png")["reason"]
    assert "0.06 megapixels" in rows.pop("large.png")["reason"]
    assert len(rows) == FEW
    for row in rows.values():
        at_least = int((references >= np.float32(row["logit"])).sum())
        assert float(row["p_value"]) == pytest.approx((1 + at_least) / 111)
        assert (row["references"], row["reason"]) == ("110", "")
    printed = capsys.readouterr().out
    assert "false-alarm rate" in printed and "110 real photos: no traces of JPEG" in printed
    assert "uncalibrated" not in printed


def test_reference_may_be_named_and_is_refused_for_another_crop_or_checkpoint(
    checkpoint: Path, photos: Path, trained: Path, tmp_path: Path
) -> None:
    named = tmp_path / "own.parquet"
    shutil.copy(checkpoint.with_name("best.reference.parquet"), named)
    for run, fault in (
        ([*settings("predict", checkpoint, photos / "new"), "crop=16"], "another crop"),
        (settings("predict", trained / "last.ckpt", photos / "new"), "another checkpoint"),
    ):
        with pytest.raises(GenspotError, match=f"was made with {fault}"):
            run_task(*run, f"reference={named}", folder=tmp_path / "run")
    run = [*settings("predict", checkpoint, photos / "new"), f"reference={tmp_path}/none.parquet"]
    with pytest.raises(GenspotError, match=r"none\.parquet does not exist; task=reference"):
        run_task(*run, folder=tmp_path / "run")


def test_reference_of_too_few_photos_of_fakes_or_without_a_folder_is_refused(
    checkpoint: Path, photos: Path, sets: Path, tmp_path: Path
) -> None:
    file = Path(shutil.copy(checkpoint, tmp_path))
    with pytest.raises(GenspotError, match="14 reference photos are too few"):
        run_task(*settings("reference", file, photos / "new"), folder=tmp_path / "run")
    with pytest.raises(GenspotError, match=r"some lie in 1_fake: give inputs=…/0_real alone"):
        run_task(*settings("reference", file, sets / "test"), folder=tmp_path / "run")
    run = settings("reference", file, photos / "known")
    with pytest.raises(GenspotError, match="make it first"):
        run_task(*run, f"reference={tmp_path}/no/a.parquet", folder=tmp_path / "run")
    with pytest.raises(GenspotError, match="reference=none is of task=predict"):
        run_task(*run, "reference=none", folder=tmp_path / "run")
    assert not list(tmp_path.glob("*.parquet"))
