"""The bootstrap against plain loops over resamples, and by what it has to promise."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from genspot.evaluation import bootstrap
from genspot.common.errors import GenspotError

Row = tuple[str, str, str, int, float]  # generator, class, file name, label, logit


def table(rows: list[Row]) -> pa.Table:
    halves = ("0_real", "1_fake")
    return pa.table(
        {
            "path": pa.array(
                [f"/{name}/{kind}/{halves[label]}/{file}" for name, kind, file, label, _ in rows],
                pa.large_string(),
            ),
            "generator": pa.array([row[0] for row in rows], pa.string()).dictionary_encode(),
            "class": pa.array([row[1] for row in rows], pa.string()).dictionary_encode(),
            "label": pa.array([row[3] for row in rows], pa.int8()),
            "logit": pa.array([row[4] for row in rows], pa.float32()),
        }
    )


def generators(
    names: str, reals: int, fakes: int, seed: int = 0, shift: float = 1.0, noise: float = 0.0
) -> pa.Table:
    """Generators whose reals are the same images with the same logits, but for `noise`."""
    shared = np.random.default_rng(99).normal(size=reals)
    draws = np.random.default_rng(seed)
    rows: list[Row] = []
    for name in names:
        logits = shared + noise * draws.normal(size=reals)
        rows += [(name, "", f"{k:03d}.png", 0, float(logits[k])) for k in range(reals)]
        logits = shift + np.random.default_rng(ord(name)).normal(size=fakes)
        logits += noise * draws.normal(size=fakes)
        rows += [(name, "", f"{k:03d}.png", 1, float(logits[k])) for k in range(fakes)]
    return table(rows)


def shuffled(scores: pa.Table, seed: int = 0) -> pa.Table:
    return scores.take(np.random.default_rng(seed).permutation(scores.num_rows))


def changed(scores: pa.Table, change: Callable[[np.ndarray], np.ndarray]) -> pa.Table:
    logits = change(scores["logit"].to_numpy()).astype(np.float32)
    return scores.set_column(scores.column_names.index("logit"), "logit", pa.array(logits))


def ap(scores: pa.Table, name: str) -> float:
    mine = np.array(scores["generator"].cast(pa.string()).to_pylist()) == name
    labels, logits = scores["label"].to_numpy()[mine], scores["logit"].to_numpy()[mine]
    return float(average_precision_score(labels, logits))


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_weighted_ap_is_that_of_repeated_images(seed: int, size: int, ties: bool) -> None:
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, 2, size)
    labels[:2] = 0, 1
    logits = draws.normal(size=size).astype(np.float32) * 3
    logits = np.round(logits) if ties else logits
    weights = draws.integers(0, 4, size)
    weights[1] += 1  # a fake counts
    rows = np.repeat(np.arange(size), weights)
    found = bootstrap.Ranking(labels, logits).ap(weights)
    assert found == pytest.approx(average_precision_score(labels[rows], logits[rows]), abs=1e-12)


def test_equal_and_huge_logits_rank_as_they_should() -> None:
    labels = np.array([0, 1, 0, 1])
    ones = np.ones(4, np.int64)
    assert bootstrap.Ranking(labels, np.full(4, 5, np.float32)).ap(ones) == 0.5
    huge = np.array([-3e38, 3e38, -np.inf, np.inf], np.float32)
    assert bootstrap.Ranking(labels, huge).ap(ones) == 1
    assert bootstrap.Ranking(labels, np.full(4, np.inf, np.float32)).ap(ones) == 0.5


def test_interval_is_of_percentiles() -> None:
    assert bootstrap.interval(np.arange(101), 0.9) == pytest.approx([5, 95])


def plain_loop(
    scores: pa.Table, real_sets: dict[str, str], replicates: int, seed: int
) -> dict[str, list[float]]:
    """Every resample written out image by image; streams as the module draws them."""

    def stream(name: str) -> np.random.Generator:
        return np.random.default_rng((seed, zlib.crc32(name.encode())))

    rows = scores.to_pylist()
    names = sorted({row["generator"] for row in rows})
    pools = {n: f"set {real_sets[n]}" if n in real_sets else n for n in names}
    pools = {
        name: f"reals of {'the ' if name in real_sets else ''}{pools[name]}" for name in names
    }
    own = {name: stream(f"fakes of {name}") for name in names}
    real_draws = {pool: stream(pool) for pool in pools.values()}
    result: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(replicates):
        drawn = {}
        for pool, draws in real_draws.items():
            images = sorted(
                {
                    (row["class"], row["path"].split("/0_real/")[1])
                    for row in rows
                    if pools[row["generator"]] == pool and row["label"] == 0
                }
            )
            drawn[pool] = [images[k] for k in draws.integers(len(images), size=len(images))]
        for name in names:
            mine = [row for row in rows if row["generator"] == name]
            reals = {
                (r["class"], r["path"].split("/0_real/")[1]): r["logit"]
                for r in mine
                if r["label"] == 0
            }
            fakes = sorted((row["path"], row["logit"]) for row in mine if row["label"] == 1)
            chosen = [reals[image] for image in drawn[pools[name]] if image in reals]
            labels = [0] * len(chosen) + [1] * len(fakes)
            chosen += [fakes[k][1] for k in own[name].integers(len(fakes), size=len(fakes))]
            result[name].append(float(average_precision_score(labels, chosen)))
    return result


def uneven() -> pa.Table:
    """Three generators with ties: a and b share some reals, in two classes; c has its own."""
    draws = np.random.default_rng(5)
    rows: list[Row] = []
    for name, reals, fakes in (("a", 12, 5), ("b", 8, 9), ("c", 6, 6)):
        for label, count in ((0, reals), (1, fakes)):
            for k in range(count):
                logit = round(float(draws.normal() + label), 1)
                rows.append((name, "cat" if k % 3 else "dog", f"{k:02d}.png", label, logit))
    return table(rows)


@pytest.mark.parametrize("real_sets", [{}, {"a": "s", "b": "s"}, {"a": "c", "b": "c"}])
def test_replicates_equal_a_plain_loop(real_sets: dict[str, str]) -> None:
    fast = bootstrap.replicate(shuffled(uneven()), real_sets, 30, 7)
    slow = plain_loop(uneven(), real_sets, 30, 7)
    assert list(fast) == ["a", "b", "c"]
    for name in fast:
        np.testing.assert_allclose(fast[name], slow[name], atol=1e-12)


def test_same_images_get_the_same_resamples_whatever_their_scores() -> None:
    scores = uneven()
    other = shuffled(changed(scores, lambda logits: np.exp(logits / 3)))  # of the same order
    one = bootstrap.replicate(scores, {"a": "s", "b": "s"}, 30, 7)
    again = bootstrap.replicate(other, {"a": "s", "b": "s"}, 30, 7)
    for name in one:
        assert one[name].tolist() == again[name].tolist()


def test_streams_are_of_the_seed_and_the_name_alone() -> None:
    both, alone = generators("ab", 20, 20), generators("b", 20, 20)
    for real_sets in ({}, {"a": "s", "b": "s"}):
        one = bootstrap.replicate(both, real_sets, 20, 3)["b"]
        assert one.tolist() == bootstrap.replicate(alone, real_sets, 20, 3)["b"].tolist()
        assert one.tolist() != bootstrap.replicate(alone, real_sets, 20, 4)["b"].tolist()


def test_streams_are_the_same_in_every_process() -> None:
    draws = bootstrap._stream(0, "fakes of progan").integers(1000, size=4)
    assert draws.tolist() == np.random.default_rng((0, 4252105116)).integers(1000, size=4).tolist()


def test_shared_reals_move_together() -> None:
    scores = generators("ab", 60, 400)
    apart = bootstrap.replicate(scores, {}, 400, 0)
    together = bootstrap.replicate(scores, {"a": "s", "b": "s"}, 400, 0)
    assert abs(np.corrcoef(apart["a"], apart["b"])[0, 1]) < 0.2
    assert np.corrcoef(together["a"], together["b"])[0, 1] > 0.5
    widths = [
        np.diff(bootstrap.interval((one["a"] + one["b"]) / 2, 0.95))[0]
        for one in (apart, together)
    ]
    assert widths[1] > widths[0]  # what is shared does not average out


def test_a_set_and_a_generator_of_one_name_are_two() -> None:
    scores = generators("ab", 60, 400)
    found = bootstrap.replicate(scores, {"b": "a"}, 400, 0)
    assert abs(np.corrcoef(found["a"], found["b"])[0, 1]) < 0.2


def test_generators_of_one_class_or_one_image_are_left_out() -> None:
    rows: list[Row] = [("a", "", "0.png", 0, 1.0), ("b", "", "0.png", 1, 1.0)]
    rows += [("b", "", "1.png", 1, 2.0), ("c", "", "0.png", 0, -1.0), ("c", "", "0.png", 1, 1.0)]
    found = bootstrap.replicate(table(rows), {}, 5, 0)
    assert {name: aps.tolist() for name, aps in found.items()} == {"c": [1] * 5}
    assert bootstrap.replicate(table(rows[:1]), {"a": "s"}, 5, 0) == {}
    assert bootstrap.replicate(table([]), {}, 5, 0) == {}


def test_an_image_with_two_scores_is_refused() -> None:
    scores = generators("a", 2, 2)
    with pytest.raises(GenspotError, match=r"/a//0_real/000\.png has two scores"):
        bootstrap.replicate(pa.concat_tables([scores, scores.slice(0, 1)]), {}, 5, 0)


def test_interval_covers_the_true_ap_about_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0)
    truth_labels = np.repeat([0, 1], 50_000)
    truth = average_precision_score(truth_labels, draws.normal(size=100_000) + truth_labels)
    scores, labels, hits = generators("a", 80, 80), np.repeat([0, 1], 80), 0
    for seed in range(150):
        sample = changed(scores, lambda _: draws.normal(size=160) + labels)
        low, high = bootstrap.interval(bootstrap.replicate(sample, {}, 200, seed)["a"], 0.95)
        hits += low <= truth <= high
    assert 0.88 <= hits / 150 <= 0.99


def test_a_pair_is_the_difference_of_its_sides() -> None:
    one, other = uneven(), shuffled(changed(uneven(), lambda logits: -logits))
    real_sets = {"a": "s", "b": "s"}
    found = bootstrap.paired(one, other, real_sets, 40, 1, 0.9)
    left, right = (bootstrap.replicate(side, real_sets, 40, 1) for side in (one, other))
    for name, result in found["generators"].items():
        assert result["difference"] == pytest.approx(ap(one, name) - ap(other, name), abs=1e-6)
        assert result["interval"] == bootstrap.interval(left[name] - right[name], 0.9)
    assert {name: result["images"] for name, result in found["generators"].items()} == {
        "a": 17,
        "b": 17,
        "c": 12,
    }
    points = [result["difference"] for result in found["generators"].values()]
    assert found["mean"]["difference"] == pytest.approx(np.mean(points))
    means = np.mean([left[name] - right[name] for name in "abc"], axis=0)
    assert found["mean"]["interval"] == pytest.approx(bootstrap.interval(means, 0.9))
    assert (found["mean"]["generators"], found["mean"]["images"]) == (3, 46)


def test_pairing_narrows_the_interval_of_correlated_scores() -> None:
    one, other = generators("a", 200, 200), generators("a", 200, 200, seed=1, noise=0.1)
    low, high = bootstrap.paired(one, other, {}, 200, 0, 0.95)["generators"]["a"]["interval"]
    apart = bootstrap.replicate(one, {}, 200, 0)["a"] - bootstrap.replicate(other, {}, 200, 1)["a"]
    assert high - low < 0.4 * np.diff(bootstrap.interval(apart, 0.95))[0]


def test_a_table_does_not_differ_from_itself() -> None:
    found = bootstrap.paired(uneven(), shuffled(uneven()), {}, 20, 0, 0.95)
    for one in [*found["generators"].values(), found["mean"]]:
        assert (one["difference"], one["interval"]) == (0, [0, 0])


def test_a_pair_is_of_common_images_only() -> None:
    scores = generators("abc", 10, 10)  # 60 rows: reals, then fakes, of each
    common = bootstrap.paired(scores.slice(5), scores.slice(0, 50), {}, 20, 0, 0.95)
    assert {name: one["images"] for name, one in common["generators"].items()} == {
        "a": 15,
        "b": 20,
    }  # of c only the reals are common
    assert common["mean"]["generators"] == 2
    narrow = bootstrap.replicate(scores.slice(5, 15), {}, 20, 0)["a"]
    worse = changed(scores, lambda logits: logits * 0)
    found = bootstrap.paired(scores.slice(5, 15), worse, {}, 20, 0, 0.95)
    expected = bootstrap.interval(narrow - 10 / 15, 0.95)
    assert found["generators"]["a"]["interval"] == pytest.approx(expected)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_pair_without_common_generators_has_no_mean(rows: int) -> None:
    scores = generators("a", 5, 5)
    nothing = {"generators": 0, "difference": None, "interval": None, "images": 0}
    for one, other in ((scores, scores.slice(0, rows)), (scores.slice(0, rows), scores)):
        found = bootstrap.paired(one, other, {}, 5, 0, 0.95)
        assert found == {"generators": {}, "mean": nothing}


def test_one_training_combined_has_the_plain_interval() -> None:
    scores, real_sets = uneven(), {"a": "s", "b": "s"}
    found = bootstrap.combined([scores], real_sets, 40, 2, 0.95)
    aps = bootstrap.replicate(scores, real_sets, 40, 2)
    for name, one in found["generators"].items():
        assert one["ap"] == pytest.approx(ap(scores, name), abs=1e-6)
        assert one["interval"] == bootstrap.interval(aps[name], 0.95)
    assert found["mean"]["interval"] == bootstrap.interval(np.mean([*aps.values()], axis=0), 0.95)
    assert found["mean"]["ap"] == pytest.approx(np.mean([ap(scores, name) for name in "abc"]))
    assert found["mean"]["images"] == scores.num_rows


def test_equal_trainings_combined_have_the_plain_interval() -> None:
    scores = uneven()
    once = bootstrap.combined([scores], {}, 40, 2, 0.95)
    thrice = bootstrap.combined([scores, shuffled(scores), scores], {}, 40, 2, 0.95)
    for name, one in once["generators"].items():
        assert thrice["generators"][name]["interval"] == pytest.approx(one["interval"])


def test_the_spread_of_trainings_widens_the_interval() -> None:
    tables = [generators("ab", 300, 300, shift=shift) for shift in (0.5, 1.0, 1.5, 2.0)]
    found = bootstrap.combined(tables, {}, 400, 0, 0.95)
    for name in "ab":
        points = [ap(one, name) for one in tables]
        assert found["generators"][name]["ap"] == pytest.approx(np.mean(points), abs=1e-6)
        images = np.mean(
            [bootstrap.replicate(one, {}, 400, 0)[name] for one in tables], axis=0
        ).std()
        expected = np.hypot(images, np.std(points) / np.sqrt(len(points)))
        low, high = found["generators"][name]["interval"]
        assert high - low > 2 * 1.96 * 1.3 * images
        assert high - low == pytest.approx(2 * 1.96 * expected, rel=0.2)
    # The trainings are the same for all generators: their spread does not average out.
    low, high = found["mean"]["interval"]
    assert high - low > 0.9 * np.diff(found["generators"]["a"]["interval"])[0]


def test_trainings_combine_over_the_images_that_all_scored() -> None:
    scores = generators("ab", 10, 10)
    found = bootstrap.combined([scores, scores.slice(2), scores.slice(0, 30)], {}, 10, 0, 0.95)
    assert {name: one["images"] for name, one in found["generators"].items()} == {"a": 18}
