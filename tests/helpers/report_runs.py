"""Finished runs made by hand, with names that HTML, Markdown, LaTeX and CSV must escape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.metrics import average_precision_score

from genspot.evaluation.shares import add_shares
from genspot.report.runs import Run
from genspot.report.tables import EXPORTED_MEASURES
from helpers.images import save_image

# Names that begin with "only_" have images of one class.
GENERATORS = ("sim_nearest", "a<b&c", "größe_$5%", "|pipe|*x*", "empty", "only_fakes")
COMPLETE = GENERATORS[:4]  # with images of both classes
SCRIPT = "</pre><script>alert(1)</script>"


def make_run(
    folder: Path,
    score_seed: int = 0,
    shift: float = 0.0,
    generators: tuple[str, ...] = GENERATORS,
    images: Path | None = None,
    **metrics: Any,
) -> Run:
    """Return a run whose scores follow from `score_seed`; the logits of fakes are `shift` lower.

    Nothing but the images is written. They lie in `images`, which runs may share; one is missing.

    Args:
        metrics: entries of metrics.json that replace the defaults; "trained_on" is merged.
    """
    images = images or folder.parent / "images"
    rng, rows = np.random.default_rng(score_seed), []
    for number, generator in enumerate(generators):
        count = 0 if generator == "empty" else 30
        for label in {"only_fakes": (1,), "only_reals": (0,)}.get(generator, (0, 1)):
            for index in range(count):
                path = images / f"g{number}" / ("0_real", "1_fake")[label] / f"{index:03}_<&>.png"
                logit = rng.normal(label * (4 - number - shift) - 2, 1.5)
                rows.append((str(path), generator, "", label, logit, False))
                if not path.exists() and (number, label, index) != (0, 0, 3):
                    save_image(path, number * 1000 + label * 100 + index, False, (12, 20))
    names = ("path", "generator", "class", "label", "logit", "padded")
    types = (pa.string(), pa.string(), pa.string(), pa.int8(), pa.float32(), pa.bool_())
    schema = pa.schema(list(zip(names, types, strict=True)))
    scores = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema)
    trained_on = {"data": "simulated", "num_classes": None, "aug": "none", "study": None}
    trained_on |= {"seed": 0, "model": {"name": "resnet18", "train": {"crop": 32}}}
    trained_on |= metrics.pop("trained_on", {})
    defaults = {
        "title": "best.ckpt",
        "checkpoint": f"{folder}/best.ckpt",
        "crop": 32,
        "degradations": [],
        "seed": 1,
        "confidence": 0.95,
        "unreadable_in_training": 0,
        **_figures(scores, generators, rng),
    }
    config = f"name: {SCRIPT}\nseed: 1\n"
    return Run(folder, {**defaults, **metrics, "trained_on": trained_on}, config, scores)


def _figures(
    scores: pa.Table, generators: tuple[str, ...], rng: np.random.Generator
) -> dict[str, Any]:
    """Return random figures, but the true AP: the report must show them and compute nothing."""
    results: dict[str, Any] = {}
    for name in generators:
        part = scores.filter(pa.compute.equal(scores["generator"], name))
        labels, logits = part["label"].to_numpy(), part["logit"].to_numpy()
        counts = {"images": len(part), "real": int(sum(labels == 0)), "fake": int(sum(labels))}
        figures: dict[str, Any] = {key: float(rng.uniform(0.3, 1)) for key in EXPORTED_MEASURES}
        if counts["real"] and counts["fake"]:
            ap = float(average_precision_score(labels, logits))
            figures |= {"status": "ok", "ap": ap, "ap_interval": [ap - 0.05, min(1.0, ap + 0.04)]}
        else:
            figures = dict.fromkeys([*EXPORTED_MEASURES, "ap_interval"])
            figures["status"] = (
                f"{'fakes' if counts['fake'] else 'reals'} only" if len(part) else "empty"
            )
        figures |= {"published": None, "baselines": []}
        figures |= {"expected": None, "padded": 0, "unreadable": 0}
        results[name] = figures | counts
    add_shares(results, scores, 0.95, None, {})
    results[generators[0]]["published"] = {"ap": 0.9, "acc": None, "unconfirmed": True}
    complete = [figures for figures in results.values() if figures["status"] == "ok"]
    mean: dict[str, Any] = dict.fromkeys([*EXPORTED_MEASURES, "ap_interval", "published"])
    if complete:
        mean |= {key: float(np.mean([one[key] for one in complete])) for key in EXPORTED_MEASURES}
        mean["ap_interval"] = [mean["ap"] - 0.02, mean["ap"] + 0.02]
    mean |= {"generators": len(complete), "images": sum(one["images"] for one in complete)}
    return {"generators": results, "mean": mean}


def with_photographs(run: Run, count: int = 10) -> Run:
    """Return `run` with classes that are photographs, and intervals over `count` of them."""
    names = [f"photo{int(Path(path).name[:3]) % count}" for path in run.scores["path"].to_pylist()]
    place = run.scores.column_names.index("class")
    scores = run.scores.set_column(place, "class", pa.array(names, pa.string()))
    figures = run.metrics["generators"]
    clusters = dict.fromkeys(figures, "class")
    counted = {
        name: one | {"clusters": count if one["images"] else None} for name, one in figures.items()
    }
    return replace(
        run, scores=scores, metrics=run.metrics | {"clusters": clusters, "generators": counted}
    )


def make_training(folder: Path, seed: int, score_seed: int | None = None, **about: Any) -> Run:
    """Return a run with the training seed `seed`; its score seed is the same by default."""
    about["trained_on"] = {**about.get("trained_on", {}), "seed": seed}
    return make_run(folder, seed if score_seed is None else score_seed, seed=seed, **about)


def percent(value: float | None) -> str:
    """Return `value` as the report shows it."""
    return "–" if value is None else f"{value * 100:.1f}"
