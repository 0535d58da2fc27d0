"""Intervals against a plain computation, and their statistical properties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score

from genspot.common.errors import GenspotError
from genspot.evaluation.intervals import (
    ap_intervals,
    ap_over_seeds,
    paired_difference,
)
from genspot.evaluation.jackknife import ImageContributions
from genspot.evaluation.shared_images import shared_images
from helpers.scores import ScoreRow, make_scores, shuffle

SHARED = {"a": "s", "b": "s"}  # generators of one real set
GOLDEN = {  # of `make_uneven`
    "a": [0.1030, 0.8957],
    "b": [0.4821, 0.9748],
    "c": [0.3483, 0.9868],
    "mean": [0.4398, 0.9095],
}


def make_generators(names: str, reals: int, fakes: int, shift: float = 1.0) -> pa.Table:
    """Return scores of generators with the same real images."""
    rows: list[ScoreRow] = []
    for name in names:
        real_logits = np.random.default_rng(99).normal(size=reals)
        fake_logits = np.random.default_rng(ord(name)).normal(size=fakes) + shift
        for label, logits in enumerate((real_logits, fake_logits)):
            rows += [(name, "", f"{k:03d}.png", label, logit) for k, logit in enumerate(logits)]
    return make_scores(rows)


def make_uneven() -> pa.Table:
    """Return three generators with ties; a and b share some reals, in two classes."""
    rng = np.random.default_rng(5)
    sizes = {("a", 0): 12, ("a", 1): 5, ("b", 0): 8, ("b", 1): 9, ("c", 0): 6, ("c", 1): 6}
    return make_scores(
        (name, "cat" if k % 3 else "dog", f"{k:02d}.png", label, round(rng.normal() + label, 1))
        for (name, label), count in sizes.items()
        for k in range(count)
    )


def with_logits(scores: pa.Table, change: Callable[[np.ndarray], np.ndarray]) -> pa.Table:
    logits = change(scores["logit"].to_numpy()).astype(np.float32)
    return scores.set_column(scores.column_names.index("logit"), "logit", pa.array(logits))


def sklearn_ap(scores: pa.Table, name: str) -> float:
    mask = scores["generator"].cast(pa.string()).to_numpy() == name
    labels, logits = scores["label"].to_numpy()[mask], scores["logit"].to_numpy()[mask]
    return float(average_precision_score(labels, logits))


def width(interval: list[float]) -> float:
    return interval[1] - interval[0]


@pytest.mark.parametrize("confidence", [0.0, 1.0, float("nan"), "0.9", 1])
def test_ap_intervals_invalid_confidence_raises(confidence: Any) -> None:
    with pytest.raises(GenspotError, match=f"^confidence={confidence}: "):
        ap_intervals(make_uneven(), confidence)


def logit_limits(center: float, variance: float, tails: float) -> list[float]:
    if not 0 < center < 1:
        return [center]
    width = tails * np.sqrt(variance) / (center * (1 - center))
    odds = center / (1 - center)
    return [1 / (1 + np.exp(sign * width) / odds) for sign in (-1, 1)]


def interval_by_hand(
    parts: list[ImageContributions], reals: list[list[Any]], confidence: float
) -> list[float]:
    """Return the documented interval of the mean; real images of equal name are the same."""
    count, per_image = len(parts), dict[Any, float]()
    for part, names in zip(parts, reals, strict=True):
        for name, contributed in zip(names, part.reals, strict=True):
            per_image[name] = per_image.get(name, 0) + contributed / count
    pools: dict[str, list[float]] = {}
    for (pool, *_), contributed in per_image.items():
        pools.setdefault(pool, []).append(contributed)
    draws = [*pools.values(), *([x / count for x in part.fakes] for part in parts)]
    variances = [sum(x * x for x in draw) for draw in draws]
    degrees = sum(variances) ** 2 / sum(
        variance**2 / (len(draw) - 1) for variance, draw in zip(variances, draws, strict=True)
    )
    tails = stats.t.ppf((1 + confidence) / 2, degrees)
    center = min(1.0, np.mean([part.corrected for part in parts]))
    shift = np.mean([part.more_reals.mean() + part.more_fakes.mean() for part in parts])
    added = sum(np.mean(part.more_fakes**2) for part in parts)
    for pool in pools:
        own = [part for part, names in zip(parts, reals, strict=True) if names[0][0] == pool]
        added += sum(np.sqrt(np.mean(part.more_reals**2)) for part in own) ** 2
    ends = [np.mean([part.estimate for part in parts])]
    ends += logit_limits(center, sum(variances), tails)
    ends += logit_limits(center + shift, sum(variances) + added / count**2, tails)
    return [min(ends), max(ends)]


@pytest.mark.parametrize("real_sets", [{}, SHARED, {"a": "c", "b": "c"}])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_ap_intervals_equal_the_documented_formula(
    real_sets: dict[str, str], confidence: float
) -> None:
    scores = make_uneven()
    found = ap_intervals(shuffle(scores), confidence, real_sets)
    images = shared_images([scores], real_sets)
    parts = {name: each.tables[0] for name, each in images.items()}
    names = {name: [(each.pool, n) for n in each.numbers] for name, each in images.items()}
    assert list(found["generators"]) == ["a", "b", "c"]
    for name, result in found["generators"].items():
        expected = interval_by_hand([parts[name]], [names[name]], confidence)
        assert result["interval"] == pytest.approx(expected)
        assert result["ap"] == pytest.approx(sklearn_ap(scores, name), abs=1e-6)
    expected = interval_by_hand([*parts.values()], [*names.values()], confidence)
    assert found["mean"]["interval"] == pytest.approx(expected)


def test_ap_intervals_golden_values() -> None:
    found = ap_intervals(make_uneven(), 0.95, SHARED)
    intervals = {name: result["interval"] for name, result in found["generators"].items()}
    assert intervals | {"mean": found["mean"]["interval"]} == {
        name: pytest.approx(interval, abs=1e-4) for name, interval in GOLDEN.items()
    }


def test_ap_intervals_depend_on_nothing_but_the_images_of_the_generator() -> None:
    scores = make_uneven()
    all_of_them = ap_intervals(scores, real_sets=SHARED)
    assert ap_intervals(shuffle(scores, 3), real_sets=SHARED) == all_of_them
    for name in "abc":
        alone = scores.filter(pa.compute.equal(scores["generator"], name))
        found = ap_intervals(alone, real_sets=SHARED)
        assert found["generators"][name] == all_of_them["generators"][name]


def test_ap_intervals_shared_reals_do_not_average_out() -> None:
    scores = make_generators("abcdefgh", 100, 100)
    shared = ap_intervals(scores, real_sets=dict.fromkeys("abcdefgh", "s"))
    own = ap_intervals(scores)
    assert shared["generators"] == own["generators"]
    single = width(own["generators"]["a"]["interval"])
    assert width(own["mean"]["interval"]) == pytest.approx(single / np.sqrt(8), rel=0.25)
    assert width(shared["mean"]["interval"]) > 0.6 * single


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.floats(-3, 12))
@settings(deadline=None, max_examples=60)
def test_ap_intervals_hold_the_estimate(seed: int, reals: int, fakes: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    sizes = {("a", 0): reals, ("a", 1): fakes, ("b", 0): 5, ("b", 1): 5}
    scores = make_scores(
        (name, "", f"{k}.png", label, round(rng.normal() + shift * label, int(rng.integers(3))))
        for (name, label), count in sizes.items()
        for k in range(count)
    )
    found = ap_intervals(scores)
    for result in (*found["generators"].values(), found["mean"]):
        low, high = result["interval"]
        assert 0 <= low <= result["ap"] <= high <= 1
    if min(reals, fakes) == 1:  # says nothing about the others
        assert found["generators"]["a"]["interval"] == [0, 1]


@pytest.mark.parametrize(("images", "lowest"), [(20, 0.6), (200, 0.94), (2000, 0.993)])
def test_ap_intervals_perfect_separation_is_no_proof_of_a_perfect_detector(
    images: int, lowest: float
) -> None:
    low, high = ap_intervals(make_generators("a", images, images, 20.0))["mean"]["interval"]
    assert high == 1 and lowest < low < 1 - 0.5 / images


def test_ap_intervals_a_higher_confidence_widens() -> None:
    scores = make_uneven()
    widths = [width(ap_intervals(scores, c)["mean"]["interval"]) for c in (0.5, 0.8, 0.95, 0.99)]
    assert widths == sorted(widths) and widths[0] < 0.5 * widths[-1]


@pytest.mark.parametrize(("images", "shift"), [(20, 0.5), (20, 3.3), (80, 1.0)])
def test_ap_intervals_cover_the_true_ap_as_often_as_stated(images: int, shift: float) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100_000)
    truth = average_precision_score(labels, rng.normal(size=200_000) + shift * labels)
    scores, labels = make_generators("a", images, images), np.repeat([0, 1], images)
    hits = 0
    for _ in range(600):
        logits = rng.normal(size=2 * images) + shift * labels
        sample = with_logits(scores, lambda _, drawn=logits: drawn)
        low, high = ap_intervals(sample)["mean"]["interval"]
        hits += low <= truth <= high
    assert 0.92 <= hits / 600 <= 0.99


def test_paired_difference_is_that_of_both_sides() -> None:
    first, second = make_uneven(), shuffle(with_logits(make_uneven(), np.negative))
    found = paired_difference(first, second, 0.9, SHARED)
    points = {name: sklearn_ap(first, name) - sklearn_ap(second, name) for name in "abc"}
    for name, images in (("a", 17), ("b", 17), ("c", 12)):
        result = found["generators"][name]
        assert result["difference"] == pytest.approx(points[name], abs=1e-6)
        assert result["interval"][0] < points[name] < result["interval"][1]
        assert result["images"] == images
    mean = found["mean"]
    assert mean["difference"] == pytest.approx(np.mean(list(points.values())), abs=1e-6)
    assert (mean["generators"], mean["images"]) == (3, 46)
    reverse = paired_difference(second, first, 0.9, SHARED)
    assert reverse["mean"]["interval"] == pytest.approx([-end for end in mean["interval"][::-1]])


def test_paired_difference_the_images_cancel_out() -> None:
    scores = make_generators("ab", 60, 60)
    rng = np.random.default_rng(2)
    similar = with_logits(scores, lambda logits: logits + rng.normal(0, 0.1, len(logits)))
    of_pair = paired_difference(scores, similar)["mean"]["interval"]
    assert of_pair[0] < 0 < of_pair[1] and width(of_pair) < 0.06
    assert width(ap_intervals(scores)["mean"]["interval"]) > 0.1
    same = paired_difference(scores, shuffle(scores))["mean"]["interval"]
    assert same == pytest.approx([0, 0], abs=1e-12)


def test_paired_difference_covers_the_true_difference_as_often_as_stated() -> None:
    rng, labels, hits = np.random.default_rng(1), np.repeat([0, 1], 40), 0
    scores, many = make_generators("a", 40, 40), np.repeat([0, 1], 200_000)
    noise, own = rng.normal(size=(2, 400_000))
    truth = average_precision_score(many, noise + many)
    truth -= average_precision_score(many, 0.8 * noise + 0.6 * own + 2 * many)
    for _ in range(600):
        noise, own = rng.normal(size=(2, 80))
        first = with_logits(scores, lambda _, drawn=noise + labels: drawn)
        logits = 0.8 * noise + 0.6 * own + 2 * labels
        second = with_logits(scores, lambda _, drawn=logits: drawn)
        low, high = paired_difference(first, second)["mean"]["interval"]
        hits += low <= truth <= high
    assert 0.92 <= hits / 600 <= 0.99


def test_paired_difference_counts_common_images_only() -> None:
    scores = make_generators("abc", 10, 10)  # 60 rows: the reals, then the fakes of each
    common = paired_difference(scores.slice(5), scores.slice(0, 50))
    images = {name: result["images"] for name, result in common["generators"].items()}
    assert images == {"a": 15, "b": 20}  # only reals of c are common
    assert common["mean"]["generators"] == 2


@pytest.mark.parametrize("rows", [0, 1])
def test_paired_difference_without_common_generators_has_no_mean(rows: int) -> None:
    scores = make_generators("a", 5, 5)
    found = paired_difference(scores, scores.slice(0, rows))
    mean = {"generators": 0, "difference": None, "interval": None, "images": 0}
    assert found == {"generators": {}, "mean": mean}


def test_ap_over_seeds_equal_trainings_have_the_interval_of_one() -> None:
    scores = make_uneven()
    found = ap_over_seeds([scores, shuffle(scores), scores], 0.9, SHARED)
    one = ap_intervals(scores, 0.9, SHARED)
    for name, result in found["generators"].items():
        assert result["ap"] == pytest.approx(sklearn_ap(scores, name), abs=1e-6)
        assert result["interval"] == pytest.approx(one["generators"][name]["interval"])
    assert found["mean"]["interval"] == pytest.approx(one["mean"]["interval"])
    assert found["mean"]["images"] == scores.num_rows


def test_ap_over_seeds_spread_of_trainings_widens_the_interval() -> None:
    tables = [make_generators("ab", 300, 300, shift=shift) for shift in (0.5, 1.0, 1.5, 2.0)]
    found = ap_over_seeds(tables)
    for name in "ab":
        points = [sklearn_ap(table, name) for table in tables]
        result = found["generators"][name]
        assert result["ap"] == pytest.approx(np.mean(points), abs=1e-6)
        error = np.std(points, ddof=1) / 2  # of the mean of four; the images' is far smaller
        low, high = result["interval"]
        assert low < np.mean(points) - 2 * error and np.mean(points) + 1.5 * error < high
    # All generators see the same trainings, so the spread of trainings does not average out.
    assert width(found["mean"]["interval"]) > 0.9 * width(found["generators"]["a"]["interval"])


def test_over_seeds_equal_trainings_without_errors_have_the_interval_of_one() -> None:
    rows = [("g", "", f"{k}.png", label, 9 * label) for label in (0, 1) for k in range(20)]
    table = make_scores(rows)
    one, two = ap_intervals(table), ap_over_seeds([table, table])
    assert two["generators"]["g"]["interval"] == one["generators"]["g"]["interval"]
