"""What a training or a test collects, and what stops a training."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, LambdaCallback, ModelCheckpoint
from torch.utils.data import DataLoader

from genspot.common.errors import GenspotError
from genspot.data.places import load_samples
from genspot.data.samplers import ResumableShuffleSampler
from genspot.detector import callbacks
from genspot.detector.callbacks import (
    SaveMetadata,
    ScoreCollector,
    SeedSteps,
    StopOnNonFinite,
    UnreadableImages,
)
from genspot.detector.module import Detector
from genspot.detector.score_log import ScoreLog
from helpers.detectors import make_batch, make_detector, make_trainer, make_unreadable_batch
from helpers.runs import read_csv
from helpers.settings import tiny
from helpers.tasks import run_task

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

Batches = list[dict[str, Any]]


def loader(batches: Batches) -> Any:
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def fit(batches: Batches, *more: Callback, **arguments: Any) -> Detector:
    """Train on `batches` and validate on two images."""
    detector = make_detector()
    trainer = make_trainer(callbacks=list(more), **arguments)
    trainer.fit(detector, loader(batches), loader([make_batch([0, 1])]))
    return detector


@pytest.mark.parametrize("stage", ["test", "predict"])
def test_score_collector_appends_a_row_per_image(stage: str, tmp_path: Path) -> None:
    detector = make_detector()
    batches = [make_batch([5, 3], seed=1), make_unreadable_batch([2, 7]), make_batch([6], seed=2)]
    batches[0]["unreadable"] = [(9, "cut short")]
    log = ScoreLog(tmp_path, stage, {})
    trainer = make_trainer(callbacks=[ScoreCollector(log)])
    if stage == "test":
        trainer.test(detector, loader(batches), verbose=False)
    else:
        trainer.predict(detector, loader(batches), return_predictions=False)
    written = ScoreLog(tmp_path, stage, {})
    written.read()
    assert list(log.scores) == list(written.scores) == [5, 3, 6]
    assert log.unreadable == {9: "cut short", 2: "torn at 2", 7: "torn at 7"}
    assert (log.scores, log.unreadable) == (written.scores, written.unreadable)
    with torch.inference_mode():
        images = torch.cat([batches[0]["image"], batches[2]["image"]])
        expected = detector.eval()(images).tolist()
    logits, padded = zip(*log.scores.values(), strict=True)
    assert logits == pytest.approx(expected, abs=1e-6)
    assert padded == (False, True, True)


def test_image_that_takes_the_memory_becomes_unreadable_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, batch = make_detector(), make_batch([5, 3, 6], seed=1)
    batch["image"][1, 0, 0, 0] = 77
    expected = detector.eval()(batch["image"][[0, 2]]).tolist()
    network, forward = detector.network, detector.network.forward

    def refuse(images: torch.Tensor) -> torch.Tensor:
        if len(images) > 1 or images[0, 0, 0, 0] == 77:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(images)

    monkeypatch.setattr(network, "forward", refuse)
    log = ScoreLog(tmp_path, "test", {})
    make_trainer(callbacks=[ScoreCollector(log)]).test(detector, loader([batch]), verbose=False)
    assert {row: logit for row, (logit, _) in log.scores.items()} == pytest.approx(
        {5: expected[0], 6: expected[1]}, abs=1e-6
    )
    assert list(log.unreadable) == [3]
    assert "8 × 8 pixels need more memory" in log.unreadable[3]


@pytest.mark.parametrize("broken", [0, 1])
def test_epoch_without_a_readable_image_stops_before_its_checkpoint(
    broken: int, tmp_path: Path
) -> None:
    def break_images(trainer: pl.Trainer, *_: Any) -> None:
        if trainer.current_epoch == broken:
            batches[:] = [make_unreadable_batch([3, 4]), make_unreadable_batch([9])]

    batches = [make_batch([0, 1]), make_batch([2, 3])]
    fault = LambdaCallback(on_train_epoch_start=break_images)
    checkpoints = ModelCheckpoint(tmp_path, save_top_k=-1)
    with pytest.raises(GenspotError, match=r"whole epoch .*\(torn at 3, and 2 more files\)"):
        fit(batches, fault, UnreadableImages(), checkpoints, enable_checkpointing=True)
    assert len(list(tmp_path.iterdir())) == broken


@pytest.mark.parametrize(("label", "kind"), [(0, "fake"), (1, "real")])
def test_epoch_without_a_readable_image_of_one_label_stops(label: int, kind: str) -> None:
    batches = [make_batch([0, 1]), make_batch([2, 3])]
    for batch in batches:
        batch["label"][:] = label
    fit(batches, UnreadableImages())  # of one label, but nothing is unreadable
    batches[1]["unreadable"] = [(5, "torn")]
    with pytest.raises(GenspotError, match=rf"no {kind} training image .* \(torn, and 0 more"):
        fit(batches, UnreadableImages())


@pytest.mark.parametrize("place", range(3))
def test_batches_without_a_readable_image_are_skipped_and_listed(
    place: int, tmp_path: Path
) -> None:
    batches = [make_unreadable_batch([row]) for row in range(3)]
    batches[place] = make_batch([0, 1])
    first, checkpoint = UnreadableImages(), ModelCheckpoint(tmp_path, filename="last")
    detector = fit(batches, first, checkpoint, max_epochs=2, enable_checkpointing=True)
    trained, before = detector.state_dict(), make_detector().state_dict()
    assert all(not torch.equal(value, before[key]) for key, value in trained.items())
    assert set(first.unreadable["train"]) == {0, 1, 2} - {place}
    second, content = UnreadableImages(), torch.load(tmp_path / "last.ckpt", weights_only=True)
    second.load_state_dict(content["callbacks"][first.state_key])
    assert second.unreadable == first.unreadable


def test_rank_without_a_readable_image_stops_all() -> None:
    trainer: Any = SimpleNamespace(world_size=2, global_rank=1)
    batch = make_unreadable_batch([3, 4])
    with pytest.raises(GenspotError, match=r"process 1 found .*\(torn at 3, and 1 more\)"):
        UnreadableImages().on_train_batch_start(trainer, make_detector(), batch, 0)


def test_validation_without_a_readable_image_is_refused() -> None:
    trainer = make_trainer(callbacks=[UnreadableImages()])
    with pytest.raises(GenspotError, match=r"no validation image .* \(torn at 0\); repair data"):
        trainer.validate(make_detector(), loader([make_unreadable_batch([0, 1])]), verbose=False)


def test_checkpoint_hooks_wait_for_no_other_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(_: object) -> None:
        pytest.fail("a collective within a checkpoint hook")

    monkeypatch.setattr(callbacks, "gather", wait)
    trainer = make_trainer()
    for callback in (UnreadableImages(), SaveMetadata({})):
        callback.load_state_dict(callback.state_dict())
        callback.on_save_checkpoint(trainer, make_detector(), {})
        callback.on_load_checkpoint(trainer, make_detector(), {})


@pytest.mark.parametrize(("gathered", "step", "last"), [(1, 6, 24), (2, 3, 32)])
def test_non_finite_step_of_a_run_lists_its_files(
    gathered: int, step: int, last: int, sets: Path, tmp_path: Path
) -> None:
    target = "_target_: helpers.fault_injection.InfiniteWeight, epoch: 1, batch: 2"
    settings = [f"+callbacks.fault={{{target}}}", f"trainer.accumulate_grad_batches={gathered}"]
    with pytest.raises(GenspotError, match=rf"not finite at step {step} \(epoch 1\)"):
        run_task(*tiny(sets), *settings, folder=tmp_path)
    table = load_samples(sets / "train", "folder", "any").table
    paths, labels = table["path"].to_pylist(), table["label"].to_pylist()
    sampler = ResumableShuffleSampler(len(paths), seed=0)
    sampler.set_epoch(1)
    rows = [row for _, row in sampler][16:last]
    # The next image of its label replaces the torn one; that is the first one's.
    first = [paths[labels.index(labels[row])] for row in rows]
    torn = [paths[row].endswith("torn.png") for row in rows]
    expected = [first[at] if torn[at] else paths[row] for at, row in enumerate(rows)]
    assert [row["path"] for row in read_csv(tmp_path / "not_finite.csv")] == expected
    weights = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_batches_of_a_step_have_random_numbers_of_their_own() -> None:
    """The first of each step those that it has alone; others of other steps differ too."""

    def draws(gathered: int) -> list[float]:
        found = []
        for batch in range(4):
            trainer: Any = SimpleNamespace(accumulate_grad_batches=gathered, global_rank=0)
            trainer.global_step = batch // gathered
            SeedSteps(3).on_train_batch_start(trainer, make_detector(), {}, batch)
            found.append(torch.rand(()).item())
        return found

    alone, gathered = draws(1), draws(2)
    assert len({*alone, *gathered}) == 6
    assert gathered[::2] == alone[:2]


def test_not_finite_loss_of_an_earlier_batch_of_a_step_stops_float16(tmp_path: Path) -> None:
    strategy = SimpleNamespace(reduce_boolean_decision=lambda own, all: own)
    trainer: Any = SimpleNamespace(precision="16-mixed", strategy=strategy, is_global_zero=False)
    trainer.accumulate_grad_batches, trainer.global_step, trainer.current_epoch = 2, 7, 1
    module: Any = torch.nn.Linear(1, 1)
    stop = StopOnNonFinite(tmp_path, lambda rows, place: None)
    optimizer = torch.optim.SGD(module.parameters())

    def step(*losses: float) -> None:
        for number, loss in enumerate(losses):
            stop.on_train_batch_start(trainer, module, make_batch([number]), number)
            stop.on_before_backward(trainer, module, torch.tensor(loss))
        stop.on_before_optimizer_step(trainer, module, optimizer)

    step(0.5, 0.7)
    assert stop.rows == [0, 1]
    with pytest.raises(GenspotError, match="not finite at step 7"):
        step(torch.inf, 0.7)
    step(0.5, 0.7)


@pytest.mark.parametrize(
    ("precision", "loss", "gradient", "stops"),
    [
        ("bf16-mixed", 0.7, torch.nan, True),
        ("32-true", 0.7, 1e30, False),
        # In float16 the scaler lets gradients overflow, and skips those steps.
        ("16-mixed", 0.7 * 65536, torch.inf, False),
        ("16-mixed", torch.nan, torch.inf, True),
    ],
)
def test_non_finite_gradients_stop_all_precisions_but_float16(
    precision: str, loss: float, gradient: float, stops: bool, tmp_path: Path
) -> None:
    strategy = SimpleNamespace(reduce_boolean_decision=lambda own, all: own)
    trainer: Any = SimpleNamespace(precision=precision, strategy=strategy, is_global_zero=False)
    trainer.global_step, trainer.current_epoch = 7, 1
    module: Any = torch.nn.Linear(1, 1)
    module.weight.grad = torch.full((1, 1), gradient)
    stop = StopOnNonFinite(tmp_path, lambda rows, place: None)
    stop.on_before_backward(trainer, module, torch.tensor(loss))
    with pytest.raises(GenspotError) if stops else contextlib.nullcontext():
        stop.on_before_optimizer_step(trainer, module, torch.optim.SGD(module.parameters()))
