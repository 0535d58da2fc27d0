from __future__ import annotations

from genspot.report.evidence import rate_cell, reference_rows
from helpers.references import make_reference


def test_reference_rows_count_each_kind() -> None:
    reference = make_reference((60, {}), (45, {"jpeg_quality": 75}))
    rows = reference_rows(reference)
    assert [row[:2] for row in rows] == [
        ("JPEG, quality 60 to 80, 1 to 4 megapixels", "45"),
        ("no traces of JPEG, 1 to 4 megapixels", "60"),
    ]


def test_rate_cell_of_many_references_is_not_zero() -> None:
    found = [rate_cell({"p_value": p}) for p in (1 / 3000, 2 / 199, None)]
    assert found == ["0.03%", "1.01%", ""]
