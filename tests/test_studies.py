"""Sweeps end with one report and run only what is missing; tests know their validation."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from conftest import Run, tiny
from genspot.evaluation import calibration
from genspot.common.errors import GenspotError
from genspot.report.gallery import SIDE
from genspot.evaluation.scores import read_validation
from genspot.tasks.report import find_runs


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def swept(
    run: Run, sets: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """The folder of a finished sweep of two trainings, and its command."""
    folder = tmp_path_factory.mktemp("swept")
    words = [*tiny(sets), "workers=0", "schedule.max_epochs=1", "aug=none,blur_jpg_0.1"]
    words += [f"hydra.sweep.dir={folder}/sweep", "hydra.sweep.subdir=${aug.name}", "-m"]
    result = run(*words, cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder / "sweep", words


def test_a_sweep_ends_with_one_report(swept: tuple[Path, list[str]]) -> None:
    folder, _ = swept
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in ("none", "blur_jpg_0.1"):
        mean = 100 * metrics(folder / name)["mean"]["ap"]
        assert f"{mean:.1f}" in (folder / "report.html").read_text()
    assert len(rows) == 4  # two runs, one generator and the mean
    for name in ("results.md", "results.tex"):
        assert (folder / name).stat().st_size


def test_the_same_sweep_again_runs_only_what_is_missing(
    swept: tuple[Path, list[str]], run: Run
) -> None:
    folder, words = swept
    before = (folder / "blur_jpg_0.1" / "metrics.json").stat().st_mtime_ns
    (folder / "none" / "metrics.json").unlink()
    result = run(*words, cwd=folder.parent)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("is already done") == 1
    assert (folder / "blur_jpg_0.1" / "metrics.json").stat().st_mtime_ns == before
    assert (folder / "none" / "metrics.json").is_file()


def test_a_sweep_of_degraded_tests(run: Run, sets: Path, trained: Path, tmp_path: Path) -> None:
    words = ["task=test", f"checkpoint={trained}/best.ckpt", "generator=[folder]", "workers=0"]
    words += [f"folder={sets}/test", "name=mine", "degrade=none,jpeg_20+resize_2", "spectra=3"]
    words += [f"hydra.sweep.dir={tmp_path}/sweep", "hydra.sweep.subdir=${degrade}"]
    words += ["logger=none", "-m"]
    result = run(*words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    plain, degraded = (tmp_path / "sweep" / name for name in ("none", "jpeg_20+resize_2"))
    assert metrics(plain)["degrade"] == []
    assert metrics(degraded)["degrade"] == ["jpeg_20", "resize_2"]
    assert metrics(plain)["generators"]["mine"]["ap"] == pytest.approx(
        metrics(trained)["generators"]["mine"]["ap"]
    )
    logits = [pq.read_table(folder / "scores.parquet")["logit"] for folder in (plain, degraded)]
    assert logits[0] != logits[1]
    assert (plain / "spectra" / "mine_fake.png").is_file()
    with Image.open(plain / "ranking" / "mine.png") as sheet:
        assert sheet.size[1] == 2 * SIDE
    again = run(*words, cwd=tmp_path)
    assert again.stdout.count("already done") == 2


def test_thresholds_are_fitted_on_validation_and_kept_for_later_tests(
    trained: Path, run: Run, sets: Path, tmp_path: Path
) -> None:
    validation = read_validation(trained, 32)
    assert validation is not None and validation.num_rows == 11
    fitted = calibration.fit(validation)
    assert fitted is not None
    assert metrics(trained)["fit"]["threshold"] == fitted.threshold
    labels, logits = (
        pq.read_table(trained / "scores.parquet")[name].to_numpy() for name in ("label", "logit")
    )
    right = (logits.astype(np.float64) > fitted.threshold) == (labels == 1)
    assert metrics(trained)["generators"]["mine"]["acc_fitted"] == pytest.approx(right.mean())
    words = ["task=test", f"checkpoint={trained}/best.ckpt", f"folder={sets}/test", "name=mine"]
    words += ["generator=folder", "workers=0", "logger=none"]
    for crop, known in (("32", True), ("16", False)):
        result = run(*words, f"crop={crop}", f"hydra.run.dir={tmp_path}/{crop}", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert (metrics(tmp_path / crop)["fit"] is not None) == known


def test_what_a_result_was_made_with_is_kept(trained: Path) -> None:
    about = metrics(trained)
    assert {"python", "torch", "numpy"} <= about["versions"].keys()
    assert about["commit"] is None or len(about["commit"].rstrip("+")) == 12


def test_the_plain_run_is_what_others_are_compared_with(tmp_path: Path) -> None:
    for name, about in {
        "blur_1": {"degrade": ["blur_1"], "trained_on": {"aug": "none"}},
        "zero": {"degrade": [], "trained_on": {"aug": "none"}},
        "progan_16cls": {"trained_on": {"aug": "blur_0.5"}},
        "progan_2cls": {"trained_on": {"aug": "blur_0.5"}},
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps(about))
    names = [folder.name for folder in find_runs([str(tmp_path)])]
    assert names == ["zero", "progan_2cls", "progan_16cls", "blur_1"]


def test_runs_are_found_directly_or_one_level_below(tmp_path: Path) -> None:
    for name in ("sweep/b", "sweep/a", "single", "sweep/deep/er"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "metrics.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    found = find_runs([str(tmp_path / "sweep"), str(tmp_path / "single")])
    assert found == [tmp_path / name for name in ("sweep/a", "sweep/b", "single")]
    for wrong in ([], [str(tmp_path / "empty")], [str(tmp_path / "nowhere")]):
        with pytest.raises(GenspotError, match="runs="):
            find_runs(wrong)
