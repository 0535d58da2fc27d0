"""Imports between rooms point only downward; slow libraries are imported where they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from genspot.common.geometry import Geometry
from genspot.detector.network import build_network
from helpers.arrays import make_noise
from helpers.detectors import make_metadata, make_model, save_checkpoint
from helpers.graphs import skip_without
from helpers.settings import ROOT
from helpers.tasks import run_task

SOURCE = ROOT / "src"
ALLOWED = {
    "common": set(),
    "augment": {"common"},
    "data": {"common"},
    "detector": {"common"},
    "download": {"common"},
    "evaluation": {"common"},
    "runtime": {"common"},
    "report": {"common", "evaluation"},
    "server": {"common", "report"},
    "tasks": {
        "common",
        "augment",
        "data",
        "detector",
        "download",
        "evaluation",
        "runtime",
        "report",
        "server",
    },
}
FILES = sorted(path for room in ALLOWED for path in (SOURCE / room).rglob("*.py"))
NOT_IN_ROOMS = {"hydra", "omegaconf"}  # tasks/ alone sees the configuration
MAX_LINES = 300
MAX_SHARE = 0.28  # of the code in one room: about a quarter


def imported_modules(file: Path) -> set[str]:
    """Return the dotted names of all modules that `file` imports, wherever in the file."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{file}: relative import"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def room_of(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0]


def line_count(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def test_rooms_are_all_folders_of_the_package() -> None:
    folders = {path.parent.relative_to(SOURCE).parts[0] for path in SOURCE.glob("*/**/*.py")}
    assert folders == ALLOWED.keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_file_imports_only_rooms_below_it(file: Path) -> None:
    room = room_of(file)
    parts = [module.split(".") for module in imported_modules(file)]
    rooms = {names[1] for names in parts if names[0] == "genspot" and len(names) > 1}
    assert rooms - {room} <= ALLOWED[room]
    if room != "tasks":
        assert not {names[0] for names in parts} & NOT_IN_ROOMS


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_file_is_short(file: Path) -> None:
    assert line_count(file) <= MAX_LINES


def test_room_holds_about_a_quarter_of_the_code_at_most() -> None:
    sizes = dict.fromkeys(ALLOWED, 0)
    for file in FILES:
        sizes[room_of(file)] += line_count(file)
    assert max(sizes.values()) <= MAX_SHARE * sum(sizes.values()), sizes


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("genspot", {"torch", "pyarrow", "hydra"}),
        ("genspot.tasks.main", {"torch", "pytorch_lightning", "wandb"}),
        ("genspot.tasks.report", {"torch", "pytorch_lightning", "torchmetrics", "wandb"}),
        ("genspot.evaluation.baselines", {"torch", "torchmetrics", "sklearn"}),
        ("genspot.detector.exported", {"torch", "onnx", "onnxruntime"}),
        ("genspot.tasks.predict", {"torch", "scipy", "pytorch_lightning", "pydantic"}),
        ("genspot.server.app", {"torch", "matplotlib", "hydra"}),
        ("genspot.tasks.train", {"wandb", "timm"}),
        ("genspot.data.claims.read", {"torch", "c2pa"}),
    ],
)
def test_module_does_not_import_what_it_may_not_need(module: str, absent: set[str]) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert not set(result.stdout.split()) & absent


def test_prediction_with_an_exported_file_imports_no_pytorch(tmp_path: Path) -> None:
    skip_without("onnx", "onnxruntime", "onnxscript")
    torch.manual_seed(0)
    model = make_model(test=Geometry(None, 24))
    weights = build_network(model).state_dict()
    checkpoint = save_checkpoint(tmp_path / "best.ckpt", make_metadata(model), weights)
    run_task("task=export", f"checkpoint={checkpoint}", folder=tmp_path / "exported")
    Image.fromarray(make_noise(32, 32, 0)).save(tmp_path / "photo.png")
    program = (
        "import atexit, os, sys\n"
        f"atexit.register(lambda: open({str(tmp_path / 'modules')!r}, 'w').write("
        "' '.join(sys.modules)))\n"
        "from genspot.tasks.main import main\nmain()"
    )
    file = tmp_path / "exported" / "detector.onnx"
    settings = ["task=predict", f"checkpoint={file}", f"inputs={tmp_path / 'photo.png'}"]
    command = [sys.executable, "-c", program, *settings, f"hydra.run.dir={tmp_path / 'run'}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    modules = set((tmp_path / "modules").read_text().split())
    assert "onnxruntime" in modules
    absent = {"torch", "pytorch_lightning", "albumentations", "scipy", "matplotlib"}
    assert not modules & absent
