"""The bootstrap against plain loops over resamples, and its statistical properties."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import average_precision_score

from genspot.common.errors import GenspotError
from genspot.evaluation.bootstrap import Bootstrap, ap_over_seeds, bootstrap_ap, paired_difference
from helpers.scores import ScoreRow, make_scores, shuffle

SHARED = {"a": "s", "b": "s"}  # generators of one real set


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


def test_interval_cuts_both_tails() -> None:
    assert Bootstrap(confidence=0.9).interval(np.arange(101)) == pytest.approx([5, 95])


@pytest.mark.parametrize(
    ("setting", "value"),
    [("bootstrap.replicates", value) for value in (0, 2.5)]
    + [("seed", value) for value in (-1, 2**32)]
    + [("bootstrap.confidence", value) for value in (0, 1, float("nan"))],
)
def test_bootstrap_invalid_setting_raises_its_name(setting: str, value: float) -> None:
    with pytest.raises(GenspotError, match=f"^{setting}={value}: "):
        Bootstrap(**{setting.removeprefix("bootstrap."): value})


def resample_by_plain_loop(
    scores: pa.Table, real_sets: dict[str, str], replicates: int, seed: int
) -> dict[str, list[float]]:
    """Return the AP of every resample, drawn image by image from the documented streams."""

    def stream(name: str) -> np.random.Generator:
        return np.random.default_rng((seed, zlib.crc32(name.encode())))

    def real_image(row: dict[str, str]) -> tuple[str, str]:
        return row["class"], row["path"].split("/0_real/")[1]

    rows = scores.to_pylist()
    names = sorted({row["generator"] for row in rows})
    owners = {name: f"the set {real_sets[name]}" if name in real_sets else name for name in names}
    real_rows = [row for row in rows if row["label"] == 0]
    pools = {
        owner: sorted({real_image(r) for r in real_rows if owners[r["generator"]] == owner})
        for owner in owners.values()
    }
    real_rngs = {owner: stream(f"reals of {owner}") for owner in pools}
    fake_rngs = {name: stream(f"fakes of {name}") for name in names}
    result: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(replicates):
        drawn = {
            owner: [pool[k] for k in real_rngs[owner].integers(len(pool), size=len(pool))]
            for owner, pool in pools.items()
        }
        for name in names:
            own = [row for row in rows if row["generator"] == name]
            reals = {real_image(row): row["logit"] for row in own if row["label"] == 0}
            fakes = sorted((row["path"], row["logit"]) for row in own if row["label"] == 1)
            logits = [reals[image] for image in drawn[owners[name]] if image in reals]
            labels = [0] * len(logits) + [1] * len(fakes)
            logits += [fakes[k][1] for k in fake_rngs[name].integers(len(fakes), size=len(fakes))]
            result[name].append(float(average_precision_score(labels, logits)))
    return result


# A real set with the name of a generator is not that generator's own set.
@pytest.mark.parametrize("real_sets", [{}, SHARED, {"a": "c", "b": "c"}])
def test_bootstrap_ap_equals_a_plain_loop(real_sets: dict[str, str]) -> None:
    found = bootstrap_ap(shuffle(make_uneven()), Bootstrap(30, seed=7), real_sets)
    expected = resample_by_plain_loop(make_uneven(), real_sets, 30, 7)
    assert list(found) == ["a", "b", "c"]
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-12)


def test_bootstrap_ap_leaves_out_generators_of_one_class() -> None:
    rows: list[ScoreRow] = [("a", "", "0.png", 0, 1.0), ("b", "", "0.png", 1, 1.0)]
    rows += [("b", "", "1.png", 1, 2.0), ("c", "", "0.png", 0, -1.0), ("c", "", "0.png", 1, 1.0)]
    found = bootstrap_ap(make_scores(rows), Bootstrap(5))
    assert {name: aps.tolist() for name, aps in found.items()} == {"c": [1] * 5}
    assert bootstrap_ap(make_scores([]), Bootstrap(5)) == {}


def test_bootstrap_ap_image_with_two_scores_raises() -> None:
    scores = make_generators("a", 2, 2)
    with pytest.raises(GenspotError, match=r"/a//0_real/000\.png has two scores"):
        bootstrap_ap(pa.concat_tables([scores, scores.slice(0, 1)]))


def test_interval_covers_the_true_ap_as_often_as_stated() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 50_000)
    truth = average_precision_score(labels, rng.normal(size=100_000) + labels)
    scores, labels, hits = make_generators("a", 80, 80), np.repeat([0, 1], 80), 0
    for seed in range(150):
        sample = with_logits(scores, lambda _: rng.normal(size=160) + labels)
        bootstrap = Bootstrap(200, seed=seed)
        low, high = bootstrap.interval(bootstrap_ap(sample, bootstrap)["a"])
        hits += low <= truth <= high
    assert 0.88 <= hits / 150 <= 0.99


def test_paired_difference_is_that_of_both_sides() -> None:
    first, second = make_uneven(), shuffle(with_logits(make_uneven(), np.negative))
    bootstrap = Bootstrap(40, 0.9, 1)
    found = paired_difference(first, second, bootstrap, SHARED)
    aps = [bootstrap_ap(table, bootstrap, SHARED) for table in (first, second)]
    differences = {name: aps[0][name] - aps[1][name] for name in "abc"}
    points = {name: sklearn_ap(first, name) - sklearn_ap(second, name) for name in "abc"}
    for name, images in (("a", 17), ("b", 17), ("c", 12)):
        result = found["generators"][name]
        assert result["difference"] == pytest.approx(points[name], abs=1e-6)
        assert result["interval"] == bootstrap.interval(differences[name])
        assert result["images"] == images
    mean = found["mean"]
    assert mean["difference"] == pytest.approx(np.mean(list(points.values())), abs=1e-6)
    expected_interval = bootstrap.interval(np.mean(list(differences.values()), axis=0))
    assert mean["interval"] == pytest.approx(expected_interval)
    assert (mean["generators"], mean["images"]) == (3, 46)


def test_paired_difference_counts_common_images_only() -> None:
    scores = make_generators("abc", 10, 10)  # 60 rows: the reals, then the fakes of each
    common = paired_difference(scores.slice(5), scores.slice(0, 50), Bootstrap(20))
    images = {name: result["images"] for name, result in common["generators"].items()}
    assert images == {"a": 15, "b": 20}  # only reals of c are common
    assert common["mean"]["generators"] == 2


@pytest.mark.parametrize("rows", [0, 1])
def test_paired_difference_without_common_generators_has_no_mean(rows: int) -> None:
    scores = make_generators("a", 5, 5)
    found = paired_difference(scores, scores.slice(0, rows), Bootstrap(5))
    mean = {"generators": 0, "difference": None, "interval": None, "images": 0}
    assert found == {"generators": {}, "mean": mean}


def test_ap_over_seeds_equal_trainings_have_the_interval_of_one() -> None:
    scores, bootstrap = make_uneven(), Bootstrap(40, seed=2)
    found = ap_over_seeds([scores, shuffle(scores), scores], bootstrap, SHARED)
    aps = bootstrap_ap(scores, bootstrap, SHARED)
    for name, result in found["generators"].items():
        assert result["ap"] == pytest.approx(sklearn_ap(scores, name), abs=1e-6)
        assert result["interval"] == pytest.approx(bootstrap.interval(aps[name]))
    mean = found["mean"]
    expected_interval = bootstrap.interval(np.mean([*aps.values()], axis=0))
    assert mean["interval"] == pytest.approx(expected_interval)
    assert mean["ap"] == pytest.approx(np.mean([sklearn_ap(scores, name) for name in "abc"]))
    assert mean["images"] == scores.num_rows


def test_ap_over_seeds_spread_of_trainings_widens_the_interval() -> None:
    tables = [make_generators("ab", 300, 300, shift=shift) for shift in (0.5, 1.0, 1.5, 2.0)]
    found = ap_over_seeds(tables, Bootstrap(400))
    aps = [bootstrap_ap(table, Bootstrap(400)) for table in tables]
    for name in "ab":
        points = [sklearn_ap(table, name) for table in tables]
        result = found["generators"][name]
        assert result["ap"] == pytest.approx(np.mean(points), abs=1e-6)
        spread_of_images = np.mean([replicates[name] for replicates in aps], axis=0).std()
        expected = np.hypot(spread_of_images, np.std(points) / np.sqrt(len(points)))
        assert width(result["interval"]) > 2 * 1.96 * 1.3 * spread_of_images
        assert width(result["interval"]) == pytest.approx(2 * 1.96 * expected, rel=0.2)
    # All generators see the same trainings, so the spread of trainings does not average out.
    assert width(found["mean"]["interval"]) > 0.9 * width(found["generators"]["a"]["interval"])
