"""The protocol that makes real and fake images alike: chosen from the headers of their files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from torch.utils.data import Dataset

from genspot.common.errors import GenspotError
from genspot.data import image_io
from genspot.data.audit.header import jpeg_quality
from genspot.data.encoded import find_content
from genspot.data.loaders import read_in_order
from genspot.data.settings import Loading

LOW = 0.01  # share of the images of a kind that may be smaller, or of a lower JPEG quality
DEFAULT_QUALITY = 75  # of PIL, and of the images that Wang et al. released as JPEG
MAX_SIDE = 10_000  # pixels, see `genspot.augment.fit`
BATCH = 64
KINDS = ("real", "fake")


class Choice(NamedTuple):
    """A protocol and why it is this one."""

    protocol: str
    reasons: list[str]  # a sentence each


class HeaderDataset(Dataset[Any]):
    """The shorter side in pixels and the JPEG quality of the images of a table; indexed by row.

    An item is (row, side, quality); the quality is 0 where the file is no JPEG, and the side is 0
    where its header cannot be read.
    """

    def __init__(self, table: pa.Table, max_megapixels: int) -> None:
        self.paths, self.max_megapixels = table["path"], max_megapixels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[int, int, int]:
        path = self.paths[row].as_py()
        try:
            content = find_content(path, self.max_megapixels)
            with image_io.open_content(path, content, self.max_megapixels) as file:
                tables = getattr(file, "quantization", None)
                return row, min(file.size), jpeg_quality(tables) if tables else 0
        except Exception:  # reported when the image is copied
            return row, 0, 0


def choose_protocol(sets: Mapping[str, pa.Table], loading: Loading) -> Choice:
    """Return the protocol that suits all images of all sets, real and fake.

    `fit_N`: N is the smallest side below which no more than `LOW` of the images of a kind (the
    reals or fakes of a set) lie. `jpeg_Q`: Q is the lowest JPEG quality, found in the same way
    among the JPEG files of each kind; `DEFAULT_QUALITY` without any.

    Args:
        sets: name → table of samples.
        loading: number of reading processes, and limit of the images.

    Raises:
        GenspotError: no image can be read.
    """
    sides: dict[str, int] = {}
    qualities: dict[str, int] = {}
    measured = {name: _measure(name, table, loading) for name, table in sets.items()}
    for name, table in sets.items():
        labels = table["label"].to_numpy()
        for label, kind in enumerate(KINDS):
            own = measured[name][labels == label]
            for found, values in ((sides, own[:, 0]), (qualities, own[:, 1])):
                if (values := values[values > 0]).size:
                    lowest = np.quantile(values, LOW, method="lower")
                    found[f"the {kind} images of {name}"] = int(lowest)
    if not sides:
        raise GenspotError("no image of these sets can be read: there is nothing to harmonize")
    smallest = min(sides, key=lambda kind: sides[kind])
    side = min(sides[smallest], MAX_SIDE)
    every = np.concatenate(list(measured.values()))[:, 0]
    fewer = int(((every > 0) & (every < side)).sum())
    reasons = [
        f"fit_{side}: no more than {LOW:.0%} of {smallest} have a shorter side; "
        f"{fewer} of {len(every)} images do, and are left out"
    ]
    if larger := int((every > side).sum()):
        reasons[0] += (
            f"; {larger} are larger and are reduced, which changes their sharpness: a smaller N, "
            f"such as protocol=fit_{side * 3 // 4}+jpeg_Q, reduces all"
        )
    if qualities:
        worst = min(qualities, key=lambda kind: qualities[kind])
        quality = qualities[worst]
        reasons.append(f"jpeg_{quality}: the JPEG quality of {worst}, the lowest of all")
    else:
        quality = DEFAULT_QUALITY
        reasons.append(
            f"jpeg_{quality}: no file is a JPEG, but its pixels may have been one; this quality "
            "is usual, and a lower one hides more"
        )
    return Choice(f"fit_{side}+jpeg_{quality}", reasons)


def _measure(name: str, table: pa.Table, loading: Loading) -> np.ndarray:
    """Return side and quality of each image of `table`, int64, N×2; see `HeaderDataset`."""
    found = np.zeros((len(table), 2), np.int64)
    dataset = HeaderDataset(table, loading.max_megapixels)
    title = f"headers of {name}"
    for batch in read_in_order(dataset, loading.workers, title, BATCH, delay=1):
        for row, *values in batch["items"]:
            found[row] = values
    return found
