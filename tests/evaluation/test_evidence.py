from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binom

from genspot.evaluation.evidence import CANNOT_SAY, GRADES, grade, judge
from genspot.evaluation.references import Reference
from helpers.references import make_reference, make_traits

JPEG = {"jpeg_quality": 75, "format": "JPEG"}


def judged(reference, traits: dict[str, Any], logit: float = 0.0, padded: bool = False):
    rows = judge(reference, make_traits([traits]), np.array([logit]), np.array([padded]))
    return rows.to_pylist()[0]


@pytest.mark.parametrize(
    ("p_value", "expected"),
    [
        (1e-6, "strong evidence"),
        (0.01, "strong evidence"),
        (0.0101, "moderate evidence"),
        (0.05, "moderate evidence"),
        (0.0501, "weak evidence"),
        (0.10, "weak evidence"),
        (0.1001, "no evidence"),
        (1.0, "no evidence"),
    ],
)
def test_grade_follows_from_the_p_value(p_value: float, expected: str) -> None:
    assert grade(p_value) == expected


def test_no_grade_says_that_a_photo_is_real() -> None:
    assert not any("real" in name for name in (*GRADES, CANNOT_SAY))


def test_the_smallest_group_reaches_the_strongest_grade() -> None:
    row = judged(make_reference((99, {})), {}, logit=9.0)
    assert (row["grade"], row["p_value"], row["references"]) == ("strong evidence", 0.01, 99)
    assert row["compared_with"] == "no traces of JPEG, 1 to 4 megapixels" and row["reason"] == ""


def test_a_photo_is_compared_with_its_like_alone() -> None:
    reference = make_reference((150, {}), (120, JPEG))
    own = reference.logits[150:]
    row = judged(reference, JPEG | {"jpeg_quality": 72}, logit=0.5)
    assert row["p_value"] == (1 + (own >= 0.5).sum()) / 121
    assert (row["references"], row["compared_with"]) == (
        120,
        "JPEG, quality 60 to 80, 1 to 4 megapixels",
    )


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        (JPEG, "3 of the reference photos are like it (JPEG), and 99 are needed"),
        ({"width": 16}, "it has 0.016 megapixels, and the reference photos 1"),
        ({"width": 2001}, "it has 2 megapixels, and the reference photos 1"),
        ({"flat_share": 0.26}, "26% of the neighbouring pixels have one colour"),
        ({"colour_share": 0.61}, "61% of its pixels have one of four colours, as in screenshots"),
    ],
)
def test_nothing_is_said_of_a_photo_unlike_the_references(
    traits: dict[str, Any], expected: str
) -> None:
    row = judged(make_reference((200, {}), (3, JPEG)), traits, logit=50.0)
    assert (row["grade"], row["p_value"], row["references"]) == (CANNOT_SAY, None, 0)
    assert row["reason"].startswith(expected)


def test_nothing_is_said_of_a_heavily_compressed_photo() -> None:
    reference = make_reference((100, JPEG), (100, JPEG | {"jpeg_quality": 92}))
    assert judged(reference, JPEG | {"jpeg_quality": 70})["grade"] != CANNOT_SAY
    row = judged(reference, JPEG | {"jpeg_quality": 30})
    assert row["reason"] == (
        "its JPEG quality is about 30, and that of the reference photos 75 to 92"
    )


def test_nothing_is_said_of_a_padded_or_unreadable_photo() -> None:
    reference = make_reference((100, {}))
    assert "smaller than the crop" in judged(reference, {}, padded=True)["reason"]
    nothing = dict.fromkeys(
        ["format", "jpeg_quality", "width", "height", "flat_share", "colour_share"]
    )
    assert "could not be read" in judged(reference, nothing)["reason"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_photo_of_a_set_asked_against_the_others_gives_no_more_alarms_than_the_level(
    seed: int,
) -> None:
    # Any of exchangeable photos may be the one that is asked about. So this share is the rate of
    # false alarms, whatever moves the logits and whichever photos the rules leave out: here the
    # photos of a rare size or quality, which are the quiet ones.
    rng, count = np.random.default_rng(seed), 230
    rare = np.abs(rng.standard_cauchy(count))
    rows = [
        {
            "width": int(1000 * np.exp(0.5 * side)),
            "jpeg_quality": int(np.clip(82 - 5 * away, 5, 100)) if jpeg else None,
            "flat_share": min(0.9, 0.02 * away),
            "colour_share": 0.7 * (away > 30),
        }
        for side, away, jpeg in zip(
            np.clip(rng.standard_cauchy(count), -6, 6), rare, rng.random(count) < 0.55, strict=True
        )
    ]
    logits = np.round(rng.normal(size=count) - np.minimum(rare, 9), 1)  # with ties
    table = make_traits(rows)
    whole = table.append_column("logit", pa.array(logits))
    alarms, left_out = Counter[float](), 0
    for place in range(count):
        others = pa.concat_tables([whole.slice(0, place), whole.slice(place + 1)])
        one = logits[place : place + 1]
        for level in (0.01, 0.05, 0.1):
            asked = Reference(others, {}), table.slice(place, 1), one, np.array([False])
            (row,) = judge(*asked, level=level).to_pylist()
            left_out += row["p_value"] is None
            if row["p_value"] is not None:
                alarm = row["p_value"] <= level
                alarms[level] += alarm
                assert alarm == (row["threshold"] is not None and one[0] >= row["threshold"])
    assert left_out > 0 and alarms[0.1] > 0
    assert all(alarms[level] <= level * count for level in (0.01, 0.05, 0.1))


def test_alarms_among_real_photos_stay_within_their_bounds_with_all_rules() -> None:
    rng, alarms, draws = np.random.default_rng(3), 0, 400
    for seed in range(draws):
        parts = [(int(rng.integers(100, 130)), JPEG | {"jpeg_quality": q}) for q in (50, 75, 95)]
        reference = make_reference(*parts, seed=seed)
        quality = int(rng.choice([50, 75, 95]))
        row = judged(reference, JPEG | {"jpeg_quality": quality}, logit=rng.normal())
        assert row["grade"] != CANNOT_SAY
        alarms += row["p_value"] <= 0.05
    assert binom.ppf(1e-4, draws, 4 / 110) <= alarms <= binom.ppf(1 - 1e-4, draws, 0.05)
