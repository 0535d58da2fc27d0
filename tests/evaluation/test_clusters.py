"""Clusters of images against plain loops that leave one out, and what an interval of them says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score

from genspot.common.errors import GenspotError
from genspot.evaluation.clusters import cluster_contributions, sums_over_clusters
from genspot.evaluation.intervals import ap_intervals, ap_over_seeds, paired_difference
from genspot.evaluation.jackknife import contributions
from genspot.evaluation.shared_images import shared_images
from helpers.scores import ScoreRow, make_scores, shuffle

Case = tuple[np.ndarray, np.ndarray, np.ndarray]
CLUSTERS = {"a": "class", "b": "class", "c": "class"}


@st.composite
def clustered_images(draw: st.DrawFn) -> Case:
    """Draw labels, logits and clusters: of unequal size, some of one class, some with ties."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    number = draw(st.integers(2, 8))
    clusters = np.concatenate([np.arange(number), rng.integers(0, number, 40)])
    labels = rng.integers(0, 2, len(clusters))
    labels[:4] = 0, 1, 1, 0  # every class in two clusters, if there are three
    clusters[2:4] = 0, 1
    logits = rng.normal(size=number)[clusters] + rng.normal(size=len(clusters)) + labels
    if draw(st.booleans()):
        logits = np.round(logits)
    clusters = np.unique(clusters, return_inverse=True)[1]
    return labels, logits.astype(np.float32), clusters


def weighted_ap(
    labels: np.ndarray, logits: np.ndarray, weights: np.ndarray, ratio: float
) -> float:
    """Return the AP where the reals weigh `ratio` times as much as the fakes."""
    balanced = weights / np.where(labels == 1, weights[labels == 1].sum(), 1.0)
    balanced[labels == 0] *= ratio / weights[labels == 0].sum()
    return float(average_precision_score(labels, logits, sample_weight=balanced))


def test_sums_over_many_small_clusters_are_about_the_contributions_of_clusters() -> None:
    rng = np.random.default_rng(0)
    clusters = np.r_[np.arange(150), rng.integers(0, 150, 450)]
    labels = rng.integers(0, 2, 600)
    logits = rng.normal(size=150)[clusters] + rng.normal(size=600) + labels
    exact = cluster_contributions(labels, logits, clusters)
    found = sums_over_clusters(contributions(labels, logits), labels, clusters)
    assert found.estimate == pytest.approx(exact.estimate)
    assert np.corrcoef(found.clusters, exact.clusters)[0, 1] > 0.99
    assert np.std(found.clusters) == pytest.approx(np.std(exact.clusters), rel=0.1)
    for own, other in ((found.more_reals, exact.more_reals), (found.more_fakes, exact.more_fakes)):
        assert own.shape == other.shape
        assert np.sqrt(np.mean(own**2)) == pytest.approx(np.sqrt(np.mean(other**2)), rel=0.2)


@given(clustered_images())
@settings(deadline=None, max_examples=40)
def test_cluster_contributions_equal_a_plain_loop_without_each_cluster(case: Case) -> None:
    labels, logits, clusters = case
    found, number = cluster_contributions(*case), 1 + clusters.max()
    ap, ratio = average_precision_score(labels, logits), np.mean(labels == 0) / np.mean(labels)
    assert found.estimate == pytest.approx(ap)
    left_out = [
        weighted_ap(labels[kept], logits[kept], np.ones(kept.sum()), ratio)
        for kept in (clusters != cluster for cluster in range(number))
    ]
    variance = (number - 1) / number * np.sum((left_out - np.mean(left_out)) ** 2)
    assert np.sum(found.clusters**2) == pytest.approx(variance, abs=1e-12)
    bias = (number - 1) * (np.mean(left_out) - ap)
    assert found.corrected == pytest.approx(ap - bias, abs=1e-9)


