"""The verdict on each set in words: judgement, reasons and advice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from genspot.evaluation.overlaps import ImageSet, Overlap
from genspot.evaluation.shortcuts import ALL, Trait
from genspot.report.audit.findings import (
    FEW,
    AuditedSet,
    describe,
    fix_of,
    sentence,
    short_reason,
    what_to_do,
    why_not_judged,
)
from helpers.audits import make_trait

WHERE = ImageSet("mine", "test")
LEAK = Overlap("test images in the training set", WHERE, (), 2, 0, 20, np.arange(2))
SHARED = Overlap("real images of another test set", WHERE, (), 5, 0, 10, np.arange(5))


def audited(
    traits: Sequence[Trait] = (),
    overlaps: Sequence[Overlap] = (),
    reals: int = 10,
    fakes: int = 10,
) -> AuditedSet:
    rows = np.arange(reals + fakes)
    return AuditedSet(WHERE, "/data", rows, reals, fakes, 0, traits, overlaps)


@pytest.mark.parametrize(
    ("judgements", "overlaps", "verdict"),
    [
        ({}, [], "not judged"),
        ({}, [LEAK], "decisive"),
        ({"format": "none"}, [], "none"),
        ({"format": "none", ALL: "none"}, [SHARED], "none"),
        ({"format": "slight", "size": "none"}, [], "slight"),
        ({"format": "decisive", "size": "slight"}, [], "decisive"),
        ({"colour": "decisive", ALL: "decisive"}, [], "slight"),
        ({"colour": "slight"}, [], "slight"),
        ({"format": "none"}, [LEAK], "decisive"),
    ],
)
def test_judgement_of_a_set_is_its_worst_but_for_what_a_generator_may_cause(
    judgements, overlaps, verdict
):
    traits = [make_trait(name, judgement) for name, judgement in judgements.items()]
    assert audited(traits, overlaps).judgement == verdict


def test_faults_come_by_weight_and_name_all_traits_together_only_without_a_single_one():
    traits = [
        make_trait("colour", "decisive"),
        make_trait("size", "slight"),
        make_trait("format", "decisive"),
        make_trait("compression"),
        make_trait(ALL, "decisive"),
    ]
    assert [one.name for one in audited(traits).faults] == ["format", "size", "colour"]
    assert [one.name for one in audited([traits[3], traits[4]]).faults] == [ALL]


def test_short_reason_names_traits_content_and_duplicates():
    traits = [make_trait("format", "decisive"), make_trait("colour", "slight")]
    assert short_reason(audited(traits, [LEAK, SHARED])) == (
        "Real and fake are told apart by format (AP 98.0). The format of <reals> differs. Real "
        "and fake also differ in colour (AP 70.0), which may be the generator's own work. 2 of "
        "20 images (10.0%) are in the training set too."
    )
    assert short_reason(audited()) == ""


def test_short_reason_of_few_images_without_a_difference_says_that_they_are_few():
    traits = [make_trait("format")]
    assert "so few images" in short_reason(audited(traits, reals=FEW - 1, fakes=FEW))
    assert short_reason(audited(traits, reals=FEW, fakes=FEW)) == ""


def test_a_set_whose_images_repeat_is_no_shortcut():
    repeated = Overlap("repeated images", WHERE, (), 19, 0, 20, np.arange(19))
    assert audited(overlaps=[repeated]).judgement == "decisive"
    assert not audited([make_trait("colour", "decisive")], [repeated]).shortcut
    assert audited(overlaps=[LEAK]).shortcut
    assert audited([make_trait("format", "decisive")]).shortcut


def test_what_to_do_leaves_out_content_and_says_each_thing_once():
    traits = [make_trait("format", "decisive"), make_trait("colour", "slight")]
    todo = what_to_do(audited(traits, [LEAK, SHARED, LEAK]))
    assert todo == ["`task=harmonize` for the format.", LEAK.fix]


def test_describe_and_fix_of_all_traits_together_do_not_name_one():
    assert describe(make_trait(ALL, "slight")).startswith("No single trait")
    assert "`" not in fix_of(make_trait(ALL, "slight"))
    assert describe(make_trait("size", "slight")) == "The size of <reals> differs."


def test_title_names_the_split_of_training_and_validation_sets():
    one = audited()
    assert one.title == "mine"
    other = AuditedSet(ImageSet("mine", "val"), "", one.rows, 1, 1, 0, [], [])
    assert other.title == "mine (validation set)"


@pytest.mark.parametrize(
    ("reals", "fakes", "words"),
    [
        (5, 0, "real images alone"),
        (0, 5, "fakes alone"),
        (9, 30, "fewer than 10"),
        (0, 0, "could be read"),
    ],
)
def test_unjudged_says_why_there_are_no_traits(reals, fakes, words):
    assert words in why_not_judged(audited(reals=reals, fakes=fakes))
    assert why_not_judged(audited([make_trait("size")])) == ""


def test_sentence_has_a_capital_and_one_full_stop():
    assert [sentence(text) for text in ("", "a b", "A.")] == ["", "A b.", "A."]
