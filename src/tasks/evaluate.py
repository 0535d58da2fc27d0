"""From a checkpoint to a run's results: scores, figures, report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.files import atomic_write, write_json, write_text
from genspot.common.geometry import Geometry
from genspot.common.run_files import METRICS, SCORES, UNREADABLE
from genspot.common.tables import concat, write_csv, write_parquet
from genspot.common.text import printable
from genspot.data import shortcut_baseline
from genspot.data.datamodule import ImageDataModule
from genspot.data.settings import TRAINING_SPLITS
from genspot.data.spectra import write_spectra
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.cost import measure_cost
from genspot.detector.dry_run import image_size
from genspot.detector.metadata import Metadata
from genspot.detector.network import DetectorNetwork, fuse_batchnorm
from genspot.detector.validation_figures import read_validation_figures
from genspot.evaluation import baselines, calibration, metrics, published
from genspot.evaluation.calibration_results import CalibrationFit
from genspot.evaluation.left_out import left_out_calibration
from genspot.evaluation.means import means_apart
from genspot.evaluation.scores import write_validation
from genspot.report.console import print_results
from genspot.report.gallery import contact_sheets
from genspot.report.page import render_report
from genspot.report.runs import Run
from genspot.runtime.content import describe_file
from genspot.runtime.provenance import commit, versions
from genspot.tasks.config import RunSettings, TestSettings
from genspot.tasks.error_messages import NO_SPACE
from genspot.tasks.lightning_scoring import LightningLoop
from genspot.tasks.paths import CHECKOUT
from genspot.tasks.scoring import (
    Scorer,
    finite,
    refuse_not_finite,
)


def evaluate_checkpoint(
    cfg: DictConfig,
    run: RunSettings,
    tested: TestSettings,
    checkpoint: Checkpoint,
    metadata: Metadata,
    network: DetectorNetwork,
    datamodule: ImageDataModule,
    validation: pa.Table | None = None,
    unreadable_in_training: Sequence[pa.Table] = (),
) -> Run | None:
    """Score every test image, write all results into the run's folder, and print the table.

    Args:
        cfg: with the trainer's settings; the precision is float32.
        run: the run's folder and seed.
        tested: what is tested and reported.
        checkpoint: with the weights.
        metadata: what it is tested as.
        network: of that model, with the weights of the checkpoint.
        datamodule: with the test images, and with validation images to score if it has them.
        validation: scores of validation images, where they are known already.
        unreadable_in_training: tables of unreadable training and validation images.

    Returns:
        The results on rank 0, None on the others.

    Raises:
        GenspotError: no image could be scored; some logits are not finite, and the others are
            written; or the report fails, and the figures are written.
    """
    loop = LightningLoop(cfg, run, fuse_batchnorm(network), datamodule)
    scorer = Scorer(cfg, run, checkpoint.as_file(), metadata.model, loop, datamodule)
    skipped = datamodule.skipped
    not_read = [*unreadable_in_training]
    not_read += [skipped[split] for split in TRAINING_SPLITS if split in skipped]
    fault = None
    if "val" in datamodule.tables and validation is None:
        fault = datamodule.protocol_fault("val")
    if "val" in datamodule.tables and validation is None and not fault:
        validation, unreadable = scorer.score("val")
        if not unreadable_in_training:  # a training has met them already
            not_read.append(unreadable)
    scores, unreadable = scorer.score("test")
    if not scorer.is_first:
        return None
    samples = datamodule.tables["test"]
    left_out = skipped["test"]
    write_csv(concat([unreadable, left_out, *not_read]), run.folder / UNREADABLE)
    scores, validation = _write_finite(scores, validation, run.folder, tested.crop)
    scorer.refuse_nothing_readable(scores, concat([unreadable, left_out]))
    if tested.spectra is not None:
        side = _spectra_side(tested.crop, metadata.model.train)
        limit = datamodule.loading.max_megapixels
        write_spectra(samples, run.folder / "spectra", side, tested.spectra, run.seed, limit)
    fit = None if validation is None else calibration.fit(validation)
    divided = [one.name for one in datamodule.test_sets if one.divided]
    results = _figures(tested, metadata, scores, unreadable, left_out, fit, divided)
    baseline = None
    if tested.shortcut_baseline and "train" in datamodule.tables:  # it learns from training images
        baseline = _shortcut_scores(datamodule, run.seed)
    baselines.add_shortcut_baseline(results, samples, baseline)
    context = _context(run, tested, checkpoint, metadata)
    complete = metrics.complete_generators(results["generators"])
    digest = describe_file(checkpoint.path)["sha256"]
    context["calibration"] = left_out_calibration(scores, complete, digest, context["real_sets"])
    context |= {"unreadable_in_training": sum(map(len, not_read)), "fit": fit}
    size = image_size(datamodule.test_geometry, datamodule.train_geometry)
    context["network"] = measure_cost(network, *size, loop.trainer.strategy.root_device)
    context["training_images"] = _training_images(datamodule)
    if "train" in datamodule.tables:
        context["validation"] = read_validation_figures(checkpoint.path)
    context["notes"] = [
        *datamodule.notes(),
        *published.notes_on_changes(tested.baselines, context["trained_on"], tested.crop),
    ]
    if fault:
        context["notes"].append(
            "There is no threshold and no temperature: the validation images, on which they are "
            f"fitted, cannot be used ({fault})."
        )
    finished = Run(run.folder, context | results, run.config_text, scores)
    _add_title_and_means(finished)
    write_json(finished.metrics, run.folder / METRICS)
    try:
        write_report(finished, finished.metrics["title"])
        scorer.remove_logs()  # until now, a stopped run goes on without scoring again
    finally:  # the figures are there in any case
        print_results(finished.metrics, run.folder, run.quiet)
    return finished


def _write_finite(
    scores: pa.Table, validation: pa.Table | None, folder: Path, crop: int | None
) -> tuple[pa.Table, pa.Table | None]:
    """Write the finite scores into `folder` and return them.

    Raises:
        GenspotError: there are others.
    """
    total = len(scores) + len(validation or ())
    scores, not_finite = finite(scores)
    others = [not_finite]
    if validation is not None:
        validation, not_finite = finite(validation)
        others.append(not_finite)
        write_validation(validation, folder, crop)
    write_parquet(scores, folder / SCORES)
    refuse_not_finite(others, total, folder)
    return scores, validation


def write_report(run: Run, title: str) -> None:
    """Write the ranking's pictures and the report on `run` into its folder, the page last.

    Raises:
        GenspotError: something in the report fails; the figures are written already.
    """
    try:
        (run.folder / "ranking").mkdir(exist_ok=True)
        for generator, picture in contact_sheets(run).items():
            with atomic_write(run.folder / "ranking" / f"{generator}.png") as partial:
                partial.write_bytes(picture)
        for name, text in render_report([run], title).items():
            write_text(text, run.folder / name)
    except Exception as error:  # names, paths and pictures come from anywhere
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise  # which has a line of its own
        reason = printable(f"{type(error).__name__}: {error}")
        raise GenspotError(
            f"the report could not be written ({reason}); the figures are in "
            f"{run.folder / METRICS}, the scores in {run.folder / SCORES}"
        ) from error


def _spectra_side(crop: int | None, training: Geometry) -> int:
    """Return the side of the test crop; for whole images, of the images of the training."""
    if crop or training.crop:
        return crop or training.crop or 0
    return min(training.resize) if isinstance(training.resize, tuple) else 0


def _figures(
    tested: TestSettings,
    metadata: Metadata,
    scores: pa.Table,
    unreadable: pa.Table,
    left_out: pa.Table,
    fit: CalibrationFit | None,
    divided: Sequence[str],
) -> dict[str, Any]:
    """Return the figures of each generator and their means, beside those that were published.

    Of `divided` sets, a part is tested: nothing says how many images it should have.
    """
    names, confidence = list(tested.specs), tested.confidence
    real_sets, clusters = _spec_values(tested, "real_set"), _spec_values(tested, "clusters")
    results = dict(metrics.evaluate(scores, names, confidence, real_sets, fit, clusters))
    trained_on = metadata.as_dict()
    specs = tested.specs | {name: tested.specs[name] | {"images": None} for name in divided}
    matching = [one for one in tested.baselines if one.matches(trained_on, tested.crop)]
    changes = tested.degradations, tested.protocol
    published.annotate(results, specs, scores, unreadable, left_out, matching, *changes)
    return results


def _add_title_and_means(run: Run) -> None:
    """Add the title, and the means over generators seen in training and over others."""
    metrics = run.metrics
    metrics["title"] = f"{run.checkpoint.name}, trained on {run.choices['data']}"
    seen = {name: run.has_seen(name) for name in metrics["generators"]}
    drawn = metrics["confidence"], run.real_sets, run.clusters
    metrics["means"] = means_apart(metrics, run.scores, seen, *drawn)


def _spec_values(tested: TestSettings, key: str) -> dict[str, str]:
    """Return generator → value of `key` of its file, where it has one."""
    return {name: spec[key] for name, spec in tested.specs.items() if spec.get(key)}


def _shortcut_scores(datamodule: ImageDataModule, seed: int) -> np.ndarray | None:
    """Return the scores of the test images by the shortcut baseline."""
    train, test = datamodule.tables["train"], datamodule.tables["test"]
    train = train.take(baselines.shortcut_baseline_rows(train.num_rows, seed))
    limit = datamodule.loading.max_megapixels
    features = [
        shortcut_baseline.features(table, f"shortcut baseline, {split} images", limit)
        for table, split in ((train, "training"), (test, "test"))
    ]
    labels = train["label"].to_numpy()
    return baselines.shortcut_baseline_scores(features[0], labels, features[1], seed)


def _training_images(datamodule: ImageDataModule) -> dict[str, int] | None:
    """Return the number of real and of fake training images; None if nothing was trained here."""
    if "train" not in datamodule.tables:
        return None
    labels = datamodule.tables["train"]["label"].to_numpy()
    return {"real": int((labels == 0).sum()), "fake": int((labels == 1).sum())}


def _context(
    run: RunSettings, tested: TestSettings, checkpoint: Checkpoint, metadata: Metadata
) -> dict[str, Any]:
    """Return what metrics.json says beside the figures; see `genspot.evaluation.results`."""
    trained_on = {key: value for key, value in metadata.as_dict().items() if key != "version"}
    return {
        "checkpoint": str(checkpoint.path),
        "trained_on": trained_on,
        "crop": tested.crop,
        "degradations": tested.degradations,
        "protocol": tested.protocol,
        "seed": run.seed,
        "confidence": tested.confidence,
        "versions": versions(),
        "commit": CHECKOUT and commit(CHECKOUT),
        "real_sets": _spec_values(tested, "real_set"),
        "clusters": _spec_values(tested, "clusters"),
    }
