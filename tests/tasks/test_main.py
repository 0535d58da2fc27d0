"""The command line starts fast where there is no work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.settings import ROOT


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["--help"], "experiments=quickstart"), (["-sc", "query=bash"], "data=progan_20cls")],
)
def test_help_and_completion_do_not_import_torch(
    arguments: list[str], expected: str, tmp_path: Path
) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "run.py"), *arguments],
        cwd=tmp_path,
        env=os.environ | {"COMP_LINE": "python run.py data=progan_", "COMP_POINT": "26"},
        capture_output=True,
        text=True,
    )
    assert expected in result.stdout
    modules = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}
    assert "hydra" in modules
    assert not modules & {"torch", "numpy", "pytorch_lightning", "albumentations"}
