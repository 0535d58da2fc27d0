"""The house: data, augment and detector import nothing of one another, nor of launch."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

PACKAGES = ("data", "augment", "detector")


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_do_not_know_one_another(package: str) -> None:
    files = list((ROOT / "src" / package).rglob("*.py"))
    assert files
    for file in files:
        assert not imported(file) & ({*PACKAGES, "launch"} - {package}), file


def test_every_doc_is_free_of_registry_hosts() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert not [line for line in lines if "://" in line or line.startswith("-")]


@pytest.mark.parametrize(
    ("module", "others"),
    [
        ("genspot.tasks.report", {"torch", "pytorch_lightning", "torchmetrics", "wandb"}),
        ("genspot.tasks.train", {"wandb"}),
    ],
)
def test_what_is_slow_to_import_is_imported_where_it_is_used(
    module: str, others: set[str]
) -> None:
    """A report does without PyTorch, and a run that Weights & Biases does not log without it."""
    program = f"import sys, {module}; print(*sys.modules)"
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.split()) & others
