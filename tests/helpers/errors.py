"""Errors that a user can correct."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from genspot.common.errors import GenspotError


def error_of(call: Callable[..., object], *arguments: Any) -> str:
    """Return the message of the error that `call` raises, which must be one line."""
    with pytest.raises(GenspotError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)
