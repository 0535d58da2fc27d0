"""The first ten training steps on committed images: bytes, draws, network and optimizer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from pytorch_lightning.callbacks import LambdaCallback

from genspot.detector.module import Detector
from genspot.tasks import config
from genspot.tasks.components import make_datamodule
from genspot.tasks.networks import make_network
from helpers.detectors import make_trainer
from helpers.settings import ROOT
from helpers.tasks import composed

# float32, torch 2.14.1, x86-64, made by this test. Whoever changes what a seed means, or what a
# step computes, must change them, and say so.
# fmt: off
GOLDEN = [
    0.714688, 1.048601, 0.561342, 0.620034, 0.757466,
    0.658020, 0.713347, 0.719287, 0.894910, 0.656725,
]
# fmt: on
# Other threads, layouts and instructions of the processor round sums elsewhere, and Adam makes it
# grow. Measured with AMX, AVX2 and neither: 4e-6 in the first three steps, 4e-3 in all ten.
EARLY, LATE = 2e-5, 8e-3


def first_losses(folder: Path, channels_last: bool) -> list[float]:
    """Return the losses of ten steps as `task=train` takes them."""
    golden = folder / "golden"
    shutil.copytree(ROOT / "tests" / "assets" / "golden", golden)
    overrides = ["data=folder", f"data.train={golden}", f"data.val={golden}", "data.classes=null"]
    overrides += ["aug=blur_jpg_0.5", "schedule=paper", "schedule.batch_size=4", "workers=0"]
    overrides += ["model=resnet18", "model.backbone.weights=null"]
    overrides += ["model.train={resize: 64, crop: 48}", f"trainer.channels_last={channels_last}"]
    with composed(*overrides, folder=folder) as cfg:
        model = config.model_settings(cfg)
        datamodule = make_datamodule(cfg, model, testing=False)
        pl.seed_everything(0, verbose=False)
        network = make_network(cfg, model)
        detector = Detector(network, instantiate(cfg.schedule.optimizer, _convert_="all"))
    losses: list[float] = []

    def keep_loss(trainer: pl.Trainer, module: pl.LightningModule, step: Any, *_: Any) -> None:
        losses.append(float(step["loss"]))

    trainer = make_trainer(
        max_steps=10,
        limit_val_batches=0,
        callbacks=[LambdaCallback(on_train_batch_end=keep_loss)],
        use_distributed_sampler=False,
    )
    trainer.fit(detector, datamodule=datamodule)
    return losses


@pytest.mark.parametrize("channels_last", [True, False])
def test_training_pins_its_first_ten_losses(channels_last: bool, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        losses = first_losses(tmp_path, channels_last)
    finally:
        torch.set_num_threads(threads)
    assert losses[:3] == pytest.approx(GOLDEN[:3], abs=EARLY)
    assert losses == pytest.approx(GOLDEN, abs=LATE)
