"""Probabilities of photos at a prior: by Bayes' rule, and from a test on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from genspot.common.errors import GenspotError
from genspot.evaluation.platt import Platt
from genspot.evaluation.scaling import Scaling
from genspot.tasks.prior import with_prior
from helpers.images import save_set
from helpers.runs import read_csv
from helpers.settings import SEARCH_PATH
from helpers.tasks import run_task

LOGITS = np.array([3.0, 0.5, -2.0])


def predictions(**columns: list[str]) -> pa.Table:
    table = {"path": ["a", "b", "c"], "logit": LOGITS, "probability": expit(LOGITS)}
    return pa.table({**table, "calibrated": [False] * 3, "padded": [False] * 3, **columns})


@pytest.fixture
def scaling() -> Scaling:
    empty = {"generators": {}, "mean": {"before": None, "after": None}}
    return Scaling(Path("metrics.json"), Platt(0.8, -0.3, 40, 10), empty, {})  # type: ignore[arg-type]


@pytest.mark.parametrize("prior", [0.001, 0.1, 0.9])
def test_with_prior_follows_bayes_rule(scaling: Scaling, prior: float) -> None:
    found = with_prior(scaling, prior, predictions())
    own = expit(0.8 * LOGITS - 0.3)
    mean = (40 / 42 + 10 * 11 / 12) / 50  # target, that is the prior of the fit
    ratios = own / (1 - own) / (mean / (1 - mean))
    assert found["likelihood_ratio"].to_pylist() == pytest.approx(ratios)
    posterior = prior * ratios / (prior * ratios + 1 - prior)
    assert found["probability"].to_pylist() == pytest.approx(posterior)
    assert found["calibrated"].to_pylist() == [True] * 3
    assert found["prior"].to_pylist() == [prior] * 3
    assert found.column_names == [*predictions().column_names, "prior", "likelihood_ratio"]
    for name in ("path", "logit", "padded"):
        assert found[name].equals(predictions()[name])


def test_with_prior_says_nothing_of_photos_that_the_grade_says_nothing_of(
    scaling: Scaling,
) -> None:
    grades = ["strong evidence", "cannot say", "no evidence"]
    found = with_prior(scaling, 0.1, predictions(grade=grades)).to_pylist()
    assert [row["calibrated"] for row in found] == [True, False, True]
    assert found[1]["likelihood_ratio"] is None
    assert found[1]["probability"] == pytest.approx(expit(0.5))
    assert found[0]["likelihood_ratio"] > 1 > found[2]["likelihood_ratio"]


def test_with_prior_of_no_photo_is_empty(scaling: Scaling) -> None:
    found = with_prior(scaling, 0.1, predictions().slice(0, 0))
    assert found.num_rows == 0 and found["likelihood_ratio"].type == pa.float64()


@pytest.fixture(scope="module")
def tested(trained: Path, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a test of a tiny detector on two generators."""
    folder = tmp_path_factory.mktemp("tested")
    other = save_set(folder / "other", 9, 8, seed=11)
    chosen = f"test_sets={{first: {sets}/test, second: {other}}}"
    settings = ["task=test", f"checkpoint={trained}/best.ckpt", "generator=[]", "workers=0"]
    return run_task(*settings, chosen, SEARCH_PATH, folder=folder / "run")


def predict(trained: Path, inputs: Path, *overrides: str) -> list[str]:
    settings = ["task=predict", f"checkpoint={trained}/best.ckpt", f"inputs={inputs}"]
    return [*settings, "workers=0", SEARCH_PATH, *overrides]


@pytest.mark.parametrize("named", ["", "/metrics.json"])
def test_predict_with_a_prior_uses_the_fit_of_the_test(
    named: str,
    tested: Path,
    trained: Path,
    sets: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = ["prior=0.25", f"calibration={tested}{named}"]
    folder = run_task(*predict(trained, sets / "test", *chosen), folder=tmp_path / "run")
    fit = json.loads((tested / "metrics.json").read_text())["calibration"]["all"]
    assert (fit["real"], fit["fake"]) == (8 + 9, 6 + 8)
    mean = (17 * (1 / 19) + 14 * (15 / 16)) / 31
    low, high = (1 / 19) / (18 / 19), 15.0  # odds of the targets
    rows = read_csv(folder / "predictions.csv")
    assert len(rows) == 14
    for row in rows:
        odds = np.clip(np.exp(fit["slope"] * float(row["logit"]) + fit["offset"]), low, high)
        ratio = odds / (mean / (1 - mean))
        assert float(row["likelihood_ratio"]) == pytest.approx(ratio, rel=1e-4)
        assert float(row["probability"]) == pytest.approx(ratio / (ratio + 3), rel=1e-4)
        assert (row["calibrated"], row["prior"]) == ("true", "0.25")
    printed = " ".join(capsys.readouterr().out.split())
    assert "With prior=0.25," in printed and "images of first and second" in printed
    assert printed.count("On generators that the fit did not see") == 1
    assert "not calibrated: use it to rank" not in printed
    about = json.loads((folder / "predictions.json").read_text())["about"]
    assert any("With prior=0.25," in line for line in about)


def test_predict_without_a_prior_has_no_likelihood_ratio(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    folder = run_task(*predict(trained, sets / "test"), folder=tmp_path / "run")
    row = read_csv(folder / "predictions.csv")[0]
    assert row["calibrated"] == "false" and not {"prior", "likelihood_ratio"} & row.keys()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["prior=0.1"], "fewer than two generators of that test"),
        (["prior=0.1", "calibration={trained}/none"], "none does not exist; test the detector"),
        (["prior=0.1", "calibration={tested}", "crop=16"], "another crop (crop=32, not 16)"),
        (["prior=0.1", "calibration={tested}", "protocol=jpeg_75"], "another protocol"),
        (
            ["prior=0.1", "calibration={tested}", "checkpoint={trained}/last.ckpt"],
            "another checkpoint",
        ),
        (["calibration={tested}"], "has no effect without a prior"),
        (["prior=0.1", "calibration=[{tested},{tested}]"], "names 2 and checkpoint= 1"),
        (["prior=1"], "prior=1: give a number between 0 and 1"),
        (["task=verify", "prior=0.1"], "prior is a setting of task=predict"),
    ],
)
def test_prior_without_a_fit_that_fits_is_refused_in_a_line(
    overrides: list[str], words: str, tested: Path, trained: Path, sets: Path, tmp_path: Path
) -> None:
    named = [one.format(tested=tested, trained=trained) for one in overrides]
    with pytest.raises(GenspotError) as caught:
        run_task(*predict(trained, sets / "test", *named), folder=tmp_path / "run")
    assert words in str(caught.value) and "\n" not in str(caught.value)
