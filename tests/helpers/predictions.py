"""Scores and predictions of photos, made up."""

from __future__ import annotations

import pyarrow as pa

from genspot.report.predictions import Facts

SCORES = pa.table(
    {
        "path": ["[a].png", "[b].png", "[c].png"],
        "logit": pa.array([-30.0, 2.5, 0.5], pa.float32()),
        "padded": [False, True, False],
    }
)
GRADED = pa.table(
    {
        "path": ["a.png", "b.png"],
        "logit": pa.array([-3.0, 2.5], pa.float32()),
        "padded": [True, False],
        "grade": ["cannot say", "moderate evidence"],
        "p_value": pa.array([None, 0.0125]),
        "references": [0, 159],
        "compared_with": ["", "JPEG, quality 60 to 80"],
        "reason": ["it is too small", ""],
        "threshold": pa.array([None, 3.25]),
    }
)
FACTS = Facts(detector="own", checkpoint="ab12", crop=224, protocol="none", version="1.2.3")
