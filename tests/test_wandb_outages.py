"""Weights & Biases that is slow, dies or freezes: a run ends as ever and leaves nothing behind."""

from __future__ import annotations

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import wandb
from pytorch_lightning.loggers import WandbLogger

from conftest import RESNET, ROOT, tiny
from genspot.runtime import wandb_logger as wandb_logging
from genspot.runtime.wandb_logger import wandb_logger

pytestmark = [
    pytest.mark.usefixtures("wandb_alone"),
    pytest.mark.skipif(
        not Path("/proc/self/stat").is_file(), reason="processes are found in /proc"
    ),
]

ARGUMENTS: dict[str, Any] = {
    "project": "genspot",
    "group": None,
    "job_type": "train",
    "name": "a",
    "tags": [],
    "config": {},
    "classes": None,
}
STEPS = 1000
Process = subprocess.Popen[str]


def start(folder: Path, *words: str) -> Process:
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def status(pid: int) -> tuple[str, str, int]:
    """Name, state and parent of a process; one that has ended is in state Z."""
    try:
        head, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return "", "Z", 0
    state, parent, *_ = rest.split()
    return head.partition(" (")[2], state, int(parent)


def services(pid: int) -> list[int]:
    """W&B's processes below process `pid`, the one that it talks to first."""
    found, ours = {pid}, []
    for one in sorted(int(folder.name) for folder in Path("/proc").glob("[0-9]*")):
        name, state, parent = status(one)
        if parent in found and state != "Z":
            found.add(one)
            if name.startswith("wandb-"):
                ours.append(one)
    return ours


def gone(pids: list[int], within: float) -> bool:
    """Whether all have ended within so many seconds."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        pids = [pid for pid in pids if status(pid)[1] != "Z"]
        if not pids:
            return True
        time.sleep(0.1)
    return False


class StandIn(BaseHTTPRequestHandler):
    """A server that takes any key, run and figure (no tables), `delay` seconds after a request."""

    delay = 0.0
    history: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        time.sleep(self.delay)
        asked = json.loads(body) if body[:1] == b"{" else {}
        for line in asked.get("files", {}).get("wandb-history.jsonl", {}).get("content", ()):
            self.history.append(json.loads(line))
        me = {"id": "1", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}
        project = {"id": "1", "name": "genspot", "entity": {"id": "1", "name": "me"}}
        name = (asked.get("variables") or {}).get("name")
        run = {"id": "1", "name": name, "displayName": "a", "project": project}
        answers = {
            "viewer": me,
            "upsertBucket": {"bucket": run, "inserted": True},
            "createRunFiles": {"runID": "1", "uploadHeaders": [], "files": []},
        }
        text = json.dumps({"data": answers} if "query" in asked else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[StandIn]]:
    """The stand-in, and a key for it."""
    handler = type("Mine", (StandIn,), {"history": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("WANDB_API_KEY", 40 * "a")
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        yield handler
        server.shutdown()


def log_steps(logger: WandbLogger) -> None:
    """Log `STEPS` steps, which must not wait for anybody: that would take minutes, or for ever."""
    began = time.monotonic()
    for step in range(STEPS):
        logger.log_metrics({"train/loss": step}, step)
    assert time.monotonic() - began < 30


def test_a_slow_server_gets_everything_and_the_steps_do_not_wait_for_it(
    server: type[StandIn], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.delay = 0.3  # times `STEPS` it would be minutes
    logger = wandb_logger(**ARGUMENTS, save_dir=str(tmp_path))
    ours = services(os.getpid())
    log_steps(logger)
    logger.finalize("failed")
    assert not [one for one in caplog.records if one.levelname == "WARNING"]
    losses = [one["train/loss"] for one in server.history if "train/loss" in one]
    assert losses == list(range(STEPS))
    assert ours and gone(ours, within=10)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
def test_a_service_that_dies_or_freezes_costs_one_warning(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wandb_logging, "FINISH_LIMIT", 0.5)
    monkeypatch.setattr(wandb_logging, "START_LIMIT", 2.0)
    logger = wandb_logger(**ARGUMENTS, save_dir=str(tmp_path))
    ours = services(os.getpid())
    os.kill(ours[0], getattr(signal, name))
    log_steps(logger)
    logger.finalize("failed")
    (warning,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert "wandb sync" in warning.getMessage()
    assert gone(ours, within=10)


@pytest.mark.parametrize("key", ["", 40 * "a"], ids=["offline", "online"])
def test_a_service_that_is_frozen_from_the_start_is_given_up(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setattr(wandb_logging, "START_LIMIT", 0.5)
    wandb.setup()
    ours = services(os.getpid())
    os.kill(ours[0], signal.SIGSTOP)
    logger = wandb_logger(**ARGUMENTS, save_dir=str(tmp_path))
    log_steps(logger)
    logger.finalize("failed")
    warned = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert warned
    assert all("cannot be used" in line for line in warned)
    assert gone(ours, within=10)


def train(sets: Path, folder: Path, epochs: int = 3) -> Process:
    """A small training in its first epochs."""
    words = [*tiny(sets), *RESNET, "workers=0", f"schedule.max_epochs={epochs}", "logger=wandb"]
    process = start(folder, str(ROOT / "run.py"), *words, f"hydra.run.dir={folder}/run")
    curves = folder / "run" / "metrics.csv"
    while process.poll() is None and not curves.is_file():
        time.sleep(0.05)
    return process


def check_complete(folder: Path, epochs: int = 3) -> None:
    """All that a training leaves is there, and says the same."""
    figures = json.loads((folder / "metrics.json").read_text())["generators"]["mine"]
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    assert len([row for row in rows if row["val/acc"]]) == epochs
    assert float(rows[-1]["ap/mine"]) == figures["ap"]
    for name in ("scores.parquet", "report.html", "results.csv", "best.ckpt", "last.ckpt"):
        assert (folder / name).stat().st_size


@pytest.mark.parametrize(
    "name", ["SIGKILL", pytest.param("SIGSTOP", marks=pytest.mark.slow)]
)  # frozen, it is waited for as long as a server that is only slow
def test_a_training_whose_service_is_lost_ends_complete(
    name: str, sets: Path, tmp_path: Path
) -> None:
    process = train(sets, tmp_path)
    ours = services(process.pid)
    os.kill(ours[0], getattr(signal, name))
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    check_complete(tmp_path / "run")
    log = (tmp_path / "run" / "genspot.log").read_text()
    assert log.count("not everything is uploaded") == 1
    assert "Traceback" not in log + errors
    assert gone(ours, within=10)


@pytest.mark.slow
def test_a_training_on_a_slow_server_ends_complete(
    server: type[StandIn], sets: Path, tmp_path: Path
) -> None:
    server.delay = 3.0
    process = train(sets, tmp_path)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    check_complete(tmp_path / "run")
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())["generators"]["mine"]
    assert [one["ap/mine"] for one in server.history if "ap/mine" in one] == [figures["ap"]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_training_that_is_killed_leaves_no_service(
    name: str, sets: Path, tmp_path: Path
) -> None:
    process = train(sets, tmp_path, epochs=1000)
    ours = services(process.pid)
    process.send_signal(getattr(signal, name))
    process.communicate(timeout=60)
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert ours and gone(ours, within=20)
