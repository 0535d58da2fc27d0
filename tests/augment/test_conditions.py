"""Conditions of a test: which images are changed, and in which order, against PIL."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from genspot.augment.conditions import parse_test_protocol
from genspot.augment.degradations import Protocol, parse_protocol
from genspot.common.errors import GenspotError
from helpers.arrays import compress_by_pil, make_noise

IMAGE = make_noise(40, 31, 0)
AT_96, AT_75 = compress_by_pil(IMAGE, 96), compress_by_pil(IMAGE, 75)
OWN = "fit_24+jpeg_60"


def apply(protocol: Protocol | None, image: np.ndarray = IMAGE) -> np.ndarray:
    return image if protocol is None else protocol(image)


def own(image: np.ndarray) -> np.ndarray:
    return apply(parse_protocol(OWN), image)


@pytest.mark.parametrize(
    ("protocol", "trained_with", "of_reals", "of_fakes"),
    [
        ("none", "none", IMAGE, IMAGE),
        ("none", OWN, IMAGE, IMAGE),  # takes the place of the checkpoint's own
        ("jpeg_75", OWN, AT_75, AT_75),
        ("matched_jpeg_96", "none", AT_96, AT_96),
        ("fakes_jpeg_75", "none", IMAGE, AT_75),
        ("matched_jpeg_96", OWN, own(AT_96), own(AT_96)),
        ("fakes_jpeg_96", OWN, own(IMAGE), own(AT_96)),
        ("matched_fit_31+jpeg_75", "none", *[compress_by_pil(IMAGE[:31], 75)] * 2),
        ("fakes_jpeg_96+jpeg_75", "none", IMAGE, compress_by_pil(AT_96, 75)),
    ],
)
def test_condition_comes_before_the_own_protocol_and_concerns_its_label(
    protocol: str, trained_with: str, of_reals: np.ndarray, of_fakes: np.ndarray
) -> None:
    parsed = parse_test_protocol(protocol, trained_with)
    for function, expected in zip(parsed, (of_reals, of_fakes), strict=True):
        np.testing.assert_array_equal(apply(function), expected)
    # Each worker of a loader gets a copy.
    copied = pickle.loads(pickle.dumps(parsed))
    np.testing.assert_array_equal(apply(copied[1]), of_fakes)


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ("matched", "protocol=matched: name what is done, such as matched_jpeg_75"),
        ("fakes_", "protocol=fakes_: name what is done, such as fakes_jpeg_75"),
        ("matched_none", "protocol=matched_none: name what is done, such as matched_jpeg_75"),
        ("matched_noise_1", "protocol=noise_1: write blur_SIGMA"),
        ("fakes_jpeg_101", "protocol=jpeg_101: "),
        ("matched_jpeg_96+fakes_jpeg_75", "matched_ or fakes_ stands once, before all steps"),
        ("fakes_jpeg_96+fakes_blur_1", "matched_ or fakes_ stands once, before all steps"),
        ("jpeg_75+fakes_jpeg_96", "protocol=fakes_jpeg_96: write blur_SIGMA"),
        ("fakes_fit_24", "fit_N leaves out smaller images, .+ give matched_fit_24"),
        ("fakes_jpeg_75+fit_24", "fit_N leaves out smaller images"),
        ("reals_jpeg_75", "protocol=reals_jpeg_75: write blur_SIGMA"),
    ],
)
def test_condition_that_makes_no_sense_ends_in_one_line(protocol: str, message: str) -> None:
    with pytest.raises(GenspotError, match=rf"^(protocol=\S+: )?{message}[^\n]*\Z"):
        parse_test_protocol(protocol, "none")


def test_own_protocol_that_is_a_condition_is_refused() -> None:
    with pytest.raises(GenspotError, match=r"^protocol=fakes_jpeg_75: write blur_SIGMA"):
        parse_test_protocol("matched_jpeg_96", "fakes_jpeg_75")
