"""A training that is interrupted anywhere resumes with exactly the samples that remain."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch.utils.data import get_worker_info

from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.data import loaders
from genspot.data.dataset import ImageDataset
from genspot.data.layout import sample_table
from genspot.data.loaders import ResumableDataLoader, eval_loader, loader_options
from genspot.data.samplers import ResumableShuffleSampler, SequentialDistributedSampler
from helpers.errors import error_of
from helpers.settings import ROOT, SEARCH_PATH

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS, BATCH_SIZE, EPOCHS = 22, 4, 3
Seen = list[list[tuple[int, int]]]  # (epoch, row) of each batch


def read_pixel(row: int) -> np.ndarray:
    return np.full((1, 1, 3), row, np.uint8)


def make_table() -> pa.Table:
    return sample_table((f"{row}.png", "", "", row % 2) for row in range(ROWS))


class EpochDataset(ImageDataset):
    """Rows with the epoch for which they were drawn, in place of their label."""

    def __getitem__(self, index: tuple[int, int]) -> Any:
        return {**super().__getitem__(index), "label": index[0]}


def make_loader(workers: int) -> ResumableDataLoader:
    dataset = EpochDataset(make_table(), geometry=Geometry(crop=1), train=True, read=read_pixel)
    return ResumableDataLoader(
        dataset,
        batch_size=BATCH_SIZE,
        sampler=ResumableShuffleSampler(ROWS, seed=5),
        drop_last=True,
        **loader_options(workers),
    )


class Recorder(pl.LightningModule):
    """A module that records the samples of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: Seen = []

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> torch.Tensor:
        self.seen.append(list(zip(batch["label"].tolist(), batch["row"].tolist(), strict=True)))
        return self.weight**2

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Interrupt(pl.Callback):
    """Save a checkpoint at `hook` of the given step, and raise after it."""

    def __init__(self, hook: str, step: int, file: Path) -> None:
        self.step, self.file = step, file
        setattr(self, hook, self.interrupt)

    def interrupt(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.file)
            raise InterruptedError


def fit(workers: int, folder: Path, *callbacks: pl.Callback, resume: Path | None = None) -> Seen:
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        callbacks=list(callbacks),
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    module = Recorder()
    try:
        loaders = make_loader(workers), torch.utils.data.DataLoader([0, 1])
        trainer.fit(module, *loaders, ckpt_path=resume, weights_only=True)
    except InterruptedError:
        pass
    return module.seen


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """The samples of a training without interruption."""
    seen = fit(0, tmp_path_factory.mktemp("complete"))
    assert [batch[0][0] for batch in seen] == [0] * 5 + [1] * 5 + [2] * 5
    return seen


