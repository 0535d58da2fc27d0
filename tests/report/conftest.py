"""One run, an ablation with robustness tests, and trainings that differ in their seed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from PIL import Image

from genspot.report.page import render_report
from genspot.report.runs import Run, label_runs
from helpers.report_runs import SCRIPT, make_run, make_trainings

AUGS = ("none", "blur_jpg_0.5", "größer & <besser>")
SEED_AUGS = ("none", "größer & <besser>")
REAL_SETS = {"sim_nearest": "shared", "a<b&c": "shared"}


@dataclass
class Report:
    """Runs and the rendered report on them."""

    runs: list[Run]
    files: dict[str, str]

    @property
    def page(self) -> str:
        return self.files["report.html"]


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A run with spectra and a calibration."""
    fit = {"threshold": -1.25, "temperature": 2.5, "images": 60}
    folder = tmp_path_factory.mktemp("single") / "run_<1>"
    run = make_run(folder, fit=fit, commit="0123abc", versions={"torch": "2.14.0"})
    (folder / "spectra").mkdir(parents=True)
    for kind in ("real", "fake"):
        Image.new("L", (32, 32), 99).save(folder / "spectra" / f"sim_nearest_{kind}.png")
    return Report(label_runs([run]), render_report([run], f"A <title> & {SCRIPT}"))


@pytest.fixture(scope="session")
def ablation(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Three augmentations, and four degraded tests of the third."""
    folder = tmp_path_factory.mktemp("ablation")
    runs = [
        make_run(folder / f"run{number}", number, number / 2, trained_on={"aug": aug})
        for number, aug in enumerate(AUGS)
    ]
    degraded = (["jpeg_90"], ["jpeg_50"], ["blur_1.5"], ["resize_0.5", "jpeg_75"])
    runs += [
        make_run(
            folder / f"degraded{number}",
            9,
            number / 2,
            checkpoint=f"{folder}/run2/best.ckpt",
            trained_on={"aug": AUGS[-1]},
            degradations=degradations,
        )
        for number, degradations in enumerate(degraded)
    ]
    return Report(label_runs(runs), render_report(runs, "Seven runs"))


@pytest.fixture(scope="session")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two augmentations with the seeds 2, 0 and 1 each, and one training of a third."""
    folder = tmp_path_factory.mktemp("trainings")
    runs = [
        run
        for number, aug in enumerate(SEED_AUGS)
        for run in make_trainings(
            folder / aug[:4], (2, 0, 1), 10 * number, trained_on={"aug": aug}, real_sets=REAL_SETS
        )
    ]
    about = {"trained_on": {"aug": "blur_0.5"}, "real_sets": REAL_SETS}
    runs += make_trainings(folder / "blur", (7,), **about)
    return Report(label_runs(runs), render_report(runs, "Seven trainings"))
