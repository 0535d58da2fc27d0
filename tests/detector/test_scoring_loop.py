"""The loop without Lightning: scores of each readable image, a log that outlives a fault."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from genspot.detector import scoring_loop
from genspot.detector.network import DetectorNetwork
from genspot.detector.score_log import ScoreLog
from genspot.detector.scoring_loop import score_batches
from helpers.detectors import make_batch, make_detector, make_unreadable_batch

BATCHES = [make_batch([5, 3], seed=1), make_unreadable_batch([2, 7]), make_batch([6], seed=2)]


def loader() -> DataLoader[object]:
    return DataLoader(BATCHES, batch_size=None)  # type: ignore[arg-type]


def make_network() -> DetectorNetwork:
    return make_detector().network.eval()


def test_score_batches_appends_each_readable_image_and_names_the_others(tmp_path: Path) -> None:
    network, log = make_network(), ScoreLog(tmp_path, "photos", {})
    score_batches(network, loader(), log, bar=False)
    written = ScoreLog(tmp_path, "photos", {})
    written.read()
    with torch.inference_mode():
        expected = [logit for batch in BATCHES[::2] for logit in network(batch["image"]).tolist()]
    assert [logit for logit, _ in written.scores.values()] == expected
    assert list(written.scores) == list(log.scores) == [5, 3, 6]
    assert [padded for _, padded in log.scores.values()] == [False, True, True]
    assert log.unreadable == written.unreadable == {2: "torn at 2", 7: "torn at 7"}


def test_score_batches_that_is_stopped_keeps_the_batches_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, log = make_network(), ScoreLog(tmp_path, "photos", {})
    forward = network.forward

    def stop_at_one(images: torch.Tensor) -> torch.Tensor:
        if len(images) == 1:
            raise KeyboardInterrupt
        return forward(images)

    monkeypatch.setattr(network, "forward", stop_at_one)
    with pytest.raises(KeyboardInterrupt):
        score_batches(network, loader(), log, bar=False)
    written = ScoreLog(tmp_path, "photos", {})
    written.read()
    assert list(written.scores) == [5, 3] and written.unreadable.keys() == {2, 7}


def test_score_batches_without_a_bar_logs_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scoring_loop, "LOG_INTERVAL", 0.0)
    with caplog.at_level(logging.INFO):
        score_batches(make_network(), loader(), ScoreLog(tmp_path, "photos", {}), bar=False)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [f"scoring: batch {number} of 3" for number in (1, 2, 3)]
