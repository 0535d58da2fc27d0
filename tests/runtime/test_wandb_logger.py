"""What a run tells Weights & Biases, read back from the file that it would upload."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import wandb
from experiments import dashboards
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from PIL import Image
from pytorch_lightning.loggers import CSVLogger

from conftest import ROOT
from genspot.report import dashboard as loggers
from genspot.evaluation import measures
from genspot.evaluation import metrics
from genspot.runtime import wandb_logger as wandb_logging
from genspot.report.dashboard import log_results
from genspot.evaluation.scores import write_parquet
from genspot.runtime.wandb_logger import PatientLogger, wandb_logger
from wandb_files import begun, records, values

pytestmark = pytest.mark.usefixtures("wandb_alone")

CONFIG = {
    "task": "train",
    "data": "progan_4cls",
    "aug": "none",
    "model": "resnet18",
    "schedule": "quick",
    "seed": 3,
    "study": "num_classes",
    "crop": None,
    "degrade": "none",
}
ARGUMENTS: dict[str, Any] = {
    "project": "genspot",
    "group": "num_classes",
    "job_type": "train",
    "name": "progan_4cls_none_resnet18_seed3",
    "tags": ["train", "progan_4cls", "none", "resnet18"],
    "config": CONFIG,
    "classes": ["car", "cat", "chair", "horse"],
}


def offline_runs(folder: Path) -> list[Path]:
    wandb.teardown()  # finishing a run does not wait until its service has written the last block
    return sorted((folder / "wandb").glob("offline-run-*"))


def table_file(run: Path, key: str) -> dict[str, Any]:
    (file,) = (run / "files" / "media" / "table").glob(f"{key}_*.table.json")
    return json.loads(file.read_text())


@pytest.fixture
def results(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A run's folder with scores and pictures, and the metrics that follow from the scores."""
    folder = tmp_path / "a run"
    draws = np.random.default_rng(0)
    labels = np.tile([False, True], 200)
    logits = (labels + draws.normal(size=400)).astype(np.float32)
    names = np.repeat(["san", "sitd"], 200)
    scores = pa.table(
        {
            "path": [f"{number}.png" for number in range(400)],
            "generator": pa.array(names).dictionary_encode(),
            "class": [""] * 400,
            "label": labels,
            "logit": logits,
        }
    )
    for name in ("spectra", "ranking"):
        (folder / name).mkdir(parents=True)
    write_parquet(scores, folder / "scores.parquet")
    Image.new("L", (8, 8)).save(folder / "spectra" / "san_real.png")
    Image.new("L", (8, 8), 255).save(folder / "ranking" / "san.png")
    result = metrics.evaluate(scores, ["san", "sitd", "crn"], 50, 0.95, 0)
    for name, one in result["generators"].items():
        published = {"ap": 0.5, "acc": None, "unconfirmed": False}
        one["published"] = published if name == "san" else None
    (folder / "metrics.json").write_text(json.dumps(result))
    return folder, result


def test_an_offline_run_holds_the_configuration_and_every_figure(
    results: tuple[Path, dict[str, Any]],
) -> None:
    folder, result = results
    logger = wandb_logger(**ARGUMENTS, save_dir=str(folder))
    logger.log_metrics({"train/loss": 0.5}, step=7)
    log_results(result, folder, [logger])
    (run,) = offline_runs(folder)
    start = begun(run)
    assert (start.project, start.run_group, start.job_type) == ("genspot", "num_classes", "train")
    assert (start.display_name, list(start.tags)) == (ARGUMENTS["name"], ARGUMENTS["tags"])
    assert start.run_id == (folder / "wandb_id.txt").read_text().strip()
    config = {item.key: json.loads(item.value_json) for item in start.config.update}
    assert {k: v for k, v in config.items() if k != "_wandb"} == CONFIG | {"num_classes": 4}

    summary = values(run, "summary")
    kept = json.loads((folder / "metrics.json").read_text())
    figures = [*kept["generators"].items(), ("mean", kept["mean"])]
    for name, one in figures:
        for measure in measures.MEASURES:
            assert summary.get(f"{measure}/{name}") == one[measure]
        bounds = [summary.get(f"ap_low/{name}"), summary.get(f"ap_high/{name}")]
        assert bounds == (one["ap_interval"] or [None, None])
    assert summary["train/loss"] == 0.5
    assert summary["trainer/global_step"] == 7
    assert sum(record.WhichOneof("record_type") == "exit" for record in records(run)) == 1


