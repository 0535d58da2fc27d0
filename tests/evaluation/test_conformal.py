from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binom

from genspot.evaluation.conformal import (
    Cell,
    describe_group,
    find_group,
    find_threshold,
    p_values,
)

LEVELS = (0.01, 0.05, 0.10)


def test_p_values_count_the_references_at_or_above_each_logit() -> None:
    found = p_values(np.array([-9.0, 1.0, 1.5, 3.0, 4.0]), np.array([3.0, 1.0, 2.0, 1.0]))
    assert found.tolist() == [1.0, 1.0, 3 / 5, 2 / 5, 1 / 5]
    assert p_values(np.array([0.0]), np.array([])).tolist() == [1.0]


def test_p_values_by_the_definition_for_random_logits_with_ties() -> None:
    rng = np.random.default_rng(1)
    logits, references = rng.integers(0, 20, 300), rng.integers(0, 20, 150)
    expected = [(1 + sum(other >= one for other in references)) / 151 for one in logits]
    assert p_values(logits, references).tolist() == expected


def within_binomial_bounds(alarms: int, draws: int, level: float) -> bool:
    """Return whether a rate of `level` gives so many alarms in more than one of 10,000 cases."""
    return alarms <= binom.ppf(1 - 1e-4, draws, level)


@pytest.mark.parametrize("number", [99, 100, 250])
@pytest.mark.parametrize("kind", ["normal", "heavy", "ties", "constant"])
def test_share_of_p_values_at_or_below_a_level_is_within_its_bounds(
    number: int, kind: str
) -> None:
    draws, rng = 4000, np.random.default_rng(number)
    sample = {
        "normal": lambda: rng.normal(size=number + 1),
        "heavy": lambda: rng.standard_cauchy(number + 1),
        "ties": lambda: rng.poisson(3, number + 1).astype(float),
        "constant": lambda: np.zeros(number + 1),
    }[kind]
    found = []
    for _ in range(draws):
        values = sample()
        found.append(p_values(values[:1], values[1:])[0])
    for level in LEVELS:
        alarms = int((np.array(found) <= level + 1e-12).sum())
        assert within_binomial_bounds(alarms, draws, level)
        if kind in ("normal", "heavy"):  # without ties it is also no lower: exactly this rate
            exact = np.floor(level * (number + 1) + 1e-9) / (number + 1)
            assert alarms >= binom.ppf(1e-4, draws, exact)


def draw_photos(rng: np.random.Generator, count: int) -> tuple[list[Cell], np.ndarray]:
    """Return cells, some of them rare, and logits that depend on them much."""
    names = np.array(["a", "b", "c", "d"])
    first = rng.choice(names, count, p=[0.6, 0.3, 0.07, 0.03])
    second = rng.choice(names[:3], count, p=[0.5, 0.4, 0.1])
    offset = {"a": 0.0, "b": 3.0, "c": 6.0, "d": 9.0}
    logits = rng.normal(size=count) + [
        offset[x] - offset[y] for x, y in zip(first, second, strict=True)
    ]
    return list(zip(first.tolist(), second.tolist(), strict=True)), logits


def test_share_of_alarms_is_within_its_bounds_in_every_group() -> None:
    rng, level = np.random.default_rng(5), 0.05
    alarms: Counter[frozenset[str]] = Counter()
    draws: Counter[frozenset[str]] = Counter()
    for _ in range(6000):
        cells, logits = draw_photos(rng, 301)
        group = find_group(cells[0], Counter(cells[1:]))
        alike = [place for place in range(1, 301) if cells[place] in group]
        assert len(alike) >= 99
        which = frozenset(cell[0] for cell in group)
        draws[which] += 1
        alarms[which] += bool(p_values(logits[:1], logits[alike])[0] <= level)
    assert len([which for which, count in draws.items() if count > 300]) >= 2
    for which, count in draws.items():
        assert within_binomial_bounds(alarms[which], count, level), which
    # The test can fail: photos compared with all references have far more alarms in rare cells.
    naive = drawn = 0
    for _ in range(2000):
        cells, logits = draw_photos(rng, 301)
        if cells[0][0] in ("c", "d"):
            drawn += 1
            naive += bool(p_values(logits[:1], logits[1:])[0] <= level)
    assert not within_binomial_bounds(naive, drawn, level)


