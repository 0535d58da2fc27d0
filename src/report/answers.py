"""Answers: all that is found of a photo, as plain values for JSON, pages and servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from genspot.common.claims import FileClaims

SCHEMA = 1  # version of the form of the document


def make_answers(
    predictions: pa.Table,
    claims: Sequence[FileClaims],
    unreadable: pa.Table,
    deliveries: pa.Table | None,
) -> list[dict[str, Any]]:
    """Return an answer for each photo: those with a score in their order, then the others.

    Args:
        predictions: a row for each photo and detector; see `prediction_table`.
        claims: of the photos.
        unreadable: with the columns path and reason, and of several detectors `detector`.
        deliveries: see `delivery_table`; None where none were scored.
    """
    raise NotImplementedError


def make_document(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the JSON document of answers: {"genspot", "schema", "about", "photos"}."""
    raise NotImplementedError
