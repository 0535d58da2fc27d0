"""Protocols in words."""

from __future__ import annotations

import pytest

from genspot.report.protocols import choice, condition_of, is_changed, is_plain, notes


@pytest.mark.parametrize(
    ("tested", "trained", "expected", "count"),
    [
        ({}, {}, "no protocol", 0),  # results of older versions
        ({"protocol": "none"}, {}, "no protocol", 0),
        ({"protocol": "fit_9"}, {"protocol": "fit_9"}, "protocol fit_9", 1),
        ({"protocol": "fit_9"}, {}, "protocol fit_9, trained with none", 2),
        ({"protocol": "none"}, {"protocol": "fit_9"}, "no protocol, trained with fit_9", 1),
    ],
)
def test_protocols_of_test_and_training_are_told_apart(tested, trained, expected, count) -> None:
    metrics = {**tested, "trained_on": trained}
    assert choice(metrics) == expected
    assert is_changed(metrics) == ("fit_9" in tested.values())
    assert len(notes(metrics)) == count
    for note in notes(metrics):
        assert "fit_9" in note


@pytest.mark.parametrize(
    ("tested", "trained", "label", "said"),
    [
        (
            "matched_jpeg_96",
            "none",
            "matched_jpeg_96",
            "real and fake images alike were changed by jpeg_96 after they were decoded.",
        ),
        (
            "fakes_jpeg_96",
            "fit_9",
            "fakes_jpeg_96, then protocol fit_9",
            "the fakes alone were changed by jpeg_96 after they were decoded, then every image by "
            "fit_9, the protocol of the training.",
        ),
    ],
)
def test_condition_says_which_images_it_changed(tested, trained, label, said) -> None:
    metrics = {"protocol": tested, "trained_on": {"protocol": trained}}
    assert condition_of(metrics) == tested and not is_plain(metrics)
    assert choice(metrics) == label
    (note,) = notes(metrics)
    assert note.startswith(f"protocol={tested}: {said} Pictures, spectra and the shortcut")
    (_, fitted) = notes({**metrics, "fit": {"threshold": 0.1}})
    assert "validation images without this change" in fitted


@pytest.mark.parametrize(
    ("tested", "trained"), [("none", "none"), ("fit_9", "fit_9"), ("none", "fit_9")]
)
def test_protocol_without_a_condition_is_none(tested, trained) -> None:
    metrics = {"protocol": tested, "trained_on": {"protocol": trained}}
    assert condition_of(metrics) == "" and is_plain(metrics) is (tested == trained)
