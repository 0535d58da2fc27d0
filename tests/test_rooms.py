"""The house: data, augment and detector import nothing of one another, nor of launch."""

from __future__ import annotations

import ast
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
