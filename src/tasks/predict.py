"""Score photos: one, or those in folders, lists and containers."""

from __future__ import annotations

from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.names import NO_PROTOCOL
from genspot.common.protocols import FAKES, MATCHED, split_condition
from genspot.common.run_files import PREDICTIONS, UNREADABLE
from genspot.common.tables import concat, write_csv
from genspot.detector.network import fuse_batchnorm
from genspot.report.predictions import prediction_table, print_predictions
from genspot.runtime.content import describe_file
from genspot.runtime.run_folder import save_config
from genspot.tasks import config
from genspot.tasks.networks import make_scoring_network
from genspot.tasks.plain_scoring import make_image_data, make_loop
from genspot.tasks.schema import plain
from genspot.tasks.scoring import (
    Scorer,
    check_unreadable,
    finite,
    refuse_not_finite,
)
from genspot.tasks.training_config import record, resolve_metadata, with_training_config
from genspot.tasks.warnings_filter import silence_warnings
from genspot.tasks.weights_by_name import load_named_checkpoint


def predict(cfg: DictConfig) -> None:
    """Write predictions.csv and unreadable.csv, and print the predictions, highest logit first.

    Raises:
        GenspotError: no input, no usable checkpoint, no readable image, a logit that is not
            finite, or more unreadable images than `max_unreadable`; in one line.
    """
    silence_warnings()
    inputs = plain(cfg, "inputs")
    if inputs is None:
        raise GenspotError("task=predict needs inputs=PHOTO_OR_FOLDER, or a list of them")
    inputs = [str(one) for one in (inputs if isinstance(inputs, list) else [inputs])]
    condition, steps = split_condition(str(cfg.protocol))
    if condition == FAKES:
        raise GenspotError(
            f"protocol={cfg.protocol}: nobody knows which of the photos are fakes; give "
            f"protocol={MATCHED}_{steps}, or leave it out"
        )
    checkpoint = load_named_checkpoint(cfg.checkpoint, cfg.paths.weights, quiet=cfg.quiet)
    cfg = with_training_config(cfg, checkpoint.metadata)
    metadata = resolve_metadata(cfg, checkpoint)
    model = metadata.model
    network = make_scoring_network(cfg, checkpoint, model)
    crop = model.test.with_crop(cfg.crop).crop
    record(cfg, metadata, crop)
    own = metadata.protocol
    images = make_image_data(cfg, model, inputs, own)
    run = config.run_settings(cfg)
    content = {"checkpoint": describe_file(checkpoint.path)}
    save_config(run.folder, run.config_text, run.resume, content=content)
    images.setup("predict")
    loop = make_loop(cfg, run, fuse_batchnorm(network), images)
    scorer = Scorer(cfg, run, checkpoint, model, loop, images)
    scores, unreadable = scorer.score("predict")
    if not scorer.is_first:
        return
    unreadable = concat([unreadable, images.skipped["predict"]]).select(["path", "reason"])
    write_csv(unreadable, run.folder / UNREADABLE)
    scores, not_finite = finite(scores)
    refuse_not_finite([not_finite], len(scores) + len(not_finite), run.folder)
    scorer.refuse_nothing_readable(scores, unreadable)
    predictions = prediction_table(scores)
    write_csv(predictions, run.folder / PREDICTIONS)
    scorer.remove_logs()
    protocol = str(cfg.protocol)
    if condition and own != NO_PROTOCOL:
        protocol += f", then {own}"
    print_predictions(predictions, unreadable, run.folder, crop, run.quiet, protocol)
    check_unreadable(run, len(unreadable))
