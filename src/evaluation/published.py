"""What was published for the detector and the test sets of a run, beside the run's own figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from genspot.common.names import NO_PROTOCOL
from genspot.evaluation.metrics import complete_generators, mean_or_none
from genspot.evaluation.results import (
    FAKES_ONLY,
    REALS_ONLY,
    BaselineFigures,
    PublishedReference,
)


@dataclass(frozen=True)
class Baseline:
    """A row of a published table (conf/baseline/): a detector under one set of conditions.

    Attributes:
        name: of the publication, that of its file.
        title: of the publication, for readers.
        row: of the publication's table.
        source: where the figures stand, in words.
        link: to the publication.
        rerun: whether others than the detector's authors measured them, of released weights or a
            training of their own.
        model: name of the model.
        data: name of the training set, all of whose classes were taken.
        aug: name of the augmentation; None: the source does not say, and any is compared, marked.
        resize: of the test images, as `Geometry.resize`.
        crop: side of their central crop in pixels; None: whole images.
        ap, acc: generator (a file of conf/generator/) → percentage.
        unconfirmed: the generators whose figures were found in one source only.
    """

    name: str
    title: str
    row: str
    source: str
    link: str
    rerun: bool
    model: str
    data: str
    aug: str | None
    resize: int | tuple[int, int] | None
    crop: int | None
    ap: Mapping[str, float]
    acc: Mapping[str, float]
    unconfirmed: frozenset[str]

    def matches(self, trained_on: Mapping[str, Any], crop: int | None) -> bool:
        """Return whether the figures are of such a detector, tested like this.

        Nothing is compared with a detector of classes that were drawn at random, of images that
        a protocol has changed, of settings other than its names say, or of a file that does not
        say how it was augmented.

        Args:
            trained_on: what the checkpoint was trained on (`results.TrainedOn`).
            crop: of the test, as above.
        """
        model = trained_on["model"]
        resize = (model.get("test") or {}).get("resize")
        return (
            (self.model, self.data, self.crop) == (model["name"], trained_on["data"], crop)
            and trained_on["aug"] is not None
            and self.aug in (None, trained_on["aug"])
            and self.resize == (tuple(resize) if isinstance(resize, list) else resize)
            and trained_on.get("num_classes") is None
            and not trained_on.get("changed")
            and trained_on.get("protocol", NO_PROTOCOL) == NO_PROTOCOL
        )

    def figures(self, generator: str | None) -> BaselineFigures | None:
        """Return what was published for a generator, as fractions; None without a figure.

        Args:
            generator: name of a file of conf/generator/; None: no such file.
        """
        if generator is None:
            return None
        percentages = self.ap.get(generator), self.acc.get(generator)
        if percentages == (None, None):
            return None
        ap, acc = (None if value is None else value / 100 for value in percentages)
        return {
            "name": self.name,
            "title": self.title,
            "row": self.row,
            "source": self.source,
            "link": self.link,
            "rerun": self.rerun,
            "aug": self.aug,
            "ap": ap,
            "acc": acc,
            "unconfirmed": generator in self.unconfirmed,
        }


def published_reference(baselines: Iterable[BaselineFigures]) -> PublishedReference | None:
    """Return the figures of the first of `baselines` with an AP that is no re-run, if any."""
    for one in baselines:
        if one["ap"] is not None and not one["rerun"]:
            return {"ap": one["ap"], "acc": one["acc"], "unconfirmed": one["unconfirmed"]}
    return None


def notes_on_changes(
    baselines: Iterable[Baseline], trained_on: Mapping[str, Any], crop: int | None
) -> list[str]:
    """Return why nothing stands beside a detector whose changed training alone sets it apart.

    Args:
        baselines: about models of its name and settings.
        trained_on, crop: see `Baseline.matches`.
    """
    unchanged = {key: value for key, value in trained_on.items() if key != "changed"}
    if not trained_on.get("changed") or not any(one.matches(unchanged, crop) for one in baselines):
        return []
    settings = ", ".join(trained_on["changed"])
    return [f"Nothing published stands beside the figures: the training changed {settings}."]


def annotate(
    metrics: dict[str, Any],
    specs: Mapping[str, Mapping[str, Any]],
    scores: pa.Table,
    unreadable: pa.Table,
    left_out: pa.Table,
    baselines: Sequence[Baseline],
    degradations: Sequence[str] = (),
    protocol: str = NO_PROTOCOL,
) -> None:
    """Add title, published figures and numbers of images to each generator of `metrics`.

    A copy is not compared with a number of images that is unconfirmed.

    Args:
        metrics: the result of `metrics.evaluate`, changed in place.
        specs: generator → its settings (conf/generator/), and `key`: the name of its file, None
            where the images are a set of the user's own.
        scores: the table of scores.
        unreadable: the images that could not be read.
        left_out: files and folders that were left out when the images were listed.
        baselines: those that match the detector and the crop.
        degradations, protocol: of the test images; nothing was published for images that were
            changed, nor for those of one class.
    """
    changed = bool(degradations) or protocol != NO_PROTOCOL
    padded, not_read, not_listed = (
        Counter(table["generator"].cast(pa.string()).to_pylist())
        for table in (scores.filter(scores["padded"]), unreadable, left_out)
    )
    for name, spec in specs.items():
        figures = metrics["generators"][name]
        comparable = not changed and figures["status"] not in (REALS_ONLY, FAKES_ONLY)
        found = [one.figures(spec["key"]) for one in baselines] if comparable else []
        matching = [one for one in found if one is not None]
        figures |= {
            "title": spec["title"],
            "published": published_reference(matching),
            "baselines": matching,
            "expected": None if "images" in (spec.get("unconfirmed") or ()) else spec["images"],
            "padded": padded[name],
            "unreadable": not_read[name] + not_listed[name],
            "left_out": not_listed[name],
        }
    complete = complete_generators(metrics["generators"]).values()
    metrics["mean"] |= mean_figures([*complete])


def mean_figures(complete: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the means of published figures: `published` and `baselines` of `MeanMetrics`.

    Those of a row are over all generators, or left out.

    Args:
        complete: the figures of each generator with both classes, with its `baselines`.
    """
    rows = [
        {(one["name"], one["row"]): one for one in figures["baselines"]} for figures in complete
    ]
    means: list[Any] = []
    for key, first in (rows[0] if rows else {}).items():
        if not all(key in row for row in rows):
            continue
        parts = [row[key] for row in rows]
        ap, acc = (mean_or_none(part[measure] for part in parts) for measure in ("ap", "acc"))
        if (ap, acc) != (None, None):
            unconfirmed = any(part["unconfirmed"] for part in parts)
            means.append({**first, "ap": ap, "acc": acc, "unconfirmed": unconfirmed})
    return {"published": published_reference(means), "baselines": means}
