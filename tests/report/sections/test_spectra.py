from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from genspot.report.sections.spectra import (
    Strengths,
    findings,
    reading,
    strength_table,
    strengths,
)
from helpers.report_runs import make_run

FLAT = {"2": 1.0, "4": 1.0, "8": 1.0}


@pytest.fixture
def measured(tmp_path: Path) -> dict[str, Strengths]:
    """Two generators with enough images, of which the second has peaks and weak frequencies."""
    run = make_run(tmp_path / "run", generators=("few", "flat", "peaked", "lone"))
    fake = {"2": 1.1, "4": 3.0, "8": 1.3}
    content = {
        "images": {name: {"real": 200, "fake": 200} for name in ("flat", "peaked", "gone")},
        "peaks": {name: {"real": FLAT, "fake": FLAT} for name in ("few", "flat", "gone")},
        "high_frequencies": {"few": 0.1, "flat": 0.85, "peaked": 0.25, "gone": 0.1},
    }
    content["images"]["few"] = {"real": 200, "fake": 19}
    content["peaks"]["peaked"] = {"real": FLAT, "fake": fake}
    (run.folder / "spectra").mkdir(parents=True)
    (run.folder / "spectra" / "spectra.json").write_text(json.dumps(content))
    return strengths(run, ["peaked", "few", "flat", "lone"])


def test_findings_name_the_peaks_and_the_weak_frequencies(measured) -> None:
    assert findings(measured) == [
        "Fakes have peaks that the real images lack: peaked (at 1/4 and 1/8).",
        "No such peaks are measured in the fakes of flat.",
        "High frequencies, from 1/4 cycle per pixel on, are weaker in the fakes than in the real "
        "images: peaked (0.25 times).",
    ]
    assert findings({"flat": measured["flat"]})[0].startswith("No such peaks")
    assert findings({}) == []


def test_strength_table_has_the_measured_figures_in_the_given_order(measured) -> None:
    table = strength_table(measured)
    assert table is not None
    assert table.heading[2:] == ["at 1/2", "at 1/4", "at 1/8", "high frequencies"]
    assert table.rows == [
        ["peaked", "200 + 200", "1.10 (1.00)", "3.00 (1.00)", "1.30 (1.00)", "0.25"],
        ["flat", "200 + 200", "1.00 (1.00)", "1.00 (1.00)", "1.00 (1.00)", "0.85"],
    ]
    assert strength_table({}) is None
    bare = strength_table({"odd": Strengths({"real": 50, "fake": 50}, {}, 0.5)})
    assert bare is not None and bare.rows == [["odd", "50 + 50", "0.50"]]
    assert "multiples" not in bare.caption


@pytest.mark.parametrize("images", [20, 100, 2000])
def test_a_peak_must_exceed_the_noise_of_so_many_images(images: int) -> None:
    # Of factor 2: three real Gaussian coefficients in each of two sets.
    error = math.pi / math.sqrt(8) * math.sqrt(2 / (3 * images))
    limit = max(math.exp(3 * error), 1.2)
    for height, expected in ((0.999 * limit, []), (1.001 * limit, ["2"])):
        counts = {"real": images, "fake": images}
        assert Strengths(counts, {"2": (1.0, height)}, 1.0).factors == expected


def test_reading_describes_the_spectra_that_there_are(single, tmp_path: Path) -> None:
    (run,) = single.runs
    text = " ".join(reading(run))
    assert "Both spectra of a generator have the same scale." in text and "doubling" in text
    assert strengths(run, ["sim_nearest"]) == {}  # without spectra.json
    run = make_run(tmp_path / "run")
    assert reading(run) == []
    (run.folder / "spectra").mkdir(parents=True)
    (run.folder / "spectra" / "sim_nearest_real.png").write_bytes(b"")
    text = " ".join(reading(run))
    assert text and "Both spectra" not in text and "doubling" not in text
    (run.folder / "spectra" / "only_fakes_fake.png").write_bytes(b"")
    text = " ".join(reading(run))
    assert "doubling" in text and "Both spectra" not in text  # of one set
    (run.folder / "spectra" / "spectra.json").write_text('{"side": 32, "images": {}}')
    assert strengths(run, ["sim_nearest"]) == {}  # as older versions wrote it