@given(clustered_images())
@settings(deadline=None, max_examples=40)
def test_more_images_of_half_a_cluster_equal_a_plain_loop(case: Case) -> None:
    labels, logits, clusters = case
    found = cluster_contributions(*case)
    ap, ratio = average_precision_score(labels, logits), np.mean(labels == 0) / np.mean(labels)
    for label, changes in ((0, found.more_reals), (1, found.more_fakes)):
        size = np.sum(labels == label) / len(np.unique(clusters[labels == label]))  # mean
        expected = []
        for cluster in range(1 + clusters.max()):
            like = logits[(clusters == cluster) & (labels != label)]
            if len(like):
                weights = np.r_[np.ones(len(labels)), np.full(len(like), 0.5 * size / len(like))]
                more = np.r_[labels, np.full(len(like), label)], np.r_[logits, like]
                expected.append(weighted_ap(*more, weights, ratio) - ap)
        np.testing.assert_allclose(changes, expected, atol=1e-9)


def test_clusters_of_one_image_have_the_contributions_of_the_images() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 30)
    logits = (rng.normal(size=60) + labels).astype(np.float32)
    images, clusters = (
        contributions(labels, logits),
        cluster_contributions(labels, logits, np.arange(60)),
    )
    # The mean of all 60 values without one image is nearly that of each class.
    np.testing.assert_allclose(clusters.clusters[:30], images.reals, rtol=0.03, atol=2e-4)
    np.testing.assert_allclose(clusters.clusters[30:], images.fakes, rtol=0.03, atol=2e-4)
    assert clusters.corrected == pytest.approx(images.corrected, abs=1e-3)


def photographs(
    names: str = "a", count: int = 12, windows: int = 5, shift: float = 1.0, seed: int = 0
) -> pa.Table:
    """Return scores of windows of photographs, one class each, which all generators share."""
    rows: list[ScoreRow] = []
    for name in names:
        effects = np.random.default_rng(seed).normal(size=(count, 2))
        rng = np.random.default_rng([seed, ord(name)])
        for photo in range(count):
            for label in (0, 1):
                logits = effects[photo, label] + shift * label + rng.normal(size=windows)
                rows += [
                    (name, f"p{photo:02d}", f"{k}.png", label, logit)
                    for k, logit in enumerate(logits)
                ]
    return make_scores(rows)


def widths(found: dict) -> dict[str, float]:
    results = found["generators"] | {"mean": found["mean"]}
    return {
        name: result["interval"][1] - result["interval"][0] for name, result in results.items()
    }


def replaced(scores: pa.Table, name: str, values: list) -> pa.Table:
    place = scores.column_names.index(name)
    return scores.set_column(place, name, pa.array(values, scores.schema.field(name).type))


def interval_by_hand(scores: pa.Table, names: str) -> list[float]:
    """Return the documented interval of the mean over generators that share photographs."""
    parts = [each.tables[0] for each in shared_images([scores], None, CLUSTERS).values()]
    assert len(parts) == len(names)
    count, number = len(parts), len(parts[0].clusters)
    variance = np.sum(np.sum([part.clusters for part in parts], axis=0) ** 2) / count**2
    added = sum(np.sqrt(np.mean(p.more_reals**2) + np.mean(p.more_fakes**2)) for p in parts)
    center = min(1.0, np.mean([part.corrected for part in parts]))
    shift = np.mean([part.more_reals.mean() + part.more_fakes.mean() for part in parts])
    ends = [np.mean([part.estimate for part in parts])]
    for middle, of_middle in (
        (center, variance),
        (center + shift, variance + (added / count) ** 2),
    ):
        half = stats.t.ppf(0.975, number - 1) * np.sqrt(of_middle) / (middle * (1 - middle))
        ends += [1 / (1 + np.exp(sign * half) * (1 - middle) / middle) for sign in (-1, 1)]
    return [min(ends), max(ends)]


@pytest.mark.parametrize("names", ["a", "abc"])
def test_ap_intervals_over_clusters_equal_the_documented_formula(names: str) -> None:
    scores = photographs(names)
    found = ap_intervals(scores, 0.95, dict.fromkeys(names, "s"), CLUSTERS)
    assert found["mean"]["interval"] == pytest.approx(interval_by_hand(scores, names))
    assert [found["generators"][name]["clusters"] for name in names] == [12] * len(names)
    assert found["mean"]["images"] == scores.num_rows


def test_ap_intervals_over_clusters_do_not_shrink_with_copies_of_the_images() -> None:
    scores = photographs()
    copies = replaced(scores, "path", [f"{path}.copy" for path in scores["path"].to_pylist()])
    doubled = pa.concat_tables([scores, copies])
    by_image = [widths(ap_intervals(table))["a"] for table in (scores, doubled)]
    assert by_image[1] < 0.8 * by_image[0]
    once, twice = (ap_intervals(table, clusters=CLUSTERS) for table in (scores, doubled))
    assert twice["mean"]["interval"] == pytest.approx(once["mean"]["interval"])
    assert once["generators"]["a"]["clusters"] == twice["generators"]["a"]["clusters"] == 12