def test_tables_curves_and_pictures_are_media(results: tuple[Path, dict[str, Any]]) -> None:
    folder, result = results
    log_results(result, folder, [wandb_logger(**ARGUMENTS, save_dir=str(folder))])
    (run,) = offline_runs(folder)
    table = table_file(run, "ap_table")
    assert tuple(table["columns"]) == loggers.COLUMNS
    rows = {row[0]: row[1:] for row in table["data"]}
    assert list(rows) == ["san", "sitd", "crn", "mean"]
    san = result["generators"]["san"]
    first = [san["ap"], *san["ap_interval"], 0.5, san["ap"] - 0.5, san["acc"], 200]
    assert rows["san"] == pytest.approx(first)
    assert rows["crn"] == [None] * 6 + [0]

    points = np.array(table_file(run, "pr_table")["data"], dtype=object)
    for name in ("san", "sitd"):
        mine = points[points[:, 0] == name]
        assert len(mine) <= loggers.POINTS
        recall, precision = mine[:, 1].astype(float), mine[:, 2].astype(float)
        area = -np.trapezoid(precision, recall)
        assert area == pytest.approx(result["generators"][name]["ap"], abs=0.02)
        assert {0.0, 1.0} <= set(recall)
    assert not (points[:, 0] == "crn").any()
    visual = values(run, "config")["_wandb/visualize/pr"]
    assert visual["panel_config"]["panelDefId"] == "wandb/line/v0"

    pictures = {file.name for file in (run / "files" / "media" / "images").rglob("*.png")}
    assert len(pictures) == 2
    summary = values(run, "summary")
    for key in ("spectra/san_real", "ranking/san"):
        assert summary[f"{key}/_type"] == "image-file"


def test_a_second_start_goes_on_under_the_same_id(results: tuple[Path, dict[str, Any]]) -> None:
    folder, result = results
    for _ in range(2):
        log_results(result, folder, [wandb_logger(**ARGUMENTS, save_dir=str(folder))])
        time.sleep(1.1)  # W&B names its folders by the second
    first, second = offline_runs(folder)
    assert begun(first).run_id == begun(second).run_id
    assert values(second, "summary")["ap/mean"] == result["mean"]["ap"]


