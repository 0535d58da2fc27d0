"""Tables of scores."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

ScoreRow = tuple[str, str, str, int, float]  # generator, class, file name, label, logit


def make_scores(rows: Iterable[ScoreRow]) -> pa.Table:
    """Return a table of scores without `padded`, of images in the released layout."""
    generators, classes, files, labels, logits = list(zip(*rows, strict=True)) or ((),) * 5
    paths = [
        f"/{generator}/{name}/{('0_real', '1_fake')[label]}/{file}"
        for generator, name, file, label in zip(generators, classes, files, labels, strict=True)
    ]
    return pa.table(
        {
            "path": pa.array(paths, pa.large_string()),
            "generator": pa.array(generators, pa.string()).dictionary_encode(),
            "class": pa.array(classes, pa.string()).dictionary_encode(),
            "label": pa.array(labels, pa.int8()),
            "logit": pa.array(logits, pa.float32()),
        }
    )


def shuffle(table: pa.Table, seed: int = 0) -> pa.Table:
    """Return the rows of `table` in another order."""
    return table.take(np.random.default_rng(seed).permutation(table.num_rows))


@st.composite
def labels_and_logits(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw the labels (both classes) and float32 logits of 2 to 120 images, some with ties."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(2, 120))
    labels = (rng.random(size) < draw(st.sampled_from([0.1, 0.5, 0.8]))).astype(np.int64)
    labels[:2] = 0, 1
    logits = rng.normal(size=size) * draw(st.sampled_from([0.01, 1.0, 20.0, 100.0])) + labels
    if draw(st.booleans()):
        logits = np.round(logits)
    return labels, (logits + draw(st.sampled_from([-5, 0, 5]))).astype(np.float32)