def test_ap_intervals_over_clusters_depend_on_neither_order_nor_names() -> None:
    scores, real_sets = photographs("ab"), {"a": "s", "b": "s"}
    found = ap_intervals(scores, 0.95, real_sets, CLUSTERS)
    assert ap_intervals(shuffle(scores, 3), 0.95, real_sets, CLUSTERS) == found
    numbers = np.random.default_rng(1).permutation(12)
    names = [f"other {numbers[int(one[1:])]}" for one in scores["class"].to_pylist()]
    for renamed in (
        scores.append_column("photo", [names]),
        replaced(scores.append_column("photo", [names]), "class", names),
    ):
        for column in {"photo", renamed.column_names[2]}:
            other = ap_intervals(renamed, 0.95, real_sets, dict.fromkeys("ab", column))
            assert other["mean"]["interval"] == pytest.approx(found["mean"]["interval"])
    alone = scores.filter(pa.compute.equal(scores["generator"], "a"))
    assert ap_intervals(alone, 0.95, None, CLUSTERS)["generators"] == {
        "a": found["generators"]["a"]
    }


def test_ap_intervals_shared_photographs_do_not_average_out() -> None:
    scores = photographs("abcdefgh", windows=20)
    clusters = dict.fromkeys("abcdefgh", "class")
    shared = widths(ap_intervals(scores, 0.95, dict.fromkeys("abcdefgh", "s"), clusters))
    own = widths(ap_intervals(scores, 0.95, None, clusters))
    assert shared["a"] == own["a"]
    assert own["mean"] < 0.6 * own["a"] and shared["mean"] > 0.9 * shared["a"]


def test_ap_intervals_generators_without_clusters_stay_the_same() -> None:
    scores = photographs("abc")
    every = ap_intervals(scores)
    some = ap_intervals(scores, clusters={"b": "class"})
    for name in "ac":
        assert some["generators"][name] == every["generators"][name]
    assert every["generators"]["a"]["clusters"] is None
    assert (
        widths(every)["mean"]
        < widths(some)["mean"]
        < widths(ap_intervals(scores, clusters=CLUSTERS))["mean"]
    )


def keep(scores: pa.Table, chosen: Callable[[str, int], bool]) -> pa.Table:
    """Return the rows with these classes and labels."""
    pairs = zip(scores["class"].to_pylist(), scores["label"].to_pylist(), strict=True)
    return scores.filter(pa.array([chosen(*pair) for pair in pairs]))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (lambda name, label: name == "p00", 1),
        (lambda name, label: name == "p00" or label == 0, 12),
        (lambda name, label: name == "p00" or label == 1, 12),
    ],
)
def test_ap_intervals_class_in_one_cluster_says_nothing(
    chosen: Callable[[str, int], bool], expected: int
) -> None:
    found = ap_intervals(keep(photographs(), chosen), clusters=CLUSTERS)
    assert found["mean"]["interval"] == [0, 1]
    assert found["generators"]["a"]["clusters"] == expected
    scores = keep(photographs("ab"), lambda *pair: chosen(*pair))
    mean = ap_intervals(scores, real_sets={"a": "s", "b": "s"}, clusters=CLUSTERS)["mean"]
    assert mean["interval"] == [0, 1]
    difference = paired_difference(scores, scores, clusters=CLUSTERS)
    assert difference["mean"]["interval"] == [-1, 1]


@pytest.mark.parametrize(("count", "lowest"), [(10, 0.6), (20, 0.8), (100, 0.95)])
def test_ap_intervals_separated_photographs_are_no_proof_of_a_perfect_detector(
    count: int, lowest: float
) -> None:
    scores = photographs("ab", count, shift=50.0)
    found = ap_intervals(scores, 0.95, {"a": "s", "b": "s"}, CLUSTERS)
    for result in (found["generators"]["a"], found["mean"]):
        low, high = result["interval"]
        assert high == result["ap"] == 1 and lowest < low < 1 - 1 / count


