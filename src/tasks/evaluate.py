"""From a checkpoint to a run's results: scores, figures, report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig

from genspot.common.files import atomic_write, write_json, write_text
from genspot.common.geometry import Geometry
from genspot.common.run_files import METRICS, SCORES
from genspot.common.tables import concat, write_csv, write_parquet
from genspot.data import shortcut_baseline
from genspot.data.datamodule import ImageDataModule
from genspot.data.spectra import write_spectra
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.metadata import Metadata
from genspot.detector.network import DetectorNetwork
from genspot.evaluation import baselines, calibration, metrics, published
from genspot.evaluation.results import CalibrationFit
from genspot.evaluation.scores import unreadable_table, write_validation
from genspot.report.console import print_results
from genspot.report.gallery import contact_sheets
from genspot.report.page import render_report
from genspot.report.runs import Run, training_set_name
from genspot.runtime.provenance import commit, versions
from genspot.tasks.config import RunSettings, TestSettings
from genspot.tasks.paths import CHECKOUT
from genspot.tasks.scoring import collected_scores, prepare_scoring


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
        network: of that model, with any weights.
        datamodule: with the test images, and with validation images to score if it has them.
        validation: scores of validation images, where they are known already.
        unreadable_in_training: tables of unreadable training and validation images.

    Returns:
        The results on rank 0, None on the others.
    """
    detector, trainer, collector = prepare_scoring(
        cfg, run.folder, checkpoint, metadata.model.name, network
    )
    if "val" in datamodule.tables and validation is None:
        loader = datamodule.calibration_dataloader()
        trainer.predict(detector, loader, return_predictions=False)
        validation = collected_scores(datamodule.tables["val"], collector)
    trainer.test(detector, datamodule=datamodule, verbose=False)
    if not trainer.is_global_zero:
        return None
    samples = datamodule.tables["test"]
    scores = collected_scores(samples, collector)
    unreadable = unreadable_table(samples, collector.unreadable)
    if validation is not None:
        write_validation(validation, run.folder, tested.crop)
    write_parquet(scores, run.folder / SCORES)
    not_read = concat([unreadable, *unreadable_in_training])
    write_csv(not_read, run.folder / "unreadable.csv")
    if tested.spectra is not None:
        side = _spectra_side(tested.crop, metadata.model.train)
        write_spectra(samples, run.folder / "spectra", side, tested.spectra, run.seed)
    fit = None if validation is None else calibration.fit(validation)
    results = _figures(tested, metadata, scores, unreadable, fit)
    baseline = None
    if tested.shortcut_baseline and "train" in datamodule.tables:  # it learns from training images
        baseline = _shortcut_scores(datamodule, run.seed)
    baselines.add_shortcut_baseline(results, samples, baseline)
    context = _context(run, tested, checkpoint, metadata)
    context |= {"unreadable_in_training": sum(map(len, unreadable_in_training)), "fit": fit}
    finished = Run(run.folder, context | results, run.config_text, scores)
    write_json(finished.metrics, run.folder / METRICS)
    write_report(finished, context["title"])
    print_results(finished.metrics, run.folder)
    return finished


def write_report(run: Run, title: str) -> None:
    """Write the ranking's pictures and the report on `run` into its folder, the page last."""
    (run.folder / "ranking").mkdir(exist_ok=True)
    for generator, picture in contact_sheets(run).items():
        with atomic_write(run.folder / "ranking" / f"{generator}.png") as partial:
            partial.write_bytes(picture)
    for name, text in render_report([run], title).items():
        write_text(text, run.folder / name)


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
    fit: CalibrationFit | None,
) -> dict[str, Any]:
    """Return the figures of each generator and their means, beside those that were published."""
    names, real_sets = list(tested.specs), _real_sets(tested)
    results = dict(metrics.evaluate(scores, names, tested.bootstrap, real_sets, fit))
    crop, degradations = tested.crop, tested.degradations
    trained_on = metadata.as_dict()
    published.annotate(results, tested.specs, scores, unreadable, trained_on, crop, degradations)
    return results


def _real_sets(tested: TestSettings) -> dict[str, str]:
    """Return generator → the set that its real images come from, where it shares them."""
    return {name: spec["real_set"] for name, spec in tested.specs.items() if spec.get("real_set")}


def _shortcut_scores(datamodule: ImageDataModule, seed: int) -> np.ndarray:
    """Return the scores of the test images by the shortcut baseline."""
    train, test = datamodule.tables["train"], datamodule.tables["test"]
    train = train.take(baselines.shortcut_baseline_rows(train.num_rows, seed))
    features = [
        shortcut_baseline.features(table, f"shortcut baseline, {split} images")
        for table, split in ((train, "training"), (test, "test"))
    ]
    labels = train["label"].to_numpy()
    return baselines.shortcut_baseline_scores(features[0], labels, features[1], seed)


def _context(
    run: RunSettings, tested: TestSettings, checkpoint: Checkpoint, metadata: Metadata
) -> dict[str, Any]:
    """Return what metrics.json says beside the figures; see `genspot.evaluation.results`."""
    trained_on = {key: value for key, value in metadata.as_dict().items() if key != "version"}
    return {
        "title": f"{checkpoint.path.name}, trained on {training_set_name(trained_on)}",
        "checkpoint": str(checkpoint.path),
        "trained_on": trained_on,
        "crop": tested.crop,
        "degradations": tested.degradations,
        "seed": run.seed,
        "bootstrap": {
            "replicates": tested.bootstrap.replicates,
            "confidence": tested.bootstrap.confidence,
        },
        "versions": versions(),
        "commit": CHECKOUT and commit(CHECKOUT),
        "real_sets": _real_sets(tested),
    }
