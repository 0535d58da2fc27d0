"""The benchmarks run; their figures are nobody's test."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conftest import ROOT


@pytest.mark.parametrize(
    "command",
    [
        "pipeline --count 4 --turns 1",
        pytest.param("scaling --sizes 4e3 --epoch 4000 --workers 2", marks=pytest.mark.slow),
        pytest.param("step --turns 1", marks=pytest.mark.slow),
        pytest.param(
            "gpu --device cpu --batch 2 --steps 1 --images 8 --side 64 --workers 1",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_benchmark_runs(command: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-m", *f"benchmarks.{command}".split()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr


def test_the_gpu_benchmark_says_that_there_is_no_gpu() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("bench-gpu: no CUDA device here")