def test_groups_divide_all_photos_and_do_not_depend_on_which_photo_is_asked_about() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        cells, _ = draw_photos(rng, 260)
        groups = []
        for place, cell in enumerate(cells):
            others = Counter(cells[:place] + cells[place + 1 :])
            groups.append(find_group(cell, others))
            assert cell in groups[-1]
        different = set(groups)
        assert sum(map(len, different)) == len(frozenset().union(*different))
        for group in different:
            assert sum(cell in group for cell in cells) >= 100


def test_a_group_needs_99_references_or_is_joined_with_the_others() -> None:
    counts = {("a", "x"): 99, ("b", "x"): 300}
    assert find_group(("a", "x"), counts) == {("a", "x")}
    assert find_group(("b", "x"), counts) == {("a", "x"), ("b", "x")}  # a has 99 photos then
    # Two that are too small are a group if they are large enough together.
    counts = {("a", "x"): 60, ("b", "x"): 50, ("c", "x"): 500}
    assert find_group(("a", "x"), counts) == {("a", "x"), ("b", "x")}
    assert find_group(("c", "x"), counts) == {("c", "x")}
    # The smallest of the others joins one that is too small.
    counts = {("a", "x"): 9, ("b", "x"): 200, ("c", "x"): 500}
    assert find_group(("d", "x"), counts) == {("a", "x"), ("b", "x"), ("d", "x")}
    with pytest.raises(ValueError, match="fewer than 99"):
        find_group(("a",), {("a",): 98})


def test_finer_labels_count_only_within_the_coarser() -> None:
    counts = {("a", "x"): 200, ("a", "y"): 150, ("a", "z"): 5, ("b", "x"): 1000}
    assert find_group(("a", "x"), counts) == {("a", "x")}
    assert find_group(("a", "z"), counts) == {("a", "y"), ("a", "z")}


def test_describe_group_names_what_its_references_have_in_common() -> None:
    counts = {("JPEG", "low", "big"): 99, ("JPEG", "mid", "big"): 9, ("JPEG", "top", "big"): 300}
    group = find_group(("JPEG", "mid", "big"), counts)
    assert describe_group(group, counts) == "JPEG, low or mid, big"
    group = find_group(("JPEG", "top", "big"), counts)
    assert describe_group(group, counts) == "JPEG, top, big"
    everything = frozenset({("JPEG", "low"), ("no", "")})
    assert (
        describe_group(everything, {("JPEG", "low"): 5, ("no", ""): 5}) == "all reference photos"
    )
    assert describe_group(frozenset({("no", "", "big")}), {("no", "", "big"): 5}) == "no, big"


@pytest.mark.parametrize("number", [1, 98, 99, 100, 149])
@pytest.mark.parametrize("level", [0.01, 0.05, 0.07, 0.29, 0.5])
def test_find_threshold_is_the_least_logit_with_that_p_value(number: int, level: float) -> None:
    references = np.random.default_rng(number).integers(-5, 5, number) / 3
    found = find_threshold(references, level)
    if found is None:
        assert p_values(np.array([1e9]), references)[0] > level
    else:
        below = np.nextafter(found, -np.inf)
        at, under = p_values(np.array([found, below]), references)
        assert at <= level < under


def test_find_threshold_of_99_references_is_above_all_of_them() -> None:
    references = np.arange(99.0)
    assert find_threshold(references, 0.01) == np.nextafter(98.0, 99.0)
    assert find_threshold(references, 0.02) == np.nextafter(97.0, 99.0)
    assert find_threshold(references, 0.0099) is None
    assert find_threshold(np.array([]), 0.5) is None
