"""The scaling that a test leaves for new photos: what is read, what is refused, its bounds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genspot.common.errors import GenspotError
from genspot.evaluation.left_out import left_out_calibration
from genspot.evaluation.platt import Platt
from genspot.evaluation.scaling import Scaling, read_scaling
from helpers.scores import make_scores

EXPECTED = {"checkpoint": "5" * 64, "model": {"name": "a"}, "crop": 32, "protocol": "none"}


def metrics(sign: float = 1.0) -> dict[str, Any]:
    """Return the entries of a metrics.json that a scaling is read from.

    Args:
        sign: of the logits' difference between the classes.
    """
    rng = np.random.default_rng(0)
    counts = {"a": (10, 30), "b": (20, 20)}
    scores = make_scores(
        (name, "", f"{label}_{number}.png", label, rng.normal(sign * (2 * label - 1), 1))
        for name, pair in counts.items()
        for label in (0, 1)
        for number in range(pair[label])
    )
    return {
        "calibration": left_out_calibration(scores, list(counts), EXPECTED["checkpoint"]),
        "generators": {name: {"real": n[0], "fake": n[1]} for name, n in counts.items()},
        "trained_on": {"model": EXPECTED["model"]},
        "crop": 32,
        "protocol": "none",
        "degradations": [],
        "real_sets": {"a": "photographs"},
    }


def write(folder: Path, content: Any) -> Path:
    file = folder / "metrics.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_read_scaling_returns_the_fit_on_all_and_the_figures_of_those_left_out(
    tmp_path: Path,
) -> None:
    content = metrics()
    found = read_scaling(write(tmp_path, content), EXPECTED)
    fit = content["calibration"]["all"]
    assert found.fit == Platt(fit["slope"], fit["offset"], 30, 50)
    assert found.left_out == content["calibration"]
    assert found.shares == {"a": 0.75, "b": 0.5}


def test_read_scaling_takes_settings_as_json_stores_them(tmp_path: Path) -> None:
    content = metrics()
    content["trained_on"]["model"] = {"train": {"resize": [8, 8]}}
    expected = EXPECTED | {"model": {"train": {"resize": (8, 8)}}}
    assert read_scaling(write(tmp_path, content), expected).fit.real == 30


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"checkpoint": "6" * 64}, "another checkpoint (checkpoint=555"),
        ({"crop": None}, "another crop (crop=32, not none)"),
        ({"protocol": "jpeg_75"}, "another protocol (protocol=none, not jpeg_75)"),
        ({"model": {"name": "b"}}, "other settings of the model;"),
    ],
)
def test_read_scaling_of_another_test_is_refused(
    tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(GenspotError) as caught:
        read_scaling(write(tmp_path, metrics()), EXPECTED | changed)
    assert words in str(caught.value) and "calibration=RUN" in str(caught.value)


def older(content: dict[str, Any]) -> None:
    del content["calibration"]["all"]


def oldest(content: dict[str, Any]) -> None:
    del content["calibration"]


def one_generator(content: dict[str, Any]) -> None:
    content["calibration"] = None


def degraded(content: dict[str, Any]) -> None:
    content["degradations"] = ["blur_1", "jpeg_75"]


def simulated(content: dict[str, Any]) -> None:
    content["real_sets"] = {"a": "photographs", "b": "simulated"}


def no_real_sets(content: dict[str, Any]) -> None:
    content["real_sets"] = ["a", "b"]


def wrong_type(content: dict[str, Any]) -> None:
    content["calibration"]["all"]["slope"] = "steep"


def falling(content: dict[str, Any]) -> None:
    content["calibration"]["all"]["slope"] = -1.0


def half_fitted(content: dict[str, Any]) -> None:
    content["calibration"]["all"]["real"] = None


def no_counts(content: dict[str, Any]) -> None:
    content["generators"]["b"]["real"] = 0


def no_generators(content: dict[str, Any]) -> None:
    content["calibration"]["generators"] = {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (older, "no entry 'all'"),
        (oldest, "no entry 'calibration'"),
        (one_generator, "fewer than two generators"),
        (degraded, "were degraded (blur_1+jpeg_75)"),
        (simulated, "was on simulated generators (b), whose scaling misleads"),
        (no_real_sets, "real_sets is of another form"),
        (wrong_type, "calibration.all.slope"),
        (falling, "impossible values"),
        (half_fitted, "impossible values"),
        (no_counts, "generators.b has impossible numbers"),
        (no_generators, "calibration.generators is empty"),
    ],
)
def test_read_scaling_without_a_usable_fit_says_why_in_a_line(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    content = metrics()
    change(content)
    with pytest.raises(GenspotError) as caught:
        read_scaling(write(tmp_path, content), EXPECTED)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value) and "calibration=RUN" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "1", '{"calibration": NaN}', "{", "[" * 100_000])
def test_read_scaling_of_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(GenspotError, match=r"is no metrics\.json of a test") as caught:
        read_scaling(write(tmp_path, text), EXPECTED)
    assert "\n" not in str(caught.value)


def test_read_scaling_of_a_failed_fit_says_the_reason(tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match="has failed, for the logits do not tell the classes"):
        read_scaling(write(tmp_path, metrics(sign=-1.0)), EXPECTED)


def test_read_scaling_of_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match=r"metrics\.json does not exist; test the detector on"):
        read_scaling(tmp_path / "metrics.json", EXPECTED)


def test_likelihood_ratios_stay_within_those_of_the_targets(tmp_path: Path) -> None:
    fit = Platt(2.0, -1.0, 30, 50)
    scaling = Scaling(tmp_path, fit, metrics()["calibration"], {})
    logits = np.array([-3e38, -30.0, -1.0, 0.5, 2.0, 30.0, 3e38], np.float32)
    found = scaling.log_likelihood_ratios(logits)
    assert found[2:5] == pytest.approx(fit.log_likelihood_ratios(logits[2:5]))
    # Odds of the targets, 1 / 32 and 51 / 52, divided by those of their mean.
    mean = (30 / 32 + 50 * 51 / 52) / 80
    bounds = [(1 / 31) * (1 - mean) / mean, 51 * (1 - mean) / mean]
    assert np.exp(found[[0, 1, 5, 6]]) == pytest.approx(np.repeat(bounds, 2))
