"""From a tested detector to a run's results: scores.parquet, metrics.json, the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from genspot.evaluation import calibration
from genspot.evaluation import metrics
from genspot import report
from genspot.evaluation.scores import (
    Collected,
    listing,
    score_table,
    unreadable_table,
    write_csv,
    write_json,
    write_parquet,
)


def published(
    spec: dict[str, Any], contract: dict[str, Any], crop: int | None
) -> dict[str, Any] | None:
    """The published figures of one generator for a detector trained under `contract`, if any.

    They are of a ResNet-50: the augmentations were compared on 20 classes, the class counts with
    blur and JPEG at 0.5; on the middle 224 × 224 pixels or on whole images. Nothing is published
    on classes that were drawn.

    Returns:
        {"ap", "acc" (or None), "unconfirmed"}, as fractions.
    """
    data, aug = contract["data"], contract["aug"]
    if contract["model"]["name"] != "resnet50" or crop not in (224, None):
        return None
    if contract.get("subset") is not None:
        return None
    name = aug if data == "progan_20cls" else data if aug == "blur_jpg_0.5" else None
    figures = spec["published"].get(name, {})
    suffix = "_uncropped" if crop is None else ""
    if f"ap{suffix}" not in figures:
        return None
    accuracy = figures.get(f"acc{suffix}")
    return {
        "ap": figures[f"ap{suffix}"] / 100,
        "acc": None if accuracy is None else accuracy / 100,
        "unconfirmed": figures.get("unconfirmed", False),
    }


def trivial_ap(samples: pa.Table, scores: np.ndarray | None, generator: str) -> float | None:
    """AP of the trivial classifier's `scores` on the images of `generator`."""
    if scores is None:
        return None
    mine = np.asarray(samples["generator"].cast(pa.string()).to_pylist(), object) == generator
    labels = samples["label"].to_numpy()[mine].astype(np.int64)
    if len(set(labels)) < 2:
        return None
    return metrics.average_precision(labels, scores[mine])


def complete(
    result: dict[str, Any],
    specs: dict[str, dict[str, Any]],
    scores: pa.Table,
    unreadable: pa.Table,
    contract: dict[str, Any],
    crop: int | None,
) -> None:
    """Put beside each generator's figures what was published, expected, padded and unreadable."""
    padded = Counter(scores.filter(scores["padded"])["generator"].cast(pa.string()).to_pylist())
    broken = Counter(unreadable["generator"].cast(pa.string()).to_pylist())
    for name, spec in specs.items():
        result["generators"][name] |= {
            "title": spec["title"],
            "published": published(spec, contract, crop),
            "expected": spec["images"],
            "padded": padded[name],
            "unreadable": broken[name],
        }
    counted = [one for one in result["generators"].values() if one["status"] == "ok"]
    figures = [one["published"] for one in counted]
    result["mean"]["published"] = _mean_published(figures) if figures and all(figures) else None


def _mean_published(figures: list[dict[str, Any]]) -> dict[str, Any]:
    accuracies = [one["acc"] for one in figures]
    return {
        "ap": float(np.mean([one["ap"] for one in figures])),
        "acc": None if None in accuracies else float(np.mean(accuracies)),
        "unconfirmed": any(one["unconfirmed"] for one in figures),
    }


def publish(
    folder: Path,
    samples: pa.Table,
    collected: Collected,
    generators: dict[str, dict[str, Any]],
    about: dict[str, Any],
    validation: pa.Table | None = None,
    refused: Sequence[pa.Table] = (),
    trivial: np.ndarray | None = None,
) -> dict[str, Any]:
    """Write all results of a test into `folder`, print the table, and return the metrics.

    Args:
        folder: the run's, with its config.yaml.
        samples: the table that was tested.
        collected: what the test loop saw of it.
        generators: files of conf/generator/ by their keys.
        about: title, checkpoint, trained_on (the contract), crop, degrade, seed, bootstrap,
            versions and commit.
        validation: scores of validation images, on which threshold and temperature are fitted.
        refused: tables of what could not be read in training and validation.
        trivial: scores of the trivial classifier for the rows of `samples`.
    """
    scores = score_table(samples, collected)
    unreadable = unreadable_table(samples, collected)
    write_parquet(scores, folder / "scores.parquet")
    write_csv(listing([unreadable, *refused]), folder / "unreadable.csv")
    specs = {spec.get("name", key): spec for key, spec in generators.items()}
    fitted = None if validation is None else calibration.fit(validation)
    real_sets = {name: spec["real_set"] for name, spec in specs.items() if spec.get("real_set")}
    result = metrics.evaluate(
        scores,
        list(specs),
        **about["bootstrap"],
        seed=about["seed"],
        real_sets=real_sets,
        fit=fitted,
    )
    complete(result, specs, scores, unreadable, about["trained_on"], about["crop"])
    if about["degrade"]:  # nothing was published on degraded images
        for one in (*result["generators"].values(), result["mean"]):
            one["published"] = None
    for name, one in result["generators"].items():
        one["trivial_ap"] = trivial_ap(samples, trivial, name)
    known = [one["trivial_ap"] for one in result["generators"].values() if one["status"] == "ok"]
    result["mean"]["trivial_ap"] = None if None in known or not known else float(np.mean(known))
    about = about | {
        "unreadable_in_training": sum(len(one) for one in refused),
        "fit": None if fitted is None else asdict(fitted),
        "real_sets": real_sets,
    }
    result = about | result
    write_json(result, folder / "metrics.json")
    report.write_sheets(folder)
    report.write([folder], folder, about["title"])
    report.show(result, folder)
    return result
