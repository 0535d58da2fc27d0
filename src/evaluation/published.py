"""What was published for the detector and the test sets of a run, beside the run's own figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from genspot.common.names import NO_PROTOCOL
from genspot.evaluation.metrics import complete_generators, mean_or_none
from genspot.evaluation.results import FAKES_ONLY, REALS_ONLY, PublishedReference


def published_reference(
    spec: Mapping[str, Any], trained_on: Mapping[str, Any], crop: int | None
) -> PublishedReference | None:
    """Return the published figures of one generator for a detector of this training, if any.

    All are of a ResNet-50. The augmentations were compared on 20 classes, and the numbers of
    classes with blur and JPEG at 0.5, both on the central 224 × 224 pixels or on whole images.
    Nothing was published for classes drawn at random.

    Args:
        spec: settings of the generator (conf/generator/), with its `published` percentages.
        trained_on: what the checkpoint was trained on (`results.TrainedOn`).
        crop: side in pixels of the central crop; None: whole images.
    """
    data, aug = trained_on["data"], trained_on["aug"]
    key = aug if data == "progan_20cls" else data if aug == "blur_jpg_0.5" else None
    figures = spec["published"].get(key, {})
    suffix = "_uncropped" if crop is None else ""
    resnet50 = trained_on["model"]["name"] == "resnet50" and crop in (224, None)
    resnet50 &= trained_on.get("protocol", NO_PROTOCOL) == NO_PROTOCOL
    if not resnet50 or trained_on.get("num_classes") is not None or f"ap{suffix}" not in figures:
        return None
    accuracy = figures.get(f"acc{suffix}")
    return {
        "ap": figures[f"ap{suffix}"] / 100,
        "acc": None if accuracy is None else accuracy / 100,
        "unconfirmed": figures.get("unconfirmed", False),
    }


def annotate(
    metrics: dict[str, Any],
    specs: Mapping[str, Mapping[str, Any]],
    scores: pa.Table,
    unreadable: pa.Table,
    left_out: pa.Table,
    trained_on: Mapping[str, Any],
    crop: int | None,
    degradations: Sequence[str] = (),
    protocol: str = NO_PROTOCOL,
) -> None:
    """Add title, published figures and numbers of images to each generator of `metrics`.

    A copy is not compared with a number of images that is unconfirmed.

    Args:
        metrics: the result of `metrics.evaluate`, changed in place.
        specs: generator → its settings (conf/generator/).
        scores: the table of scores.
        unreadable: the images that could not be read.
        left_out: files and folders that were left out when the images were listed.
        trained_on, crop: see `published_reference`.
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
        figures |= {
            "title": spec["title"],
            "published": published_reference(spec, trained_on, crop) if comparable else None,
            "expected": None if "images" in (spec.get("unconfirmed") or ()) else spec["images"],
            "padded": padded[name],
            "unreadable": not_read[name] + not_listed[name],
            "left_out": not_listed[name],
        }
    complete = complete_generators(metrics["generators"]).values()
    metrics["mean"]["published"] = mean_reference(complete)


def mean_reference(complete: Iterable[Mapping[str, Any]]) -> PublishedReference | None:
    """Return the mean of the published figures of generators; None unless all have some."""
    references = [figures["published"] for figures in complete]
    if not references or None in references:
        return None
    ap = mean_or_none(reference["ap"] for reference in references)
    assert ap is not None, "published without an AP"
    return {
        "ap": ap,
        "acc": mean_or_none(reference["acc"] for reference in references),
        "unconfirmed": any(reference["unconfirmed"] for reference in references),
    }
