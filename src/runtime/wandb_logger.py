"""Weights & Biases, which never stops or slows a run."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import wandb
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from wandb.sdk import wandb_setup
from wandb.sdk.lib.runid import generate_id

from genspot.report.dashboard import COLUMNS, curves, pictures, table
from genspot.evaluation.measures import lines
from genspot.evaluation.scores import write_text

log = logging.getLogger(__name__)

START_LIMIT = 20.0  # seconds that an unreachable server may hold up the start of a run
FINISH_LIMIT = 60.0  # seconds that a slow or lost server may hold up its end
WAITING = 10_000  # calls that may wait for a server or a disk that hangs


class PatientLogger(WandbLogger):
    """A WandbLogger whose calls a thread of its own makes, so that none stops or slows a run.

    What fails costs one warning and nothing else; the calls after it are tried all the same.
    """

    def __init__(self, run: Any) -> None:
        super().__init__(experiment=run)
        self._service = _service()
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._warned = self._closed = False
        self._thread = threading.Thread(target=self._make_calls, daemon=True)
        self._thread.start()
        # A run that ends before its results. Hooks go last in, first out, and wandb's own, which
        # waits for its service without a limit, finds nothing left to wait for.
        atexit.register(self.close, exit_code=1)
        # As Lightning does for a run that it begins itself: a resumed run goes on at its step.
        self.later(partial(run.define_metric, "trainer/global_step"))
        self.later(
            partial(run.define_metric, "*", step_metric="trainer/global_step", step_sync=True)
        )

    def later(self, call: Callable[[], object]) -> None:
        """Put `call` behind those that wait."""
        if self._calls.qsize() < WAITING:
            self._calls.put(call)
        else:
            self._warn("it does not keep up")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.later(partial(super().log_metrics, dict(metrics), step))

    def log_hyperparams(self, params: Any) -> None:
        self.later(partial(super().log_hyperparams, params))

    def log_results(self, metrics: dict[str, Any], folder: Path) -> None:
        """The results beside the plain figures, and the end of the run; see
        `genspot.report.dashboard.log_results`."""
        # One call each: what one of them cannot do is no reason to leave out the others.
        self.later(partial(_log_bounds, self.experiment, metrics))
        self.later(partial(_log_table, self.experiment, metrics))
        self.later(partial(_log_curves, self.experiment, metrics, folder))
        for picture in pictures(folder):
            self.later(partial(_log_picture, self.experiment, picture))
        self.close()

    def finalize(self, status: str) -> None:
        # Lightning says "success" after the training already, and the results come later.
        if status != "success":
            self.close(exit_code=1)

    def close(self, exit_code: int = 0) -> None:
        """Make the calls that wait, finish the run and end its service, within a bounded time."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        for call in (partial(self.experiment.finish, exit_code), _end_service, None):
            self._calls.put(call)
        self._thread.join(FINISH_LIMIT + START_LIMIT)
        if self._thread.is_alive():
            self._warn("it does not answer")
        if self._service and self._service.returncode is None:  # it has not ended in order
            _kill(self._service)
            self._thread.join(START_LIMIT)  # nothing holds its calls up any more

    def _make_calls(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:  # whatever the server, the disk or wandb did
                self._warn(_one_line(error))

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "Weights & Biases: not everything is uploaded (%s); metrics.csv and metrics.json "
                "have every figure; to try again: %s",
                reason,
                _sync(self.experiment),
            )


def wandb_logger(
    project: str,
    group: str | None,
    job_type: str,
    name: str,
    tags: list[str],
    save_dir: str,
    config: dict[str, Any],
    classes: list[str] | str | None,
    subset: int | None = None,
) -> WandbLogger:
    """A Weights & Biases logger: online where a key is set, else offline; never a hindrance.

    Args:
        project: that the run belongs to.
        group: the study, if any.
        job_type: the task.
        name: shown in the list of runs.
        tags: to find it by.
        save_dir: the run's folder; it keeps the run's id, under which a second start goes on.
        config: plain values to filter and to group by; `num_classes` is added.
        classes: of the training set; a list, or null or "any" where none are named.
        subset: how many classes are taken, where not all are.
    """
    if getattr(rank_zero_only, "rank", 0) != 0:
        return WandbLogger(save_dir=save_dir, offline=True)
    counted = len(classes) if isinstance(classes, list) else None
    wanted: dict[str, Any] = {
        "project": project,
        "group": group,
        "job_type": job_type,
        "name": name,
        "tags": tags,
        "dir": save_dir,
        "config": config | {"num_classes": counted if subset is None else subset},
        "id": _own_id(Path(save_dir)),
    }
    with _patience(3 * START_LIMIT):  # a try online and one offline, with time to spare
        return PatientLogger(_begin(wanted))


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Kill W&B's service if this takes longer: a frozen one holds up `wandb.init` for ever."""
    timer = threading.Timer(seconds, _kill_ours)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _kill_ours() -> None:
    if service := _service():
        _kill(service)