def test_ap_intervals_two_clusters_say_little() -> None:
    scores = keep(photographs(shift=2.0), lambda name, _: name in ("p00", "p01"))
    low, high = ap_intervals(scores, clusters=CLUSTERS)["mean"]["interval"]
    assert 0 < low < 0.3 and 0.95 < high <= 1
    many = ap_intervals(photographs(shift=2.0), clusters=CLUSTERS)["mean"]["interval"]
    assert low < many[0]


def test_ap_intervals_clusters_of_one_class_each_are_as_wide_as_their_number_allows() -> None:
    # Reals of even photographs, fakes of odd ones; then reals of two photographs alone.
    scores = photographs(count=40)
    alternating = keep(scores, lambda name, label: int(name[1:]) % 2 == label)
    few = keep(alternating, lambda name, label: label == 1 or name in ("p00", "p02"))
    found = [ap_intervals(table, clusters=CLUSTERS)["mean"] for table in (alternating, few)]
    for result in found:
        assert 0 <= result["interval"][0] <= result["ap"] <= result["interval"][1] <= 1
    by_image = widths(ap_intervals(alternating))["mean"]
    first, second = (np.ptp(result["interval"]) for result in found)
    assert by_image < first < 0.5 < second


@given(clustered_images())
@settings(deadline=None, max_examples=40)
def test_ap_intervals_over_clusters_hold_the_estimate(case: Case) -> None:
    rows = zip(*(part.tolist() for part in case), strict=True)
    scores = make_scores(
        ("a", str(cluster), f"{k}.png", label, logit)
        for k, (label, logit, cluster) in enumerate(rows)
    )
    result = ap_intervals(scores, clusters=CLUSTERS)["mean"]
    low, high = result["interval"]
    assert 0 <= low <= result["ap"] <= high <= 1


def test_paired_difference_the_photographs_cancel_out() -> None:
    scores = photographs("ab")
    rng = np.random.default_rng(2)
    logits = scores["logit"].to_numpy() + rng.normal(0, 0.1, scores.num_rows)
    similar = shuffle(replaced(scores, "logit", logits.tolist()))
    real_sets = {"a": "s", "b": "s"}
    found = paired_difference(scores, similar, 0.95, real_sets, CLUSTERS)
    low, high = found["mean"]["interval"]
    assert low < found["mean"]["difference"] < high and high - low < 0.06
    assert widths(ap_intervals(scores, 0.95, real_sets, CLUSTERS))["mean"] > 0.2
    reverse = paired_difference(similar, scores, 0.95, real_sets, CLUSTERS)["mean"]["interval"]
    assert reverse == pytest.approx([-high, -low])


def test_ap_over_seeds_equal_trainings_have_the_interval_of_one_over_clusters() -> None:
    scores = photographs("ab")
    found = ap_over_seeds([scores, shuffle(scores), scores], 0.9, None, CLUSTERS)
    one = ap_intervals(scores, 0.9, None, CLUSTERS)
    for name in "ab":
        assert found["generators"][name]["interval"] == pytest.approx(
            one["generators"][name]["interval"]
        )
    assert found["mean"]["interval"] == pytest.approx(one["mean"]["interval"])


def test_ap_intervals_unknown_column_of_clusters_raises_one_line() -> None:
    with pytest.raises(GenspotError, match=r"^the table has no column photo, which clusters"):
        ap_intervals(photographs(), clusters={"a": "photo"})


@pytest.mark.parametrize(("count", "shift"), [(10, 0.8), (20, 2.5)])
def test_ap_intervals_over_clusters_cover_the_true_ap_where_those_over_images_do_not(
    count: int, shift: float
) -> None:
    rng, hits = np.random.default_rng(0), {"images": 0, "clusters": 0}
    labels = np.repeat([0, 1], 200_000)
    truth = average_precision_score(labels, rng.normal(0, np.sqrt(2), 400_000) + shift * labels)
    for seed in range(300):
        scores = photographs("a", count, 8, shift, seed)
        for kind, clusters in (("images", None), ("clusters", CLUSTERS)):
            low, high = ap_intervals(scores, clusters=clusters)["mean"]["interval"]
            hits[kind] += low <= truth <= high
    assert hits["images"] < 0.8 * 300 and 0.92 * 300 <= hits["clusters"] <= 0.995 * 300
