"""Images scored by Lightning's trainer: on GPUs, in several processes, and in tests."""

from __future__ import annotations

from omegaconf import DictConfig

from genspot.data.datamodule import ImageDataModule
from genspot.data.image_data import ImageData
from genspot.data.settings import Split
from genspot.detector.callbacks import ScoreCollector
from genspot.detector.graceful_stop import GracefulStop
from genspot.detector.module import Detector
from genspot.detector.network import DetectorNetwork
from genspot.detector.precision import exact_float32
from genspot.detector.score_log import ScoreLog
from genspot.tasks.components import make_trainer
from genspot.tasks.config import RunSettings
from genspot.tasks.stopping import SHUTDOWN


class LightningLoop:
    """Score the images of a data module in float32, on what `cfg.trainer` names.

    Args:
        cfg: with the trainer's settings.
        run: its folder.
        network: in evaluation mode.
        datamodule: with the images; it gets the trainer.

    Raises:
        GenspotError: the machine lacks what is asked for.
    """

    def __init__(
        self,
        cfg: DictConfig,
        run: RunSettings,
        network: DetectorNetwork,
        datamodule: ImageData,
    ) -> None:
        exact_float32()
        self.detector, self.datamodule = Detector(network), datamodule
        self.collector = ScoreCollector(ScoreLog(run.folder, "", {}))
        callbacks = [self.collector, GracefulStop(SHUTDOWN, run.folder)]
        self.trainer = make_trainer(cfg, "32-true", callbacks=callbacks)
        datamodule.trainer = self.trainer  # it tells a loader which rank it is of

    @property
    def is_first(self) -> bool:
        """Whether this process is the first of the run, which has all scores in the end."""
        return bool(self.trainer.is_global_zero)

    @property
    def processes(self) -> int:
        """How many processes share the images."""
        return int(self.trainer.world_size)

    def score(self, split: Split, score_log: ScoreLog) -> None:
        """Append the scores of the images of `split` to `score_log`."""
        self.collector.score_log = score_log
        if split == "test":
            assert isinstance(self.datamodule, ImageDataModule), "tests need Lightning's"
            self.trainer.test(self.detector, datamodule=self.datamodule, verbose=False)
            return
        loader = self.datamodule.predict_dataloader
        if split == "val":
            loader = self.datamodule.calibration_dataloader
        self.trainer.predict(self.detector, loader(), return_predictions=False)
