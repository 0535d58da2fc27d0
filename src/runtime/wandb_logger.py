"""Weights & Biases, whose failures never stop a run.

Whatever becomes of the upload, metrics.csv, metrics.json and the report hold every figure.
"""

from __future__ import annotations

import logging
import os
import secrets
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import wandb
from pytorch_lightning.loggers import WandbLogger

from genspot.common.files import write_text
from genspot.common.ranks import is_rank_zero

log = logging.getLogger(__name__)

INIT_TIMEOUT_S = 20.0  # at most, that an unreachable server delays the start of a run
# At most, that a slow or lost server delays its end. A lost one also delays each of the two tables
# of the results, by W&B's own limit of 20 s.
FINISH_TIMEOUT_S = 60.0
RUN_ID_FILE = "wandb_id.txt"


class FailSafeWandbLogger(WandbLogger):
    """A WandbLogger whose calls do not raise. The first failure is logged as a warning.

    Args:
        run: the run, which `wandb.init` returned.
    """

    def __init__(self, run: Any) -> None:
        super().__init__(experiment=run)
        self.failed = self.finished = False
        # As Lightning does for a run that it starts itself: a resumed run continues at its step.
        step = "trainer/global_step"
        self._attempt(partial(run.define_metric, step))
        self._attempt(partial(run.define_metric, "*", step_metric=step, step_sync=True))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log `metrics` under the training step `step`."""
        self._attempt(partial(super().log_metrics, metrics, step))

    def log_results(self, results: Any) -> None:
        """Log the intervals, the table of APs, the curves and the pictures, and finish the run.

        Args:
            results: a `genspot.report.dashboard.Dashboard`.
        """
        run = self.experiment
        self._attempt(lambda: run.summary.update(results.bounds))
        self._attempt(lambda: run.log({"ap_table": _table(results.ap_columns, results.ap_table)}))
        if results.published:
            published = results.published_columns, results.published
            self._attempt(lambda: run.log({"published_table": _table(*published)}))
        self._attempt(lambda: run.log({"pr": _precision_recall(results)}))
        for name, picture in results.pictures.items():
            self._attempt(partial(_log_picture, run, name, picture))
        self.finish()

    def finalize(self, status: str) -> None:
        """Finish the run if it failed: after a training, "success", the results follow."""
        if status != "success":
            self.finish(exit_code=1)

    def finish(self, exit_code: int = 0) -> None:
        """Upload what is left, within `FINISH_TIMEOUT_S`, and end the run; once."""
        if not self.finished:
            self.finished = True
            self._attempt(partial(self.experiment.finish, exit_code))
            # Now, because at exit it shows a traceback if its service was lost. It exits with the
            # service's exit code if that is not 0.
            with suppress(SystemExit):
                self._attempt(wandb.teardown)

    def _attempt(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:  # of wandb, the network, the server or the disk
            if not self.failed:
                log.warning(
                    "Weights & Biases: not everything is uploaded (%s); metrics.csv and "
                    "metrics.json have every figure; to try again: %s",
                    _one_line(error),
                    _sync_command(self.experiment),
                )
            self.failed = True


def wandb_logger(
    save_dir: str,
    config: dict[str, Any],
    classes: list[str] | str | None,
    num_classes: int | None = None,
    **run: Any,
) -> WandbLogger:
    """Return a Weights & Biases logger: online where a key is set, else offline.

    Args:
        save_dir: the run's folder; it keeps the run's id, with which a resumed run continues.
        config: plain values to filter and to group by; `num_classes` is added.
        classes: the classes of the training set: a list, or null or "any" if they have no names.
        num_classes: how many classes are taken, if not all.
        run: arguments of `wandb.init`: project, group, job_type, name, tags.
    """
    if not is_rank_zero():
        return WandbLogger(save_dir=save_dir, offline=True)  # its calls do nothing on other ranks
    if num_classes is None and isinstance(classes, list):
        num_classes = len(classes)
    run |= {"dir": save_dir, "config": config | {"num_classes": num_classes}}
    return FailSafeWandbLogger(_start_run(run, Path(save_dir)))


def _start_run(arguments: dict[str, Any], folder: Path) -> Any:
    """Return a run online or offline, or one that keeps nothing if wandb cannot start."""
    # Reports of wandb's own errors to its makers would wait for the server once more, at exit.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    settings = wandb.Settings(
        init_timeout=INIT_TIMEOUT_S,
        finish_timeout=FINISH_TIMEOUT_S,
        finish_timeout_raises=True,
        silent=True,
        console="off",  # genspot.log holds what is printed
    )
    has_key = False
    try:
        wandb.setup(settings)
        try:
            if has_key := wandb.login(prompt=False):
                return wandb.init(**arguments, id=_run_id(folder), resume="allow")
        except Exception as error:
            log.warning(
                "Weights & Biases cannot be used online (%s): logging offline", _one_line(error)
            )
            if has_key:  # wandb keeps the id of a run that it could not start
                (folder / RUN_ID_FILE).unlink()
        run = wandb.init(**arguments, id=_run_id(folder), mode="offline")
    except Exception as error:
        log.warning(
            "Weights & Biases cannot be used (%s): metrics.csv and metrics.json have the figures",
            _one_line(error),
        )
        return wandb.init(mode="disabled")
    log.info("Weights & Biases: offline; to upload later: %s", _sync_command(run))
    return run


def _run_id(folder: Path) -> str:
    """Return the id in `folder`, or a new one that is written there."""
    file = folder / RUN_ID_FILE
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(secrets.token_hex(4) + "\n", file)
    return file.read_text(encoding="utf-8").strip()


def _table(columns: tuple[str, ...], rows: list[list[Any]]) -> wandb.Table:
    return wandb.Table(list(columns), rows)


def _precision_recall(results: Any) -> Any:
    points = _table(results.pr_columns, results.pr_points)
    return wandb.plot.line(points, "recall", "precision", "generator", "Precision over recall")


def _log_picture(run: Any, name: str, picture: Path) -> None:
    run.log({name: wandb.Image(str(picture))})


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _sync_command(run: Any) -> str:
    return f"wandb sync {shlex.quote(str(Path(run.dir).parent))}"
