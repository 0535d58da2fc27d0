"""References of real photos, and the grades of photos by them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from genspot.common.errors import GenspotError
from genspot.detector.checkpoint import load_checkpoint
from genspot.evaluation.scores import write_validation
from genspot.tasks.reference_photos import leave_reference
from genspot.tasks.training_config import with_training_config
from helpers.images import save_image
from helpers.runs import read_csv
from helpers.settings import SEARCH_PATH
from helpers.tasks import composed, run_task

FEW = 12


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 110 real photos, a copy and a broken one, and another of a few new ones."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(110):
        save_image(folder / "known" / f"{number:03d}.png", 50_000 + number, fake=False)
    (folder / "known" / "torn.png").write_bytes(b"no image")
    Image.open(folder / "known" / "003.png").save(folder / "known" / "copy.bmp")
    save_image(folder / "known" / "tiny.png", 5, fake=False, size=(20, 31))
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
    assert "grade" not in rows[0]
    logits = {Path(row["path"]).name: float(row["logit"]) for row in rows}
    assert logits.pop("copy.bmp") == pytest.approx(logits["003.png"], abs=1e-6)
    assert logits.pop("tiny.png")  # smaller than the crop, as no photo that is graded
    assert sorted(table["logit"].to_pylist()) == pytest.approx(sorted(logits.values()), abs=1e-6)
    about = json.loads(table.schema.metadata[b"genspot.reference"])
    assert about["left_out"] == {"smaller than the crop": 1, "copies of others": 1}


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


def test_reference_beside_the_checkpoint_of_another_crop_gives_no_grades_and_a_warning(
    checkpoint: Path, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = [*settings("predict", checkpoint, photos / "new"), "crop=16"]
    folder = run_task(*run, folder=tmp_path / "run")
    assert "there are no grades" in caplog.text and "another crop" in caplog.text
    assert "grade" not in read_csv(folder / "predictions.csv")[0]


@pytest.fixture
def training(trained: Path, tmp_path: Path) -> Path:
    """The best checkpoint of a training, without its other files."""
    return Path(shutil.copy(trained / "best.ckpt", tmp_path))


def leave(training: Path, paths: list[Path], *overrides: str, classes: int = 1) -> Path:
    """Leave the reference of a training, which scored `paths` and as many fakes."""
    logits = [0.01 * number for number in range(len(paths))]
    count = 2 * len(paths)
    table = pa.table(
        {
            "path": pa.array([*map(str, paths), *["fake.png"] * len(paths)], pa.large_string()),
            "generator": ["own"] * count,
            "class": [f"class {number % classes}" for number in range(count)],
            "label": pa.array([0] * len(paths) + [1] * len(paths), pa.int8()),
            "logit": pa.array([*logits, *[9.0] * len(paths)], pa.float32()),
            "padded": [False] * count,
        }
    )
    checkpoint = load_checkpoint(training)
    model = checkpoint.metadata.model
    crop = model.test.crop
    write_validation(table, training.parent, crop)
    overrides = overrides or ("data=progan_20cls",)
    chosen = [f"checkpoint={training}", "workers=0", SEARCH_PATH, *overrides]
    with composed(*chosen, folder=training.parent / "run") as cfg:
        leave_reference(with_training_config(cfg, checkpoint.metadata), checkpoint, model, crop)
    return training.with_name("best.reference.parquet")


def test_training_leaves_a_reference_of_its_real_validation_images_that_predict_takes(
    training: Path, photos: Path, tmp_path: Path
) -> None:
    paths = [photos / "known" / f"{number:03d}.png" for number in range(110)]
    file = leave(training, paths)
    table = pq.read_table(file)
    assert table["logit"].to_pylist() == pytest.approx([0.01 * number for number in range(110)])
    about = json.loads(table.schema.metadata[b"genspot.reference"])
    assert about["inputs"][0].startswith("validation images of ")
    run = settings("predict", training, photos / "new" / "001.png")
    (row,) = read_csv(run_task(*run, folder=tmp_path / "run") / "predictions.csv")
    assert row["references"] == "110"


def test_training_on_parts_of_few_photographs_or_with_few_photos_leaves_no_reference(
    training: Path, photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    paths = [photos / "known" / f"{number:03d}.png" for number in range(110)]
    simulated = ["data=simulated", f"paths.simulated={training.parent}"]
    assert not leave(training, paths, *simulated, classes=5).exists()
    assert "110 real validation images are parts of 5 photographs" in caplog.text
    sets = ["data=sets", "generator=[random_simulators,sr_waifu2x]", "data.hold_out=[sr_waifu2x]"]
    caplog.clear()
    assert not leave(training, paths, *sets, classes=5).exists()
    assert "110 real validation images are parts of 5 photographs" in caplog.text
    assert not leave(training, paths[:98]).exists()
    assert "98 reference photos are too few" in caplog.text
    gone = [training.parent / f"{number}.png" for number in range(110)]
    assert not leave(training, gone).exists()
    assert "0 reference photos are too few (110 no longer readable left out)" in caplog.text


def test_reference_of_too_few_photos_of_fakes_or_without_a_folder_is_refused(
    checkpoint: Path, photos: Path, sets: Path, tmp_path: Path
) -> None:
    file = Path(shutil.copy(checkpoint, tmp_path))
    with pytest.raises(GenspotError, match=r"13 .* too few \(1 smaller than the crop left out\)"):
        run_task(*settings("reference", file, photos / "new"), folder=tmp_path / "run")
    with pytest.raises(GenspotError, match=r"some lie in 1_fake: give inputs=…/0_real alone"):
        run_task(*settings("reference", file, sets / "test"), folder=tmp_path / "run")
    shutil.copytree(photos / "known", tmp_path / "Fake")
    with pytest.raises(GenspotError, match=r"some lie in fake: give others, or rename"):
        run_task(*settings("reference", file, tmp_path / "Fake"), folder=tmp_path / "run")
    run = settings("reference", file, photos / "known")
    with pytest.raises(GenspotError, match="make it first"):
        run_task(*run, f"reference={tmp_path}/no/a.parquet", folder=tmp_path / "run")
    kept = file.read_bytes()
    with pytest.raises(GenspotError, match=r"best\.ckpt is there already, and no reference"):
        run_task(*run, f"reference={file}", folder=tmp_path / "run")
    braces = Path(shutil.copy(checkpoint, tmp_path / "{a}.ckpt"))
    with pytest.raises(GenspotError, match=r"\{a\}\.ckpt is there already, and no reference"):
        run_task(*run, f"reference='{braces}'", folder=tmp_path / "run")
    with pytest.raises(GenspotError, match="is there already, and no reference"):
        run_task(*run, f"reference={tmp_path}", folder=tmp_path / "run")
    assert file.read_bytes() == kept
    other = checkpoint.with_name("best.reference.parquet")  # of the same file, but another crop
    kept = other.read_bytes()
    with pytest.raises(GenspotError, match="parquet is there already, and of another detector"):
        run_task(*run, f"reference={other}", "crop=24", folder=tmp_path / "run")
    assert other.read_bytes() == kept
    with pytest.raises(GenspotError, match="reference=none is of task=predict"):
        run_task(*run, "reference=none", folder=tmp_path / "run")
    assert not list(tmp_path.glob("*.parquet"))
