"""Means over the generators of a training, and over others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import average_precision_score

from genspot.evaluation.intervals import ap_intervals, ap_over_seeds
from genspot.evaluation.means import mean_over_trainings, means_apart, of_generators
from genspot.evaluation.metrics import evaluate
from helpers.scores import make_scores

SEEN = {"a": True, "b": False, "c": False, "d": None, "e": False}
SETS = {name: "one" for name in "abcd"}


def make(seed: int, names: str = "abcd") -> pa.Table:
    """Return scores of generators with the same reals; "e" has real images alone."""
    rng = np.random.default_rng(seed)
    return make_scores(
        (name, f"photo{k % 6}", f"{k:02}.png", label, rng.normal() + label * (1 + ord(name) % 3))
        for name in names
        for label in ((0,) if name == "e" else (0, 1))
        for k in range(24)
    )


def annotated(scores: pa.Table, published: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return an evaluation with published figures of some generators."""
    results: dict[str, Any] = dict(evaluate(scores))
    for name, figures in results["generators"].items():
        row = {"name": "paper", "row": "main", "rerun": False, "unconfirmed": name == "c"}
        row |= {"ap": 0.5 + ord(name) % 3 / 10, "acc": None}
        figures["baselines"] = [row] if name in published else []
        figures["shortcut_baseline_ap"] = 0.6
    return results


@pytest.mark.parametrize("clusters", [None, dict.fromkeys("abcde", "class")])
def test_means_apart_are_over_the_generators_of_each_kind(clusters: Any) -> None:
    scores = make(0, "abcde")
    means = means_apart(annotated(scores), scores, SEEN, 0.9, SETS, clusters)
    aps = {
        name: average_precision_score(part["label"], part["logit"])
        for name, part in scores.to_pandas().groupby("generator")
        if name != "e"
    }
    assert means["seen"]["ap"] == pytest.approx(aps["a"])
    assert means["unseen"]["ap"] == pytest.approx((aps["b"] + aps["c"]) / 2)
    assert (means["unseen"]["generators"], means["unseen"]["images"]) == (2, 96)
    alone = ap_intervals(of_generators(scores, ["b", "c"]), 0.9, SETS, clusters)["mean"]
    assert means["unseen"]["ap_interval"] == pytest.approx(alone["interval"])
    # Reals that generators share do not average out.
    apart = means_apart(annotated(scores), scores, SEEN, 0.9, None, clusters)["unseen"]
    low, high = means["unseen"]["ap_interval"]  # type: ignore[misc]
    assert apart["ap_interval"] != [low, high]


def test_means_apart_have_published_figures_where_all_generators_have() -> None:
    scores = make(1)
    means = means_apart(annotated(scores, ("b", "c")), scores, SEEN, 0.95)
    assert means["seen"]["published"] is None  # type: ignore[typeddict-item]
    expected = {"ap": pytest.approx(0.6), "acc": None, "unconfirmed": True}
    assert means["unseen"]["published"] == expected  # type: ignore[typeddict-item]
    assert [one["name"] for one in means["unseen"]["baselines"]] == ["paper"]
    assert means["seen"]["baselines"] == []
    assert means["unseen"]["shortcut_baseline_ap"] == pytest.approx(0.6)  # type: ignore


@pytest.mark.parametrize(
    "seen", [{}, dict.fromkeys("abcd", True), dict.fromkeys("abcd"), {"e": False, "a": True}]
)
def test_means_apart_need_generators_of_both_kinds(seen: dict[str, bool | None]) -> None:
    scores = make(2, "abcde")
    assert means_apart(annotated(scores), scores, seen, 0.95) == {}


def test_mean_over_trainings_takes_each_generator_from_its_own_trainings() -> None:
    tables = {name: make(number) for number, name in enumerate("ab")}
    found = mean_over_trainings({name: [table] for name, table in tables.items()}, 0.95, SETS)
    parts = [of_generators(table, [name]) for name, table in tables.items()]
    expected = ap_intervals(pa.concat_tables(parts), 0.95, SETS)
    assert found == expected and found["mean"]["interval"] is not None


def test_mean_over_trainings_is_over_seeds_where_there_are_several() -> None:
    tables = [make(seed) for seed in range(3)]
    found = mean_over_trainings(dict.fromkeys("abcd", tables), 0.95, SETS)
    assert found == ap_over_seeds(tables, 0.95, SETS)


def test_mean_over_trainings_of_different_numbers_has_no_interval() -> None:
    tables = [make(seed) for seed in range(3)]
    found = mean_over_trainings({"a": tables, "b": tables[:1]}, 0.95, SETS)
    aps = [found["generators"][name]["ap"] for name in "ab"]
    assert found["mean"]["ap"] == pytest.approx(sum(aps) / 2)
    assert found["mean"]["interval"] is None
    assert all(one["interval"] for one in found["generators"].values())
