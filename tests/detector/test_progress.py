"""Progress in a log."""

from __future__ import annotations

import logging

import pytest
from torch.utils.data import DataLoader

from genspot.detector.progress import ProgressLog
from helpers.detectors import make_batch, make_detector, make_trainer

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize(("interval", "lines"), [(0, 3), (3600, 0)])
def test_progress_is_logged_at_intervals(
    interval: float, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "genspot.detector.progress")
    loader = DataLoader([make_batch([0, 1])] * 3, batch_size=None)  # type: ignore[arg-type]
    detector = make_detector()
    for task in ("scoring", "testing", "training, epoch 0"):
        caplog.clear()
        trainer = make_trainer(callbacks=[ProgressLog(interval)], max_epochs=1)
        if task == "scoring":
            trainer.predict(detector, loader, return_predictions=False)
        elif task == "testing":
            trainer.test(detector, loader, verbose=False)
        else:
            trainer.fit(detector, loader)
        messages = [record.message for record in caplog.records if "batch" in record.message]
        assert messages == [f"{task}: batch {n} of 3" for n in range(1, lines + 1)]
