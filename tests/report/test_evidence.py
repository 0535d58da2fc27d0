from __future__ import annotations

from genspot.report.evidence import reference_rows
from helpers.references import make_reference


def test_reference_rows_count_each_kind() -> None:
    reference = make_reference((60, {}), (45, {"jpeg_quality": 75}))
    rows = reference_rows(reference)
    assert [row[:2] for row in rows] == [
        ("JPEG, quality 60 to 80, 1 to 4 megapixels", "45"),
        ("no traces of JPEG, 1 to 4 megapixels", "60"),
    ]
