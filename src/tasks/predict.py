"""Score photos: one, or those in folders, lists and containers."""

from __future__ import annotations

from omegaconf import DictConfig

from genspot.common.run_files import PREDICTIONS
from genspot.common.tables import write_csv
from genspot.report.claims import print_claims
from genspot.report.deliveries import print_deliveries
from genspot.report.predictions import prediction_table, print_predictions
from genspot.tasks.claims import add_claims
from genspot.tasks.deliveries import refuse_several_processes, score_deliveries
from genspot.tasks.grading import find_reference, with_grades
from genspot.tasks.photos import prepare_photos
from genspot.tasks.scoring import check_unreadable


def predict(cfg: DictConfig) -> None:
    """Write predictions.csv, claims.json and unreadable.csv, and print predictions and claims.

    The highest logit comes first.

    Raises:
        GenspotError: no input, no usable checkpoint, no readable image, a logit that is not
            finite, or more unreadable images than `max_unreadable`; in one line.
    """
    photos = prepare_photos(cfg)
    cfg, run = photos.cfg, photos.run
    reference = find_reference(cfg, photos.checkpoint, photos.model)
    if cfg.deliveries:
        refuse_several_processes(photos.scorer.loop)
    found = photos.score()
    if found is None:
        return
    scores, unreadable = found
    if reference:
        scores = with_grades(cfg, reference, scores)
    predictions = prediction_table(scores)
    predictions, claims = add_claims(predictions, cfg.max_megapixels, run.folder)
    write_csv(predictions, run.folder / PREDICTIONS)
    delivered = score_deliveries(photos, predictions) if cfg.deliveries else None
    photos.scorer.remove_logs()
    print_predictions(predictions, unreadable, run.folder, photos.crop, run.quiet, photos.protocol)
    print_claims(claims, run.folder, run.quiet)
    if delivered is not None:
        print_deliveries(predictions, delivered, run.folder, run.quiet)
    check_unreadable(run, len(unreadable))
