"""Score photos, by one detector or by several: one photo, or those in folders and lists."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.files import write_json
from genspot.common.run_files import ANSWERS, ANSWERS_PAGE, DELIVERIES, PREDICTIONS
from genspot.common.tables import write_csv
from genspot.common.text import printable
from genspot.evaluation.scaling import Scaling
from genspot.report.answers import is_alarm, make_answers, make_document, print_sentences
from genspot.report.claims import print_claims
from genspot.report.console import print_line, print_path
from genspot.report.deliveries import print_deliveries
from genspot.report.prediction_lines import print_predictions
from genspot.report.predictions import in_order, join_predictions
from genspot.report.priors import prior_notes
from genspot.tasks.claims import add_claims
from genspot.tasks.config import RunSettings
from genspot.tasks.deliveries import refuse_several_processes, score_deliveries
from genspot.tasks.grading import Grader, find_grader, read_photo_traits
from genspot.tasks.photos import Photos, prepare_photos, score_photos
from genspot.tasks.pictures import write_page
from genspot.tasks.prior import find_scalings, with_prior
from genspot.tasks.scoring import check_unreadable

NAMED = 3  # photos in a message


class AlarmError(GenspotError):
    """A photo is an alarm at the false-alarm rate that was asked for; all results are written."""

    exit_code = 3


def predict(cfg: DictConfig) -> None:
    """Write predictions.csv, .json and .html, claims.json and unreadable.csv; print what is found.

    Raises:
        GenspotError: no input, no usable checkpoint, no readable image, a logit that is not
            finite, a setting that does not fit, or more unreadable images than `max_unreadable`;
            in one line.
        AlarmError: `fpr` is given, and a photo is an alarm.
    """
    as_json = cfg.format is not None
    with _standard_output_on_error() if as_json else nullcontext():
        found = _predict(cfg, quiet=cfg.quiet or as_json)
    if found is None:
        return
    document, unreadable, run = found
    if as_json:
        print(json.dumps(document, indent=2, allow_nan=False), flush=True)
    check_unreadable(run, unreadable)
    _refuse_alarms(cfg, document["photos"])


@contextmanager
def _standard_output_on_error() -> Iterator[None]:
    """Send to standard error what the block prints and logs on standard output."""
    outputs = sys.stdout, sys.__stdout__  # the first is that of `prepare_streams`
    with redirect_stdout(sys.stderr):
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in outputs:
                handler.setStream(sys.stderr)
        yield


def _predict(cfg: DictConfig, quiet: bool) -> tuple[dict[str, Any], int, RunSettings] | None:
    """Score photos and write all files; print what is found.

    Args:
        cfg: the configuration.
        quiet: print only where the files are.

    Returns:
        The document of answers, how many photos could not be read, and the run; None on all
        processes but the first.
    """
    several = prepare_photos(cfg)
    run = several[0].run
    graders = [find_grader(photos.detector) for photos in several]
    if cfg.fpr is not None:
        for grader in graders:
            grader.refuse_rate(cfg.fpr)
    if cfg.combine:
        _refuse_one_alone(graders)
    scalings = find_scalings(cfg, [photos.detector for photos in several])
    if cfg.deliveries:
        refuse_several_processes(several[0].scorer.loop)
    found = score_photos(several)
    if found is None:
        return None
    scores, unreadable = found
    tables = _predictions(cfg, graders, scores, scalings)
    predictions, claims = add_claims(join_predictions(tables), cfg.max_megapixels, run.folder)
    predictions = in_order(predictions)
    write_csv(predictions, run.folder / PREDICTIONS)
    delivered = _deliveries(several, graders, tables) if cfg.deliveries else None
    answers = make_answers(predictions, claims, unreadable, delivered, cfg.combine)
    notes = prior_notes(scalings, cfg.prior) if scalings else []
    document = make_document(answers, notes)
    write_json(document, run.folder / ANSWERS)
    detectors = [photos.detector for photos in several]
    write_page(document, detectors, run.folder / ANSWERS_PAGE, cfg.max_megapixels)
    for photos in several:
        photos.scorer.remove_logs()
    if not quiet:
        print_sentences(answers)
    print_claims(claims, run.folder, quiet)
    print_predictions(predictions, unreadable, run.folder, quiet)
    for note in notes if not quiet else ():
        print_line(note)
    if delivered is not None:
        print_deliveries(predictions, delivered, run.folder, quiet)
    print_path("answers", run.folder / ANSWERS)
    print_path("page", run.folder / ANSWERS_PAGE)
    return document, len(set(unreadable["path"].to_pylist())), run


def _refuse_one_alone(graders: list[Grader]) -> None:
    """Raise GenspotError if fewer than two detectors have a reference: nothing can be joined."""
    count = sum(grader.reference is not None for grader in graders)
    if count < 2:
        raise GenspotError(
            "combine=true joins the false-alarm rates of two detectors or more; with a reference "
            f"there are {count} of {len(graders)}: give checkpoint=[A,B] and a reference of each, "
            "task=reference, or leave combine out"
        )


def _predictions(
    cfg: DictConfig, graders: list[Grader], scores: list[pa.Table], scalings: dict[str, Scaling]
) -> list[pa.Table]:
    """Return the predictions of each detector; the traits of a photo are read once for all."""
    graded = [
        table
        for grader, table in zip(graders, scores, strict=True)
        if grader.reference is not None
    ]
    paths = list(dict.fromkeys(path for table in graded for path in table["path"].to_pylist()))
    places = {path: place for place, path in enumerate(paths)}
    traits = read_photo_traits(cfg, pa.table({"path": pa.array(paths, pa.large_string())}))
    tables = []
    for grader, table in zip(graders, scores, strict=True):
        rows = [places[path] for path in table["path"].to_pylist()] if grader.reference else []
        found = grader.predict(table, traits.take(np.array(rows, np.int64)), cfg.fpr)
        if scaling := scalings.get(grader.detector.name):
            found = with_prior(scaling, cfg.prior, found)
        tables.append(in_order(found))
    return tables


def _deliveries(several: list[Photos], graders: list[Grader], tables: list[pa.Table]) -> pa.Table:
    """Score the deliveries of photos by each detector, and write deliveries.csv."""
    found = [
        score_deliveries(photos, table, grader.reference)
        for photos, grader, table in zip(several, graders, tables, strict=True)
        if len(table)
    ]
    delivered = pa.concat_tables(found, promote_options="default")  # not all may have grades
    write_csv(delivered, several[0].run.folder / DELIVERIES)
    return delivered


def _refuse_alarms(cfg: DictConfig, answers: list[dict[str, Any]]) -> None:
    """Raise AlarmError if a photo is an alarm."""
    alarms = [one["photo"] for one in answers if is_alarm(one)]
    if alarms:
        first = ", ".join(printable(path) for path in alarms[:NAMED])
        more = ", …" if len(alarms) > NAMED else ""
        raise AlarmError(
            f"{len(alarms)} of {len(answers)} photos are alarms at fpr={cfg.fpr:g}: "
            f"{first}{more}; {PREDICTIONS} and {ANSWERS} have all"
        )