def _service() -> subprocess.Popen[bytes] | None:
    """The process that wandb started to write and to upload, if it is ours.

    wandb has no public name for it; where a later version keeps it elsewhere, it is not found.
    """
    try:
        return wandb_setup.singleton()._connection._proc._process  # type: ignore[union-attr]
    except AttributeError:
        return None


def _end_service() -> None:
    # Its exit code is none of the run's, and one that is dead has ended.
    with suppress(SystemExit, ConnectionError):
        wandb.teardown()


def _kill(service: subprocess.Popen[bytes]) -> None:
    """Kill `service`, even a frozen one, and what it started: together they are a group."""
    if not hasattr(os, "killpg"):
        service.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(service.pid, signal.SIGKILL)


def _own_id(folder: Path) -> str:
    """The id of the run in `folder`, drawn when it is first asked for."""
    file = folder / "wandb_id.txt"
    if file.is_file() and (known := file.read_text(encoding="utf-8").strip()):
        return known
    return _new_id(folder)


def _new_id(folder: Path) -> str:
    """A fresh id, kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn: str = generate_id()
    write_text(drawn + "\n", folder / "wandb_id.txt")
    return drawn


def _begin(wanted: dict[str, Any]) -> Any:
    """The run as it can be had: online, offline, or one that keeps nothing."""
    # What wandb tells its makers of its own errors waits for the server once more, at exit.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    settings = wandb.Settings(
        init_timeout=START_LIMIT,
        finish_timeout=FINISH_LIMIT,
        finish_timeout_raises=True,
        silent=True,
        # Its copy of the console would go through the main thread, and once the service is lost
        # each line of it would leave a traceback in debug.log. genspot.log has what was said.
        console="off",
    )
    try:
        if run := _online(wanted, settings):
            return run
        run = wandb.init(**wanted, mode="offline", settings=settings)
    except Exception as error:
        log.warning(
            "Weights & Biases cannot be used (%s): metrics.csv and metrics.json have the figures",
            _one_line(error),
        )
        return wandb.init(mode="disabled")
    log.info("Weights & Biases: offline; to upload later: %s", _sync(run))
    return run


def _online(wanted: dict[str, Any], settings: wandb.Settings) -> Any:
    """The run on the server, or None without a key or a server that takes it."""
    try:
        if wandb.login(prompt=False):  # a key is set
            return wandb.init(**wanted, resume="allow", settings=settings)
    except Exception as error:  # whatever the key, the server or the network did, the run goes on
        log.warning(
            "Weights & Biases cannot be used online (%s): logging offline", _one_line(error)
        )
        # wandb's service keeps the id of a run that it could not begin; ending the service to free
        # it can take minutes.
        wanted["id"] = _new_id(Path(wanted["dir"]))
    return None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _sync(run: Any) -> str:
    """The command that uploads what `run` left on the disk."""
    return f"wandb sync {shlex.quote(str(Path(run.dir).parent))}"


def _log_bounds(run: Any, metrics: dict[str, Any]) -> None:
    known = {name: one["ap_interval"] for name, one in lines(metrics) if one["ap_interval"]}
    run.summary.update({f"ap_low/{name}": low for name, (low, _) in known.items()})
    run.summary.update({f"ap_high/{name}": high for name, (_, high) in known.items()})


def _log_table(run: Any, metrics: dict[str, Any]) -> None:
    run.log({"ap_table": wandb.Table(list(COLUMNS), table(metrics))})


def _log_curves(run: Any, metrics: dict[str, Any], folder: Path) -> None:
    columns: list[str | int] = ["generator", "recall", "precision"]
    points = wandb.Table(columns, list(curves(metrics, folder)))
    title = "Precision over recall"
    run.log({"pr": wandb.plot.line(points, "recall", "precision", "generator", title)})


def _log_picture(run: Any, picture: Path) -> None:
    run.log({f"{picture.parent.name}/{picture.stem}": wandb.Image(str(picture))})
