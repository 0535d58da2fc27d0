"""The choice between a fast implementation and its reference."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from genspot.augment.verified import sample_images, verified_or_fallback


def shift(image: np.ndarray, count: int) -> np.ndarray:
    return np.roll(image, count, axis=1)


def fast_shift(image: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([image[:, -count:], image[:, :-count]], axis=1) if count else image


def different_bits(image: np.ndarray, count: int) -> np.ndarray:
    return shift(image, count) ^ (count == 2)


def different_shape(image: np.ndarray, count: int) -> np.ndarray:
    return shift(image, count)[:-1]


def not_importable(image: np.ndarray, count: int) -> np.ndarray:
    raise ImportError("no module\nof that name")


SAMPLES = [(image, count) for image in sample_images() for count in range(3) if image.shape[1] > 2]


@pytest.mark.parametrize("fast", [different_bits, different_shape, not_importable])
def test_verified_unequal_or_failing_function_falls_back_with_one_warning(
    fast: Callable[..., np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    assert verified_or_fallback(fast, shift, SAMPLES, "shift (test)") is shift
    [record] = caplog.records
    message = record.getMessage()
    assert record.levelname == "WARNING" and "shift (test)" in message and "\n" not in message
    assert ("ImportError" in message) == (fast is not_importable)


def test_verified_equal_function_is_used_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert verified_or_fallback(fast_shift, shift, SAMPLES, "shift (test)") is fast_shift
    assert not caplog.records


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other builds may fall back")
def test_blur_and_jpeg_use_their_fast_implementations_here() -> None:
    code = "import genspot.augment.blur, genspot.augment.jpeg"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "using the slower" not in result.stderr
