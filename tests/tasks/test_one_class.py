"""Tests and trainings whose test sets have real images alone, or fakes alone."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from genspot.report.run_reader import read_run
from helpers.images import save_set
from helpers.runs import read_logits, read_metrics
from helpers.settings import SEARCH_PATH, tiny
from helpers.tasks import run_task

KINDS = ("0_real", "1_fake")


def one_class(folder: Path, label: int) -> Path:
    """Return a set of `label` alone, without a folder for the other one."""
    save_set(folder, 6, 6)
    shutil.rmtree(folder / KINDS[1 - label])
    return folder


def run_without_warnings(*settings: str, folder: Path) -> Path:
    with warnings.catch_warnings():
        for module in ("numpy", "torchmetrics", "sklearn", "scipy", "genspot"):
            warnings.filterwarnings("error", module=rf"{module}(\..*)?")
        warnings.filterwarnings("error", ".*(empty slice|invalid value|No positive|No negative)")
        return run_task(*settings, folder=folder)


@pytest.mark.parametrize("label", [0, 1])
def test_test_of_one_class_ends_with_a_report_of_its_share(
    label: int, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = one_class(tmp_path / "set", label)
    settings = ("task=test", f"checkpoint={trained}/best.ckpt", "generator=folder", "workers=0")
    settings += (f"test_set.path={images}", "test_set.name=mine", "spectra=3", SEARCH_PATH)
    folder = run_without_warnings(*settings, folder=tmp_path / "run")
    figures, mean = (read_metrics(folder)[key] for key in ("generators", "mean"))
    called = [logit > 0 for logit in read_logits(folder).values()]
    rate, other = (("fpr", "tpr"), ("tpr", "fpr"))[label]
    assert figures["mine"]["status"] == ("reals only", "fakes only")[label]
    assert figures["mine"][rate] == np.mean(called) and figures["mine"][other] is None
    expected = binomtest(sum(called), 6).proportion_ci(0.95, method="exact")
    assert figures["mine"][f"{rate}_interval"] == pytest.approx([expected.low, expected.high])
    assert (mean["generators"], mean["ap"], mean["images"]) == (0, None, 0)
    printed = capsys.readouterr().out
    assert f"mine ({('reals', 'fakes')[label]} only)\t" in printed and "\nmean" not in printed
    assert "Called fake: " in (folder / "report.html").read_text(encoding="utf-8")
    assert [file.name for file in (folder / "spectra").glob("*.png")] == [
        f"mine_{('real', 'fake')[label]}.png"
    ]
    page = (folder / "report.html").read_bytes()
    run_task(*settings, folder=folder)  # which is complete
    assert f"mine ({('reals', 'fakes')[label]} only)\t" in capsys.readouterr().out
    assert (folder / "report.html").read_bytes() == page
    both = run_task("task=report", f"runs=[{folder},{trained}]", folder=tmp_path / "report")
    assert "Sets of one class" in (both / "report.html").read_text(encoding="utf-8")
    assert read_run(folder).metrics == read_metrics(folder)


def test_training_with_a_test_set_of_one_class_measures_no_shortcut_baseline(
    sets: Path, tmp_path: Path
) -> None:
    images = one_class(tmp_path / "set", 0)
    settings = [*tiny(sets), f"test_set.path={images}", "data.shortcut_baseline=true"]
    folder = run_without_warnings(*settings, folder=tmp_path / "run")
    figures = read_metrics(folder)["generators"]["mine"]
    assert figures["shortcut_baseline_ap"] is None
    assert figures["fpr"] is not None and figures["fpr_val_threshold"] is not None