@pytest.mark.parametrize(
    ("hook", "step", "workers"),
    [
        ("on_train_batch_end", 1, 0),
        ("on_train_batch_end", 8, 0),
        ("on_train_batch_end", 8, 2),
        ("on_validation_end", 5, 0),
        ("on_validation_end", 10, 2),
        ("on_train_epoch_end", 5, 0),
        ("on_train_epoch_end", 5, 2),
    ],
)
def test_training_interrupted_and_resumed_sees_the_remaining_samples_in_order(
    hook: str, step: int, workers: int, complete: Seen, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "last.ckpt"
    assert fit(workers, tmp_path, Interrupt(hook, step, checkpoint)) == complete[:step]
    assert fit(workers, tmp_path, resume=checkpoint) == complete[step:]


@pytest.mark.parametrize("workers", [0, 2])
def test_state_dict_counts_yielded_batches_not_those_read_ahead(workers: int) -> None:
    loader = make_loader(workers)
    loader.sampler.set_epoch(3)
    batches = iter(loader)
    rows = [next(batches)["row"].tolist() for _ in range(2)]
    state = loader.state_dict()
    assert state == {"epoch": 3, "batches": 2}
    rows += [batch["row"].tolist() for batch in batches]
    del batches
    resumed = make_loader(workers)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert [batch["row"].tolist() for batch in resumed] == rows[2:]
    assert resumed.state_dict() == loader.state_dict() == {"epoch": 3, "batches": 5}
    resumed.load_state_dict(loader.state_dict())
    assert resumed.sampler.epoch == 4 and len(list(resumed)) == 5


def signal_worker(row: int) -> np.ndarray:
    """Send the process what terminals and schedulers send to a whole process group."""
    assert get_worker_info() is not None
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        os.kill(os.getpid(), getattr(signal, name))
    return read_pixel(row)


@pytest.fixture
def little_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose shared memory has room for semaphores alone."""
    monkeypatch.setattr(loaders, "RESERVED_BYTES", 2**60)
    loaders._warn_of_pipes.cache_clear()


def test_batches_without_shared_memory_are_the_same_with_one_warning(
    little_shared_memory: None, caplog: pytest.LogCaptureFixture
) -> None:
    loader = make_loader(workers=2)
    for batch, expected in zip(loader, make_loader(workers=0), strict=True):
        assert batch.keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, torch.Tensor):
                assert batch[name].equal(value) and batch[name].dtype == value.dtype
                assert not batch[name].is_shared()
    (record,) = caplog.records
    assert "too little shared memory" in record.getMessage()


def test_batches_with_shared_memory_are_shared(caplog: pytest.LogCaptureFixture) -> None:
    batch = next(iter(make_loader(workers=1)))
    assert batch["image"].is_shared() and batch["row"].is_shared() and not caplog.records


def test_shared_memory_that_another_process_takes_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")
    monkeypatch.setattr(torch.Tensor, "share_memory_", Mock(side_effect=error))
    loader, expected = make_loader(workers=1), make_loader(workers=0)
    for batch, other in zip(loader, expected, strict=True):
        assert batch["image"].equal(other["image"])


def test_workers_without_semaphores_are_0_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = Mock(side_effect=OSError(28, "No space left on device"))
    monkeypatch.setattr(multiprocessing.context.BaseContext, "Lock", full)
    assert loader_options(8)["num_workers"] == 0
    (record,) = caplog.records
    assert "No space left on device" in record.getMessage()


def test_workers_that_cannot_be_started_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = make_loader(workers=2)
    none_left = Mock(side_effect=OSError(11, "Resource temporarily unavailable"))
    monkeypatch.setattr(os, "fork", none_left)
    message = error_of(lambda: next(iter(loader)))
    assert message.startswith("the processes that read images fail with workers=2: Resource temp")


def test_workers_that_need_too_many_open_files_are_one_line(capfd: pytest.CaptureFixture) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0) + 30, limits[1]))
    try:
        message = error_of(lambda: next(iter(make_loader(workers=4))))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert message.endswith("with workers=4: Too many open files; choose fewer, or workers=0")
    assert "Traceback" not in capfd.readouterr().err


FAIL = "the processes that read images fail with workers=1: %s; choose fewer, or workers=0"
ERRORS = {
    GenspotError("a\nb\x85 is GenspotError: c\n\u2028d"): r"a\nb\x85 is GenspotError: c\n\u2028d",
    RuntimeError("no\nroom"): FAIL % "room",
    OSError(5, "Input/output error"): FAIL % "OSError: [Errno 5] Input/output error",
    MemoryError(): FAIL % "MemoryError",
}


class FailingDataset(ImageDataset):
    """Images of which each raises one of `ERRORS`."""

    def __getitem__(self, index: tuple[int, int]) -> Any:
        raise list(ERRORS)[index[1]]


def test_error_in_a_worker_is_its_whole_message_in_one_line() -> None:
    indices: list[tuple[int, int]] = []
    loader = eval_loader(FailingDataset(make_table()), workers=1, sampler=indices)
    for row, message in enumerate(ERRORS.values()):
        indices[:] = [(0, row)]
        assert error_of(lambda: next(iter(loader))) == message


@pytest.mark.parametrize("hanging", ["", "os.kill(worker.pid, signal.SIGSTOP)"])
def test_process_ends_though_its_loader_still_has_workers(hanging: str) -> None:
    """The workers ignore the SIGTERM with which Python would end them; one may hang."""
    script = f"""
import multiprocessing, os, signal, sys
from test_loaders import make_loader
sys.kept = make_loader(2), iter(make_loader(2))
next(sys.kept[1])
worker = multiprocessing.active_children()[0]
{hanging}
"""
    paths = os.pathsep.join([str(Path(__file__).parent), str(ROOT / "tests")])
    env = os.environ | {"PYTHONPATH": paths}
    result = subprocess.run(
        [sys.executable, "-c", script], env=env, timeout=120, capture_output=True
    )
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.slow
@pytest.mark.parametrize("size", ["64m", "1m", "8k"])
def test_prediction_in_little_shared_memory_ends(
    size: str, trained: Path, sets: Path, tmp_path: Path
) -> None:
    """The shared memory of containers; mounting another one needs the rights of root."""
    mount = f"mount -t tmpfs -o size={size} tmpfs /dev/shm"
    if subprocess.run(["unshare", "-m", "bash", "-c", mount], capture_output=True).returncode:
        pytest.skip("cannot mount")
    image = Image.new("RGB", (400, 400))
    (tmp_path / "many").mkdir()
    for number in range(600):
        image.save(tmp_path / "many" / f"{number}.bmp")
    command = f"{sys.executable} {ROOT}/run.py task=predict checkpoint={trained}/best.ckpt"
    command += f" inputs=many workers=8 crop=400 hydra.run.dir=run '{SEARCH_PATH}'"
    subprocess.run(
        ["unshare", "-m", "bash", "-c", f"{mount} && {command}"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        timeout=300,
    )
    assert len((tmp_path / "run" / "predictions.csv").read_text().splitlines()) == 601


def test_workers_leave_signals_to_the_parent() -> None:
    dataset = ImageDataset(make_table(), geometry=Geometry(crop=1), read=signal_worker)
    sampler = SequentialDistributedSampler(ROWS)
    loader = eval_loader(dataset, workers=1, sampler=sampler, batch_size=BATCH_SIZE)
    rows = [row for batch in loader for row in batch["row"].tolist()]
    assert rows == list(range(ROWS))
