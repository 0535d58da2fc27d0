from __future__ import annotations

import numpy as np
import pytest

from genspot.evaluation.agreement import (
    EVIDENCE,
    NO_EVIDENCE,
    OPEN,
    describe_agreement,
    finding,
    join,
    joint_p_value,
)
from genspot.evaluation.evidence import CANNOT_SAY, GRADES


def test_finding_of_each_grade() -> None:
    assert [finding(grade) for grade in (*GRADES, CANNOT_SAY)] == [
        *(EVIDENCE, EVIDENCE, EVIDENCE, NO_EVIDENCE),
        OPEN,
    ]


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([EVIDENCE] * 2, "The 2 detectors agree: each finds evidence of generation."),
        ([NO_EVIDENCE] * 3, "The 3 detectors agree: each finds no evidence of generation."),
        ([OPEN] * 2, "None of the 2 detectors can say anything about this photo."),
        (
            [EVIDENCE, NO_EVIDENCE, EVIDENCE, OPEN],
            "The detectors disagree: a and c find evidence of generation, b finds none; "
            "d cannot say.",
        ),
        ([OPEN, EVIDENCE], "b finds evidence of generation; a cannot say."),
        ([NO_EVIDENCE, OPEN, OPEN], "a finds no evidence of generation; b and c cannot say."),
    ],
)
def test_describe_agreement_says_who_finds_what(findings: list[str], expected: str) -> None:
    assert describe_agreement(dict(zip("abcd", findings, strict=False))) == expected


def test_join_lists_names_in_words() -> None:
    assert [join("a"), join("ab"), join("abc")] == ["a", "a and b", "a, b and c"]


@pytest.mark.parametrize("dependence", ["none", "equal", "opposite"])
def test_joint_p_value_keeps_its_level_whatever_the_dependence(dependence: str) -> None:
    rng, draws = np.random.default_rng(0), 20_000
    first = rng.uniform(size=draws)
    second = {"none": rng.uniform(size=draws), "equal": first, "opposite": 1 - first}[dependence]
    joint = np.array([joint_p_value([*pair]) for pair in zip(first, second, strict=True)])
    for level in (0.01, 0.05, 0.10):
        assert (joint <= level).mean() <= level + 4 * np.sqrt(level / draws)
    assert joint_p_value([0.6, 0.9]) == 1.0
    assert joint_p_value([0.03]) == 0.03
