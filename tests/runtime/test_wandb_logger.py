"""What a run logs to Weights & Biases, and that no failure of it stops or slows a run."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import wandb
from omegaconf import OmegaConf
from PIL import Image

from genspot.runtime import wandb_logger as module
from genspot.runtime.wandb_logger import wandb_logger
from helpers.fault_injection import start_training
from helpers.settings import RESNET, tiny
from helpers.tasks import composed
from helpers.wandb_files import offline_runs, records, start_record, table_file, values
from helpers.wandb_servers import AcceptingHandler

pytestmark = pytest.mark.usefixtures("isolated_wandb")

ARGUMENTS: dict[str, Any] = {
    "project": "genspot",
    "group": "num_classes",
    "job_type": "train",
    "name": "progan_4cls_none_resnet18_seed3",
    "tags": ["train", "progan_4cls", "none", "resnet18"],
    "config": {"data": "progan_4cls", "seed": 3, "crop": None},
    "classes": ["car", "cat", "chair", "horse"],
}
STEPS = 1000


@dataclass
class Results:
    """What `log_results` takes."""

    pictures: dict[str, Path] = field(default_factory=dict)
    bounds: dict[str, float] = field(default_factory=lambda: {"ap_low/san": 0.4})
    ap_columns: tuple[str, ...] = ("generator", "ap")
    ap_table: list[list[Any]] = field(default_factory=lambda: [["san", 0.5], ["mean", None]])
    pr_columns: tuple[str, ...] = ("generator", "recall", "precision")
    pr_points: list[list[Any]] = field(default_factory=lambda: [["san", 0.0, 1.0]])
    published_columns: tuple[str, ...] = ("generator", "published_ap")
    published: list[list[Any]] = field(default_factory=lambda: [["san", 0.7]])


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    own = [one for one in caplog.records if one.name.startswith("genspot")]
    return [one.getMessage() for one in own if one.levelno >= logging.WARNING]


def test_offline_run_holds_the_configuration_and_all_results(tmp_path: Path) -> None:
    picture = tmp_path / "san.png"
    Image.new("L", (8, 8)).save(picture)
    logger = wandb_logger(**ARGUMENTS, save_dir=str(tmp_path))
    logger.log_metrics({"train/loss": 0.5}, step=7)
    logger.finalize("success")  # the training ends; the results follow
    logger.log_metrics({"ap/san": 0.5})
    logger.log_results(Results(pictures={"ranking/san": picture}))
    (run,) = offline_runs(tmp_path)
    start = start_record(run)
    assert (start.project, start.run_group, start.job_type) == ("genspot", "num_classes", "train")
    assert (start.display_name, list(start.tags)) == (ARGUMENTS["name"], ARGUMENTS["tags"])
    assert start.run_id == (tmp_path / "wandb_id.txt").read_text().strip()
    config = {item.key: json.loads(item.value_json) for item in start.config.update}
    assert config.items() >= (ARGUMENTS["config"] | {"num_classes": 4}).items()
    expected = {"train/loss": 0.5, "trainer/global_step": 7, "ap/san": 0.5, "ap_low/san": 0.4}
    summary = values(run, "summary")
    assert summary.items() >= expected.items()
    assert summary["ranking/san/_type"] == "image-file"
    table = table_file(run, "ap_table")
    assert (table["columns"], table["data"]) == (["generator", "ap"], Results().ap_table)
    assert table_file(run, "pr_table")["data"] == [["san", 0, 1]]
    assert table_file(run, "published_table")["data"] == [["san", 0.7]]
    panel = values(run, "config")["_wandb/visualize/pr"]
    assert panel["panel_config"]["panelDefId"] == "wandb/line/v0"
    assert sum(record.WhichOneof("record_type") == "exit" for record in records(run)) == 1


def test_resumed_run_continues_under_the_same_id(tmp_path: Path) -> None:
    for _ in range(2):
        wandb_logger(**ARGUMENTS, save_dir=str(tmp_path)).log_results(Results())
        time.sleep(1.1)  # W&B names its folders by the second
    first, second = offline_runs(tmp_path)
    assert start_record(first).run_id == start_record(second).run_id


@pytest.mark.parametrize(
    ("classes", "num_classes", "expected"),
    [(["car", "cat"], None, 2), (["car", "cat"], 1, 1), ("any", None, None), (None, 3, 3)],
)
def test_classes_are_counted(
    classes: Any, num_classes: int | None, expected: int | None, tmp_path: Path
) -> None:
    changed = ARGUMENTS | {"classes": classes, "num_classes": num_classes}
    wandb_logger(**changed, save_dir=str(tmp_path)).finish()
    (run,) = offline_runs(tmp_path)
    config = {one.key: json.loads(one.value_json) for one in start_record(run).config.update}
    assert config["num_classes"] == expected


def test_composed_configuration_fits_the_logger(tmp_path: Path) -> None:
    with composed("data=progan_2cls", "logger=wandb", folder=tmp_path) as cfg:
        arguments: Any = OmegaConf.to_container(cfg.logger.logger.wandb, resolve=True)
    assert arguments.pop("_target_") == "genspot.runtime.wandb_logger.wandb_logger"
    assert arguments.keys() == ARGUMENTS.keys() | {"save_dir", "num_classes"}
    assert arguments["classes"] == ["chair", "horse"]


def test_server_that_never_answers_leaves_the_run_offline(
    silent_server: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(wandb, "login", lambda **_: True)  # the server answered then
    monkeypatch.setattr(module, "INIT_TIMEOUT_S", 2.0)
    began = time.monotonic()
    wandb_logger(**ARGUMENTS, save_dir=str(tmp_path)).log_results(Results())
    assert time.monotonic() - began < 30
    (warning,) = warnings(caplog)
    assert "logging offline" in warning
    (run,) = offline_runs(tmp_path)
    assert start_record(run).run_id == (tmp_path / "wandb_id.txt").read_text().strip()
    assert values(run, "summary")["ap_low/san"] == 0.4


@pytest.mark.slow  # W&B's own limit for checking a key is half a minute
def test_server_that_does_not_check_the_key_leaves_the_run_offline(
    silent_server: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wandb_logger(**ARGUMENTS, save_dir=str(tmp_path)).log_results(Results())
    (warning,) = warnings(caplog)
    assert "logging offline" in warning
    assert len(offline_runs(tmp_path)) == 1


def test_refused_key_leaves_the_run_offline(
    refusing_server: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wandb_logger(**ARGUMENTS, save_dir=str(tmp_path)).log_results(Results())
    (warning,) = warnings(caplog)
    assert "logging offline" in warning
    assert len(offline_runs(tmp_path)) == 1


def test_wandb_that_cannot_start_leaves_a_logger_that_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    init = wandb.init

    def fail(*, mode: str = "online", **arguments: Any) -> Any:
        if mode != "disabled":
            raise OSError("no service")
        return init(mode="disabled", **arguments)

    monkeypatch.setattr(wandb, "init", fail)
    wandb_logger(**ARGUMENTS, save_dir=str(tmp_path)).log_results(Results())
    (warning,) = warnings(caplog)
    assert "cannot be used (no service)" in warning
    assert not offline_runs(tmp_path)


def test_what_wandb_raises_costs_one_warning_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("No space left\non device")

    logger = wandb_logger(**ARGUMENTS, save_dir=str(tmp_path))
    monkeypatch.setattr(wandb, "Table", fail)
    monkeypatch.setattr(wandb, "Image", fail)
    logger.log_results(Results(pictures={"ranking/san": tmp_path / "san.png"}))
    (warning,) = warnings(caplog)
    assert "No space left on device" in warning
    (run,) = offline_runs(tmp_path)
    assert values(run, "summary")["ap_low/san"] == 0.4
    assert f"wandb sync {run}" in warning


def log_steps(logger: Any) -> None:
    """Log `STEPS` steps, which must not wait for the server."""
    began = time.monotonic()
    for step in range(STEPS):
        logger.log_metrics({"train/loss": step}, step)
    assert time.monotonic() - began < 30


def test_slow_server_gets_everything_and_no_step_waits_for_it(
    server: type[AcceptingHandler], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.delay = 0.3  # for each step it would be minutes
    logger = wandb_logger(**ARGUMENTS, save_dir=str(tmp_path))
    log_steps(logger)
    logger.finalize("failed")
    assert not warnings(caplog)
    losses = [one["train/loss"] for one in server.history if "train/loss" in one]
    assert losses == list(range(STEPS))


def test_server_that_is_lost_costs_a_bounded_time_and_one_warning(
    server: type[AcceptingHandler],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "FINISH_TIMEOUT_S", 2.0)
    logger = wandb_logger(**ARGUMENTS, save_dir=str(tmp_path))
    server.delay = 3600
    log_steps(logger)
    began = time.monotonic()
    logger.finish()
    assert time.monotonic() - began < 30
    (warning,) = warnings(caplog)
    assert "Timed out" in warning
    assert "wandb sync" in warning


def service_of(pid: int) -> int:
    """Return the process that W&B started below process `pid`."""
    found = subprocess.check_output(["pgrep", "-P", str(pid), "wandb"], text=True)
    return int(found.split()[0])


def test_service_that_crashes_costs_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = wandb_logger(**ARGUMENTS, save_dir=str(tmp_path))
    os.kill(service_of(os.getpid()), signal.SIGKILL)
    log_steps(logger)
    logger.log_results(Results())
    (warning,) = warnings(caplog)
    assert "wandb sync" in warning


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["crashed service", "slow server"])
def test_training_ends_complete(
    fault: str, server: type[AcceptingHandler], sets: Path, tmp_path: Path
) -> None:
    server.delay = 3.0 if fault == "slow server" else 0.0
    overrides = [*tiny(sets), *RESNET, "schedule.max_epochs=3", "logger=wandb"]
    process = start_training([*overrides, f"hydra.run.dir={tmp_path}/run"], tmp_path)
    if fault == "crashed service":
        os.kill(service_of(process.pid), signal.SIGKILL)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    run = tmp_path / "run"
    figures = json.loads((run / "metrics.json").read_text())["generators"]["mine"]
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert len([row for row in rows if row["val/acc"]]) == 3
    assert float(rows[-1]["ap/mine"]) == figures["ap"]
    for name in ("scores.parquet", "report.html", "results.csv", "best.ckpt", "last.ckpt"):
        assert (run / name).stat().st_size
    log = (run / "genspot.log").read_text()
    assert log.count("not everything is uploaded") == 1  # the server of the test takes no tables
    assert "Traceback" not in log + output
    if fault == "slow server":
        uploaded = [one["ap/mine"] for one in server.history if "ap/mine" in one]
        assert uploaded == [figures["ap"]]
