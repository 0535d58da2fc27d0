"""The traits of files that may tell real from fake: their features, and what to say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.stats import rankdata

MOST_VALUES = 16  # of a text that are told apart: the most frequent ones
SHOWN_VALUES = 2  # of a class in a sentence

# Column → N values: texts (object), or float64 with NaN where there is none.
Values = Mapping[str, np.ndarray]
Describe = Callable[[Values, np.ndarray], str]  # (values, labels) → a sentence with figures


@dataclass(frozen=True)
class Definition:
    """One trait.

    Attributes:
        name: see `genspot.evaluation.shortcuts.Trait`.
        columns: of the table of probes, or of `derived`, that are its features.
        fix: what to do about it.
        describe: what differs.
        content: whether the trait is of what is shown.
        only: column without a value for images to which the trait does not apply; "": to all.
        missing: what to say where it applies to no image.
    """

    name: str
    columns: tuple[str, ...]
    fix: str
    describe: Describe = lambda values, labels: ""
    content: bool = False
    only: str = ""
    missing: str = ""


def read_values(probes: pa.Table) -> dict[str, np.ndarray]:
    """Return the columns of a table of probes that traits are made of, and those derived."""
    found = {}
    for field in probes.schema:
        column = probes[field.name]
        if pa.types.is_string(field.type):
            found[field.name] = column.fill_null("").to_numpy().astype(object)
        elif not (pa.types.is_fixed_size_binary(field.type) or pa.types.is_uint64(field.type)):
            found[field.name] = column.cast(pa.float64()).to_numpy()
    return found | derived(found)


def present(column: np.ndarray) -> np.ndarray:
    """Return where a column of numbers has a value, N booleans."""
    return ~np.isnan(column)


def derived(values: Values) -> dict[str, np.ndarray]:
    """Return further columns: texts, and ratios that a tree of single columns does not see."""
    width, height = values["width"], values["height"]
    sizes = [f"{round(w)} × {round(h)}" for w, h in zip(width, height, strict=True)]
    formats = zip(values["format"], values["mode"], strict=True)
    return {
        "size": np.array(sizes, object),
        "stored as": np.array([f"{one} ({mode})" for one, mode in formats], object),
        "grid": present(values["grid_x"]).astype(np.float64),
        "aspect": width / height,
        "fine detail": values["laplacian"] - values["gradient"],
        "finest detail": values["high_frequency"] - values["laplacian"],
        "bits per pixel": 8 * values["file_bytes"] / (width * height),
    }


def features(values: Values, columns: tuple[str, ...]) -> np.ndarray:
    """Return the features of N images, N×F: without those that are constant.

    Numbers become ranks in [0, 1], a missing one the lowest; of a text, each frequent value is a
    feature, 0 or 1. No label is used.
    """
    found: list[np.ndarray] = []
    for name in columns:
        column = values[name]
        if column.dtype == object:
            frequent = Counter(column.tolist()).most_common(MOST_VALUES)
            found += [(column == value).astype(np.float64) for value, _ in frequent]
        else:
            ranks = rankdata(np.where(present(column), column, -np.inf))
            found.append(ranks / len(column))
    varied = [feature for feature in found if len(set(feature.tolist())) > 1]
    return np.stack(varied, axis=1) if varied else np.empty((len(values[columns[0]]), 0))


def _shares(column: str, verb: str, empty: str = "nothing") -> Describe:
    """Return a description by the most frequent texts of a column in each class."""

    def describe(values: Values, labels: np.ndarray) -> str:
        parts = []
        for label, name in enumerate(("real images", "fakes")):
            own = values[column][labels == label]
            if not len(own):
                parts.append(f"there are no {name}")
                continue
            common = Counter(own.tolist()).most_common(SHOWN_VALUES)
            (first, count), *others = [(value or empty, count) for value, count in common]
            part = f"{count} of {len(own)} {name} {verb} {first}"
            parts.append(part + "".join(f", {count} {value}" for value, count in others))
        return "; ".join(parts)

    return describe


def _medians(columns: Mapping[str, str], form: str = ".2f") -> Describe:
    """Return a description by the medians of the column that differs most.

    Args:
        columns: name → what it is.
        form: of the numbers.
    """

    def describe(values: Values, labels: np.ndarray) -> str:
        name, real, fake = _most_different(columns, values, labels)
        most = "what differs most is " if len(columns) > 1 else ""
        return most + _compare_medians(columns[name], real, fake, form)

    return describe


def _most_different(
    columns: Mapping[str, str], values: Values, labels: np.ndarray
) -> tuple[str, float, float]:
    """Return the column that differs most by its ranks, and its medians of real and fake."""

    def difference(name: str) -> float:
        ranks = rankdata(values[name])
        return abs(float(ranks[labels == 1].mean() - ranks[labels == 0].mean()))

    name = max(columns, key=difference)
    real, fake = (float(np.nanmedian(values[name][labels == label])) for label in (0, 1))
    return name, real, fake


def _compare_medians(what: str, real: float, fake: float, form: str) -> str:
    return f"{what}: median {real:{form}} of the real images, {fake:{form}} of the fakes"


def _grids(values: Values, labels: np.ndarray) -> str:
    """Return how many images of each class bear a block grid, and the quality in the median."""
    parts = []
    for label, name in enumerate(("real images", "fakes")):
        own = labels == label
        bearing = own & present(values["grid_x"])
        part = f"{bearing.sum()} of {own.sum()} {name} show the blocks of a JPEG compression"
        if bearing.any():
            part += f" (quality {np.median(values['grid_quality'][bearing]):.0f} in the median)"
        parts.append(part)
    return "in the pixels, whatever the file's format: " + "; ".join(parts)


def _sharpnesses(values: Values, labels: np.ndarray) -> str:
    """Return the medians of what differs most, and which class is smoother."""
    name, real, fake = _most_different(_SHARPNESS, values, labels)
    smoother = ", which are smoother" if fake < real else ", which are rougher"
    return (
        f"what differs most is {_compare_medians(_SHARPNESS[name], real, fake, '.2f')}{smoother}"
    )


def _phases(values: Values, labels: np.ndarray) -> str:
    """Return the most frequent phases of the grid in each class."""
    pairs = zip(values["grid_x"], values["grid_y"], strict=True)
    phases = np.array([f"at ({x:.0f}, {y:.0f})" for x, y in pairs], object)
    text = _shares("phase", "have them begin")({"phase": phases}, labels)
    return f"of the images with the 8 × 8 blocks of a JPEG compression, {text}"


_SAME_SIZE = (
    "`task=harmonize` with protocol=fit_N makes all images N × N pixels, or test with "
    "`protocol=fit_N`"
)
_SAME_FILE = "`task=harmonize` writes the images of both classes as the same kind of file"
_SAME_JPEG = (
    "`task=harmonize` or `protocol=` with fit_N+jpeg_75, N below the shortest side of the images: "
    "reducing the images removes the old JPEG blocks, and both classes are compressed alike"
)
_CONTENT = (
    "look at the images: if both classes were processed alike, the generator causes it and it is "
    "no fault; otherwise process them alike, or choose real images of the same subjects"
)
_COLOURS = {
    f"{colour}_{kind}": f"the {word} of {colour}"
    for kind, word in (("mean", "mean"), ("std", "standard deviation"))
    for colour in ("red", "green", "blue")
} | {
    "saturation": "the saturation",
    "chroma": "the strongest colours (distance from grey)",
    "dark_share": "the share of values that are 0",
    "bright_share": "the share of values that are 255",
}
_SHARPNESS = {
    "gradient": "the energy of the gradient (log10, relative to the contrast)",
    "laplacian": "the energy of the Laplacian (log10, relative to the contrast)",
    "high_frequency": "the share of high frequencies (log10)",
    "fine detail": "the energy of the Laplacian (log10, relative to the gradient)",
    "finest detail": "the energy of high frequencies (log10, relative to the Laplacian)",
}


def _compressions(values: Values, labels: np.ndarray) -> str:
    pairs = zip(values["jpeg_quality"], values["jpeg_tables"], strict=True)
    texts = [f"quality {quality:.0f} (tables {tables})" for quality, tables in pairs]
    return "of the JPEG files, " + _shares("of", "are of")({"of": np.array(texts, object)}, labels)


def _subsamplings(values: Values, labels: np.ndarray) -> str:
    described = _shares("subsampling", "have the chroma subsampling")(values, labels)
    return f"of the JPEG files, {described}"


def _metadata(values: Values, labels: np.ndarray) -> str:
    text = _shares("metadata", "have metadata:", "none")(values, labels)
    if any(values["software"]):
        text += "; as software, " + _shares("software", "name", "none")(values, labels)
    return text


DEFINITIONS = (
    Definition("format", ("stored as",), _SAME_FILE, _shares("stored as", "are")),
    Definition("size", ("size", "width", "height"), _SAME_SIZE, _shares("size", "measure")),
    Definition("aspect", ("aspect",), _SAME_SIZE, _medians({"aspect": "width / height"})),
    Definition(
        "file size",
        ("bits per pixel",),
        f"{_SAME_FILE}; what differs then is in the pixels (sharpness, noise)",
        _medians({"bits per pixel": "the file's bits per pixel"}),
        content=True,
    ),
    Definition(
        "compression",
        ("jpeg_quality", "jpeg_tables", "progressive"),
        _SAME_JPEG,
        _compressions,
        only="jpeg_quality",
        missing="no image is a JPEG file",
    ),
    Definition(
        "subsampling",
        ("subsampling",),
        _SAME_JPEG,
        _subsamplings,
        only="jpeg_quality",
        missing="no image is a JPEG file",
    ),
    Definition(
        "metadata",
        ("metadata", "software"),
        "`task=harmonize` writes files without metadata; a detector of pixels does not see them",
        _metadata,
    ),
    Definition("colour", tuple(_COLOURS), _CONTENT, _medians(_COLOURS, ".3g"), content=True),
    Definition("sharpness", tuple(_SHARPNESS), _CONTENT, _sharpnesses, content=True),
    Definition("JPEG history", ("grid", "grid_quality"), _SAME_JPEG, _grids),
    Definition(
        "grid phase",
        ("grid_x", "grid_y"),
        _SAME_JPEG,
        _phases,
        only="grid_x",
        missing="no image shows the blocks of a JPEG compression",
    ),
)