@pytest.mark.parametrize(
    ("classes", "subset", "counted"),
    [(["car", "cat"], None, 2), (["car", "cat"], 1, 1), ("any", None, None), (None, 3, 3)],
)
def test_classes_are_counted(
    classes: Any, subset: int | None, counted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(wandb_logging, "_begin", asked.update)
    monkeypatch.setattr(wandb_logging, "PatientLogger", lambda run: run)
    monkeypatch.setattr(wandb_logging, "_own_id", lambda folder: "id")
    wandb_logger(**ARGUMENTS | {"classes": classes, "subset": subset}, save_dir="x")
    assert asked["config"]["num_classes"] == counted


def test_the_composed_configuration_fits_the_logger(tmp_path: Path) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        words = ["data=progan_2cls", "logger=wandb", f"paths.output={tmp_path}"]
        cfg = compose("config", words, return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        plain: Any = OmegaConf.to_container(cfg.logger, resolve=True)
    arguments = plain["logger"]["wandb"]
    assert arguments.pop("_target_") == "genspot.runtime.wandb_logger.wandb_logger"
    assert arguments.keys() == ARGUMENTS.keys() | {"save_dir", "subset"}
    assert arguments["config"].keys() == CONFIG.keys()
    assert arguments["classes"] == ["chair", "horse"]
    assert (arguments["group"], arguments["job_type"]) == (None, "train")


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        taken = []

        def accept() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


class Refusal(BaseHTTPRequestHandler):
    """Takes no key."""

    def do_POST(self) -> None:
        self.send_error(401)

    do_GET = do_POST  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def refusing() -> Iterator[str]:
    """The address of a server that rejects every key."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


LOGGING = """
import json, logging, sys
from pathlib import Path
from genspot.report.dashboard import log_results
from genspot.runtime.wandb_logger import wandb_logger
logging.basicConfig(level=logging.INFO, format="%(message)s")
folder, arguments = Path(sys.argv[1]), json.loads(sys.argv[2])
logger = wandb_logger(**arguments, save_dir=str(folder))
log_results(json.loads((folder / "metrics.json").read_text()), folder, [logger])
"""


def logged(folder: Path, **env: str) -> str:
    """What a process that logs the results in `folder` says."""
    done = subprocess.run(
        [sys.executable, "-c", LOGGING, str(folder), json.dumps(ARGUMENTS)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"} | env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_server_that_never_answers_costs_a_bounded_time_and_nothing_else(
    silent: str, results: tuple[Path, dict[str, Any]]
) -> None:
    folder, result = results
    said = logged(folder, WANDB_API_KEY=40 * "a", WANDB_BASE_URL=silent)
    (run,) = offline_runs(folder)
    assert values(run, "summary")["ap/mean"] == result["mean"]["ap"]
    assert said.count("logging offline") == 1
    assert f"wandb sync '{run}'" in said


def test_a_key_that_is_rejected_leaves_the_run_offline(
    refusing: str,
    results: tuple[Path, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder, result = results
    monkeypatch.setenv("WANDB_API_KEY", 40 * "a")
    monkeypatch.setenv("WANDB_BASE_URL", refusing)
    log_results(result, folder, [wandb_logger(**ARGUMENTS, save_dir=str(folder))])
    (run,) = offline_runs(folder)
    assert values(run, "summary")["ap/mean"] == result["mean"]["ap"]
    (warning,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert "logging offline" in warning.getMessage()


def test_a_run_that_the_server_does_not_begin_keeps_its_id_offline(
    results: tuple[Path, dict[str, Any]], silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, result = results
    monkeypatch.setenv("WANDB_API_KEY", 40 * "a")
    monkeypatch.setenv("WANDB_BASE_URL", silent)
    monkeypatch.setattr(wandb_logging, "START_LIMIT", 3.0)
    monkeypatch.setattr(wandb, "login", lambda **_: True)  # it answered then
    log_results(result, folder, [wandb_logger(**ARGUMENTS, save_dir=str(folder))])
    (run,) = offline_runs(folder)
    assert begun(run).run_id == (folder / "wandb_id.txt").read_text().strip()
    assert values(run, "summary")["ap/mean"] == result["mean"]["ap"]


def test_what_wandb_raises_costs_one_warning(
    results: tuple[Path, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("No space left\non device")

    folder, result = results
    curves = CSVLogger(str(folder / "csv"), name="", version="")
    logger = wandb_logger(**ARGUMENTS, save_dir=str(folder))
    monkeypatch.setattr(wandb, "Table", fail)
    monkeypatch.setattr(wandb, "Image", fail)
    log_results(result, folder, [logger, curves])
    curves.finalize("success")
    (warning,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert "No space left on device" in warning.getMessage()
    (run,) = offline_runs(folder)
    assert values(run, "summary")["ap/mean"] == result["mean"]["ap"]
    heading, row = (folder / "csv" / "metrics.csv").read_text().splitlines()
    written = dict(zip(heading.split(","), row.split(","), strict=True))
    assert float(written["ap/san"]) == result["generators"]["san"]["ap"]


def test_a_wandb_that_hangs_does_not_slow_the_run(
    results: tuple[Path, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Hanging:
        dir = "/runs/wandb/offline-run/files"

        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *_, **__: time.sleep(3600)

    folder, result = results
    monkeypatch.setattr(wandb_logging, "WAITING", 20)
    monkeypatch.setattr(wandb_logging, "FINISH_LIMIT", 0.2)
    monkeypatch.setattr(wandb_logging, "START_LIMIT", 0.2)
    logger = PatientLogger(Hanging())
    began = time.monotonic()
    for step in range(100):
        logger.log_metrics({"train/loss": 0.5}, step=step)
    log_results(result, folder, [logger])
    assert time.monotonic() - began < 60
    (warning,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert "wandb sync /runs/wandb/offline-run" in warning.getMessage()


def test_without_a_service_there_is_a_logger_all_the_same(
    results: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, result = results
    begin = wandb.init

    def refuse(*, mode: str = "online", **wanted: Any) -> Any:
        if mode != "disabled":
            raise OSError("no service")
        return begin(mode="disabled", **wanted)

    monkeypatch.setattr(wandb, "init", refuse)
    log_results(result, folder, [wandb_logger(**ARGUMENTS, save_dir=str(folder))])
    assert not offline_runs(folder)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[tuple[str, dict[str, Any]]]:
    """Heading and panel grid of each section, as the package serialises them."""
    dashboards.main(["--entity", "me", *words])
    blocks = json.loads(capsys.readouterr().out)["spec"]["blocks"]
    named = [block for block in blocks if block["type"] in ("heading", "panel-grid")]
    headings, grids = named[::2], named[1::2]
    return [
        (heading["children"][0]["text"], grid["metadata"])
        for heading, grid in zip(headings, grids, strict=True)
    ]


def panels(grid: dict[str, Any]) -> list[dict[str, Any]]:
    return grid["panelBankSectionConfig"]["panels"]


def test_the_report_compares_augmentations_and_class_counts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sections = dict(printed(capsys))
    assert list(sections) == ["Augmentations", "Class counts", "Curves", "Media"]
    for name, choice, key, value in (
        ("Augmentations", "aug", "num_classes", 20),
        ("Class counts", "num_classes", "aug", "blur_jpg_0.5"),
    ):
        (runs,) = sections[name]["runSets"]
        kept = [
            (one["key"]["name"], one["op"], one["value"]) for one in runs["filters"]["filters"]
        ]
        assert kept == [("task", "=", "train"), (key, "=", value), ("model", "=", "resnet50")]
        assert runs["grouping"] == [{"section": "config", "name": f"{choice}.value"}]
        charts = [panel["config"] for panel in panels(sections[name])]
        assert {panel["viewType"] for panel in panels(sections[name])} == {"Bar Chart"}
        assert {(one["groupBy"], one["groupArea"]) for one in charts} == {
            (f"{choice}.value", "minmax")
        }
        everything, mean, *each = [one["metrics"] for one in charts]
        assert len(everything) == len(each) == 13
        assert mean == ["ap_low/mean", "ap/mean", "ap_high/mean"]
        assert [metrics[1] for metrics in each] == everything


def test_the_report_shows_what_a_run_logs(
    capsys: pytest.CaptureFixture[str], results: tuple[Path, dict[str, Any]]
) -> None:
    folder, result = results
    log_results(result, folder, [wandb_logger(**ARGUMENTS, save_dir=str(folder))])
    (run,) = offline_runs(folder)
    logged = values(run, "summary")
    sections = dict(printed(capsys, "--generators", "san,sitd"))
    for name in ("Augmentations", "Class counts"):
        for panel in panels(sections[name]):
            assert set(panel["config"]["metrics"]) <= logged.keys()
    drawn = [panel["config"]["metrics"] for panel in panels(sections["Curves"])]
    assert drawn == [["train/loss"], ["val/acc"], ["val/ap"]]
    table, chart, spectra, ranking = panels(sections["Media"])
    assert "ap_table" in json.dumps(table)
    assert "pr_table" in json.dumps(chart)
    for key in ("ap_table", "pr_table"):
        assert f"{key}/nrows" in logged
    assert "spectra/san_real" in spectra["config"]["mediaKeys"]
    assert "ranking/san" in ranking["config"]["mediaKeys"]


def test_the_miniature_report_compares_all_trainings(capsys: pytest.CaptureFixture[str]) -> None:
    sections = dict(printed(capsys, "--miniature"))
    for name, grid in sections.items():
        kept = [one["key"]["name"] for one in grid["runSets"][0]["filters"]["filters"]]
        assert kept == (["task"] if name in ("Augmentations", "Class counts") else [])
    everything = panels(sections["Augmentations"])[0]["config"]["metrics"]
    assert "ap/sim_nearest" in everything
    assert all(name.startswith("ap/sim_") for name in everything)


@pytest.mark.parametrize("key", ["", 40 * "a"], ids=["no key", "rejected"])
def test_a_report_that_cannot_be_saved_says_so_in_one_line(
    key: str, refusing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("WANDB_BASE_URL", refusing)
    with pytest.raises(SystemExit) as stopped:
        dashboards.main(["--entity", "me", "--save"])
    assert isinstance(stopped.value.code, str)  # printed on stderr, with exit code 1
    assert stopped.value.code.startswith("dashboards: not saved: ")
    assert "\n" not in stopped.value.code
