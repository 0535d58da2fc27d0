"""protocol=matched_… and fakes_…: conditions of a test, beside the plain one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from genspot.common.errors import GenspotError
from helpers.arrays import compress_by_pil
from helpers.images import save_set
from helpers.runs import read_csv, read_logits, read_metrics
from helpers.settings import SEARCH_PATH, tiny
from helpers.tasks import run_task

OWN = "fit_36+jpeg_40"


@pytest.fixture(scope="module")
def changed(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished training under the protocol `OWN`."""
    folder = tmp_path_factory.mktemp("changed") / "run"
    return run_task(*tiny(sets), f"protocol={OWN}", folder=folder)


def result_of(training: Path, images: Path, folder: Path, *more: str) -> Path:
    settings = ["task=test", f"checkpoint={training}/best.ckpt", "generator=folder", "workers=0"]
    settings += [f"test_set.path={images}", "test_set.name=mine", SEARCH_PATH]
    return run_task(*settings, *more, folder=folder)


def encoded_copy(images: Path, folder: Path, labels: tuple[str, ...]) -> Path:
    """Return a copy of a test set in which the images of `labels` went through JPEG of PIL."""
    for file in images.glob("*/*.png"):
        copy = folder / file.parent.name / file.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file.name == "broken.png" or file.parent.name not in labels:
            shutil.copy(file, copy)
        else:
            pixels = np.asarray(Image.open(file).convert("RGB"))
            Image.fromarray(compress_by_pil(pixels, 10)).save(copy)
    return folder


def by_name(folder: Path) -> dict[str, float]:
    """Return label folder and name of each scored image → logit."""
    return {"/".join(Path(path).parts[-2:]): one for path, one in read_logits(folder).items()}


@pytest.mark.parametrize("condition", ["matched", "fakes"])
@pytest.mark.parametrize("own", [False, True], ids=["plain", "own protocol"])
def test_condition_changes_its_images_before_the_protocol_of_the_checkpoint(
    condition: str, own: bool, trained: Path, changed: Path, sets: Path, tmp_path: Path
) -> None:
    training = changed if own else trained
    setting = f"protocol={condition}_jpeg_10"
    folder = result_of(training, sets / "test", tmp_path / "run", setting)
    labels = ("0_real", "1_fake") if condition == "matched" else ("1_fake",)
    copies = encoded_copy(sets / "test", tmp_path / "copies", labels)
    expected = result_of(training, copies, tmp_path / "of copies")
    found, plain = by_name(folder), by_name(training)
    assert found == by_name(expected)
    unchanged = {name for name in found if found[name] == plain[name]}
    assert unchanged == {name for name in found if name[:6] not in labels}
    metrics = read_metrics(folder)
    assert metrics["protocol"] == f"{condition}_jpeg_10"
    # Threshold and temperature stay those of the training.
    assert metrics["fit"] == read_metrics(training)["fit"] is not None
    page = (folder / "report.html").read_text(encoding="utf-8")
    who = "the fakes alone were" if condition == "fakes" else "real and fake images alike were"
    assert f"{who} changed by jpeg_10 after they were decoded" in page
    assert (f"then every image by {OWN}, the protocol of the training" in page) is own


def test_validation_images_are_scored_without_the_condition(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"  # not beside the scores that the training left
    copy.mkdir()
    (copy / "best.ckpt").write_bytes((trained / "best.ckpt").read_bytes())
    data = "data=folder", f"data.val={sets}/val"
    fits = [
        read_metrics(result_of(copy, sets / "test", tmp_path / name, *data, f"protocol={name}"))[
            "fit"
        ]
        for name in ("none", "matched_jpeg_10")
    ]
    assert fits[0] == fits[1] is not None
    plain = result_of(copy, sets / "test", tmp_path / "steps", *data, "protocol=jpeg_10")
    assert read_metrics(plain)["fit"] != fits[0]  # a protocol concerns all images


def test_own_is_the_protocol_of_the_checkpoint(
    trained: Path, changed: Path, sets: Path, tmp_path: Path
) -> None:
    for training, expected in ((changed, OWN), (trained, "none")):
        name = tmp_path / expected
        folder = result_of(training, sets / "test", name, "protocol=own")
        assert OmegaConf.load(folder / "config.yaml").protocol == expected
        assert read_logits(folder) == read_logits(training)


def test_continued_test_under_another_condition_scores_its_images_again(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    """A test that is stopped leaves its scores in the folder."""
    folder = tmp_path / "run"
    result_of(trained, sets / "test", folder, "protocol=fakes_jpeg_10")
    first = read_logits(folder)
    with pytest.raises(GenspotError, match=r"protocol=fakes_jpeg_10, now matched_jpeg_10"):
        result_of(trained, sets / "test", folder, "protocol=matched_jpeg_10")
    (folder / "metrics.json").unlink()
    result_of(trained, sets / "test", folder, "protocol=matched_jpeg_10")
    second = read_logits(folder)
    assert {path for path in first if first[path] == second[path]} == {
        path for path in first if "1_fake" in path
    }


@pytest.mark.parametrize("protocol", ["matched_jpeg_96", "fakes_jpeg_96", "own"])
@pytest.mark.parametrize("task", ["train", "harmonize", "audit"])
def test_condition_is_refused_where_there_is_no_test_of_a_checkpoint(
    task: str, protocol: str, tmp_path: Path
) -> None:
    save_set(tmp_path / "test", 1, 1)
    with pytest.raises(GenspotError, match=rf"^protocol={protocol}[: ][^\n]+\Z"):
        run_task(f"task={task}", *tiny(tmp_path), f"protocol={protocol}", folder=tmp_path / "run")


def test_photos_can_be_matched_and_not_told_apart(
    trained: Path, sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["task=predict", f"checkpoint={trained}/best.ckpt", "workers=0", SEARCH_PATH]
    settings += [f"inputs={sets}/test"]
    with pytest.raises(GenspotError, match=r"^protocol=fakes_jpeg_75: nobody knows which of the"):
        run_task(*settings, "protocol=fakes_jpeg_75", folder=tmp_path / "refused")
    folder = run_task(*settings, "protocol=matched_jpeg_10", folder=tmp_path / "run")
    rows = {row["path"]: float(row["logit"]) for row in read_csv(folder / "predictions.csv")}
    expected = read_logits(result_of(trained, sets / "test", tmp_path / "t", "protocol=jpeg_10"))
    assert rows == pytest.approx(expected, abs=1e-5)
    assert "protocol=matched_jpeg_10: every image was changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ("fakes_fit_36", "protocol=fakes_fit_36: fit_N leaves out smaller images"),
        ("matched_none", "protocol=matched_none: name what is done"),
        ("5", "protocol=5: give none, or blur_SIGMA, .+ in a test, own"),
    ],
)
def test_condition_that_makes_no_sense_ends_before_images_are_read(
    protocol: str, message: str, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(GenspotError, match=rf"^{message}[^\n]*\Z"):
        result_of(trained, tmp_path / "missing", tmp_path / "run", f"protocol={protocol}")


def test_spectra_and_pictures_are_of_the_files(trained: Path, sets: Path, tmp_path: Path) -> None:
    folders = [
        result_of(trained, sets / "test", tmp_path / name, f"protocol={name}", "spectra=4")
        for name in ("none", "matched_blur_3")
    ]
    for one, other in zip(*(sorted(f.glob("spectra/*")) for f in folders), strict=True):
        assert one.read_bytes() == other.read_bytes()
    page = (folders[1] / "report.html").read_text(encoding="utf-8")
    assert "Images and spectra are those of the files, before matched_blur_3." in page
