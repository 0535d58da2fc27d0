"""Photos and the detector that scores them, for task=predict and task=reference."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.names import NO_PROTOCOL
from genspot.common.protocols import FAKES, MATCHED, split_condition
from genspot.common.run_files import UNREADABLE
from genspot.common.tables import concat, write_csv
from genspot.data.image_data import ImageData
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.network import DetectorNetwork
from genspot.detector.settings import ModelSettings
from genspot.runtime.content import describe_file
from genspot.runtime.run_folder import save_config
from genspot.tasks import config
from genspot.tasks.config import RunSettings
from genspot.tasks.exported import load_scoring_checkpoint, scoring_network
from genspot.tasks.plain_scoring import make_image_data, make_loop
from genspot.tasks.schema import plain
from genspot.tasks.scoring import Scorer, finite, refuse_not_finite
from genspot.tasks.training_config import record, resolve_metadata, with_training_config
from genspot.tasks.warnings_filter import silence_warnings


@dataclass(frozen=True)
class Photos:
    """Photos that are about to be scored.

    Attributes:
        cfg: with the settings of the checkpoint.
        run: its folder.
        checkpoint: with the weights.
        model: which it is scored as.
        network: of that model, in evaluation mode.
        images: the photos.
        scorer: of them.
        inputs: where they come from, as the user named them.
    """

    cfg: DictConfig
    run: RunSettings
    checkpoint: Checkpoint
    model: ModelSettings
    network: DetectorNetwork
    images: ImageData
    scorer: Scorer
    inputs: list[str]

    @property
    def crop(self) -> int | None:
        """The side in pixels of the central crop that is scored; None for whole images."""
        return self.model.test.with_crop(self.cfg.crop).crop

    @property
    def protocol(self) -> str:
        """What is done to each photo after it is decoded, in words for a reader."""
        chosen, own = str(self.cfg.protocol), self.checkpoint.metadata.protocol
        condition = split_condition(chosen)[0]
        return f"{chosen}, then {own}" if condition and own != NO_PROTOCOL else chosen

    def score(self) -> tuple[pa.Table, pa.Table] | None:
        """Score the photos and write unreadable.csv.

        Returns:
            The scores, and the unreadable photos with the columns path and reason; None on all
            processes but the first.

        Raises:
            GenspotError: no photo can be read, or a logit is not finite.
        """
        scores, unreadable = self.scorer.score("predict")
        if not self.scorer.is_first:
            return None
        skipped = self.images.skipped["predict"]
        unreadable = concat([unreadable, skipped]).select(["path", "reason"])
        write_csv(unreadable, self.run.folder / UNREADABLE)
        scores, not_finite = finite(scores)
        refuse_not_finite([not_finite], len(scores) + len(not_finite), self.run.folder)
        self.scorer.refuse_nothing_readable(scores, unreadable)
        return scores, unreadable


def prepare_photos(cfg: DictConfig) -> Photos:
    """Return the photos of `inputs` and what scores them; save the configuration.

    Raises:
        GenspotError: no input, no usable checkpoint, or a setting that does not allow it.
    """
    silence_warnings()
    task, inputs = cfg.task.name, plain(cfg, "inputs")
    if inputs is None:
        raise GenspotError(f"task={task} needs inputs=PHOTO_OR_FOLDER, or a list of them")
    inputs = [str(one) for one in (inputs if isinstance(inputs, list) else [inputs])]
    condition, steps = split_condition(str(cfg.protocol))
    if condition == FAKES:
        raise GenspotError(
            f"protocol={cfg.protocol}: nobody knows which of the photos are fakes; give "
            f"protocol={MATCHED}_{steps}, or leave it out"
        )
    checkpoint = load_scoring_checkpoint(cfg)
    cfg = with_training_config(cfg, checkpoint.metadata)
    metadata = resolve_metadata(cfg, checkpoint)
    model = metadata.model
    network = scoring_network(cfg, checkpoint, model)
    record(cfg, metadata, model.test.with_crop(cfg.crop).crop)
    images = make_image_data(cfg, model, inputs, metadata.protocol)
    run = config.run_settings(cfg)
    content = {"checkpoint": describe_file(checkpoint.path)}
    save_config(run.folder, run.config_text, run.resume, content=content)
    images.setup("predict")
    scorer = Scorer(cfg, run, checkpoint, model, make_loop(cfg, run, network, images), images)
    return Photos(cfg, run, checkpoint, model, network, images, scorer, inputs)
