"""One real and one fake image of each generator, chosen by rank and not by eye."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from genspot.evaluation.calibration import probabilities
from genspot.report.gallery import data_uri, read_image, small_jpeg
from genspot.report.grades import chance, grade, ordered_generators
from genspot.report.runs import GeneratorScores, Run
from genspot.report.sections.spectra import KINDS, spectra

DETAIL = 64  # pixels a side, of the centre of the image that is enlarged
SAME_SCENE = 0.9  # correlation of two images reduced to 16 × 16 grey pixels, from which on


class Views(NamedTuple):
    """An image on a page."""

    whole: str | None  # reduced, as a data: URI; None: `note` says why
    detail: str | None  # its central `DETAIL` × `DETAIL` pixels as a data: URI
    size: tuple[int, int]  # width and height in pixels; (0, 0) without the file
    note: str

    @property
    def frame(self) -> tuple[float, float]:
        """Width and height of the detail in percent of the image."""
        width, height = self.size
        return 100 * min(DETAIL, width) / width, 100 * min(DETAIL, height) / height


def load_views(path: str) -> Views:
    """Return the image at `path`, or why it cannot be shown."""
    image, note = read_image(Path(path))
    if image is None:
        return Views(None, None, (0, 0), note)
    whole, detail = data_uri(small_jpeg(image), "jpeg"), data_uri(_detail(image), "png")
    return Views(whole, detail, image.size, note)


@dataclass(frozen=True)
class Example:
    """One image of a generator."""

    kind: str  # "real" or "fake"
    choice: str  # why this image is shown
    logit: float
    probability: float
    path: str
    views: Views


@dataclass(frozen=True)
class Panel:
    """What is shown of one generator."""

    generator: str
    seen: bool | None  # whether the detector was trained on fakes of this generator; None: unknown
    grade: str | None
    chance: float
    same_scene: bool  # whether both images show one scene
    examples: list[Example]  # a real and a fake one, or one of these
    spectra: dict[str, str]  # kind → its mean spectrum as a data: URI


def make_panels(run: Run) -> list[Panel]:
    """Return a panel for each of `ordered_generators`."""
    pictures: dict[str, dict[str, str]] = {}
    for generator, kind, uri in spectra(run):
        pictures.setdefault(generator, {})[kind] = uri
    return [_panel(run, name, pictures.get(name, {})) for name in ordered_generators(run)]


def _panel(run: Run, generator: str, pictures: dict[str, str]) -> Panel:
    scores, figures = run.images[generator], run.metrics["generators"][generator]
    rows = [_median_row(scores, label) for label in (0, 1)]
    choices = [f"the median of {np.sum(scores.labels == label)}" for label in (0, 1)]
    partner = None if rows[1] is None else _real_partner(scores, rows[1])
    if same_scene := partner is not None:
        rows[0], choices[0] = partner, "of the same scene"
    return Panel(
        generator,
        run.has_seen(generator),
        grade(figures),
        chance(figures),
        same_scene,
        [
            _example(scores, row, kind, choice)
            for row, kind, choice in zip(rows, KINDS, choices, strict=True)
            if row is not None
        ],
        pictures,
    )


def _median_row(scores: GeneratorScores, label: int) -> int | None:
    """Return the row of the image with the median logit of its kind; of two, the lower one."""
    rows = np.flatnonzero(scores.labels == label)
    order = sorted(rows, key=lambda row: (scores.logits[row], scores.paths[row]))
    return int(order[(len(order) - 1) // 2]) if order else None


def _real_partner(scores: GeneratorScores, fake: int) -> int | None:
    """Return the row of the real image of the same class and file name, if it shows one scene."""
    parts = Path(scores.paths[fake]).parts
    places = [number for number, part in enumerate(parts) if part == "1_fake"]
    if not places:
        return None
    path = Path(*parts[: places[-1]], "0_real", *parts[places[-1] + 1 :])
    wanted = {str(path), path.as_posix()}
    found = [row for row, one in enumerate(scores.paths) if one in wanted]
    if not found:
        return None
    images = [read_image(Path(scores.paths[row]), small=True)[0] for row in (found[0], fake)]
    return found[0] if _correlation(*images) >= SAME_SCENE else None


def _correlation(first: Image.Image | None, second: Image.Image | None) -> float:
    """Return the correlation of two images reduced to 16 × 16 grey pixels; 0 without one."""
    if first is None or second is None:
        return 0.0
    small = [
        np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX), float).ravel()
        for image in (first, second)
    ]
    if min(np.ptp(one) for one in small) == 0:
        return 0.0
    return float(np.corrcoef(np.stack(small))[0, 1])


def _example(scores: GeneratorScores, row: int, kind: str, choice: str) -> Example:
    path, logit = scores.paths[row], float(scores.logits[row])
    return Example(
        kind=kind,
        choice=choice,
        logit=logit,
        probability=float(probabilities(np.array([logit]))[0]),
        path=path,
        views=load_views(path),
    )


def _detail(image: Image.Image) -> bytes:
    """Return the central `DETAIL` × `DETAIL` pixels, or fewer of a smaller image, as a PNG."""
    width, height = (min(DETAIL, side) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    content = io.BytesIO()
    image.crop((left, top, left + width, top + height)).save(content, "PNG", optimize=True)
    return content.getvalue()
