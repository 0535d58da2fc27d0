"""One run, an ablation with robustness tests, and trainings that differ in their seed."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from PIL import Image

from genspot.report.page import render_report
from genspot.report.runs import Run, label_runs
from helpers.report_runs import SCRIPT, make_run, make_training

AUGS = ("none", "blur_jpg_0.5", "größer & <besser>")
REAL_SETS = {"sim_nearest": "shared", "a<b&c": "shared"}


class Report(NamedTuple):
    """Labelled runs, the rendered report on them, and its page."""

    runs: list[Run]
    files: dict[str, str]
    page: str


def make_report(runs: list[Run], title: str) -> Report:
    files = render_report(runs, title)
    return Report(label_runs(runs), files, files["report.html"])


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A run with spectra and a calibration."""
    fit = {"threshold": -1.25, "temperature": 2.5, "images": 60, "notes": []}
    folder = tmp_path_factory.mktemp("single") / "run_<1>"
    run = make_run(folder, fit=fit, commit="0123abc", versions={"torch": "2.14.0"})
    (folder / "spectra").mkdir(parents=True)
    for kind in ("real", "fake"):
        Image.new("L", (32, 32), 99).save(folder / "spectra" / f"sim_nearest_{kind}.png")
    return make_report([run], f"A <title> & {SCRIPT}")


@pytest.fixture(scope="session")
def ablation(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Three augmentations, and four degraded tests of the third."""
    folder = tmp_path_factory.mktemp("ablation")
    runs = [
        make_run(folder / f"run{number}", number, number / 2, trained_on={"aug": aug})
        for number, aug in enumerate(AUGS)
    ]
    about = {"checkpoint": f"{folder}/run2/best.ckpt", "trained_on": {"aug": AUGS[-1]}}
    degraded = (["jpeg_90"], ["jpeg_50"], ["blur_1.5"], ["resize_0.5", "jpeg_75"])
    for number, chain in enumerate(degraded):
        name = f"degraded{number}"
        runs.append(make_run(folder / name, 9, number / 2, degradations=chain, **about))
    return make_report(runs, "Seven runs")


@pytest.fixture(scope="session")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two augmentations with the seeds 2, 0 and 1 each, and one training of a third."""
    folder = tmp_path_factory.mktemp("trainings")
    runs = [
        make_training(
            folder / f"{aug}{seed}",
            seed,
            10 * number + seed,
            trained_on={"aug": aug},
            real_sets=REAL_SETS,
        )
        for number, (aug, seeds) in enumerate(
            [("none", (2, 0, 1)), (AUGS[-1], (2, 0, 1)), ("blur_0.5", (7,))]
        )
        for seed in seeds
    ]
    return make_report(runs, "Seven trainings")
