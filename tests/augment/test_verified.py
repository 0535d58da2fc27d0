"""The choice between a fast implementation and its reference."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from genspot.augment.verified import sample_images, verified_or_fallback

SAMPLES = [(image,) for image in sample_images()]


def invert(image: np.ndarray) -> np.ndarray:
    return 255 - image


def not_importable(image: np.ndarray) -> np.ndarray:
    raise ImportError("no module\nof that name")


@pytest.mark.parametrize(
    ("fast", "reason"),
    [
        (lambda image: invert(image) ^ (image.shape[1] == 24), "gives different bits"),
        (lambda image: invert(image)[:-1], "gives different bits"),
        (not_importable, "fails (ImportError: no module of that name)"),
    ],
)
def test_verified_unequal_or_failing_function_falls_back_with_one_warning(
    fast: Callable[..., np.ndarray], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert verified_or_fallback(fast, invert, SAMPLES, "inversion") is invert
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"the fast inversion {reason} on this machine: ")


def test_verified_equal_function_is_used(caplog: pytest.LogCaptureFixture) -> None:
    assert verified_or_fallback(np.invert, invert, SAMPLES, "inversion") is np.invert
    assert not caplog.records


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other builds may fall back")
def test_blur_and_jpeg_use_their_fast_implementations_here() -> None:
    code = "import genspot.augment.blur, genspot.augment.jpeg"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "using the slower" not in result.stderr
