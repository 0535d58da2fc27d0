"""The benchmarks run to their end; what they measure is not tested."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.settings import ROOT


def run_benchmark(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{arguments[0]}", *arguments[1:]],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", **env},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.parametrize(
    "command",
    [
        "pipeline --count 4 --turns 1",
        "audit --count 4 --turns 1 --judged 40",
        "intervals --count 2 --populations normal --methods jackknife percentile bca",
        "clusters --count 2",
        "directory --entries 80",
        "unpack --turns 1 --count 8",
        "inputs --turns 1 --batches 1 --models small_cnn_laplacian",
        "export --turns 1 --images 2 --models ferretnet_s",
        pytest.param("scaling --sizes 4e3 --epoch 4000 --workers 2", marks=pytest.mark.slow),
        pytest.param("step --turns 1", marks=pytest.mark.slow),
        pytest.param("predict --turns 1", marks=pytest.mark.slow),
        pytest.param("serve --photos 12 --clients 4 --every 4", marks=pytest.mark.slow),
        pytest.param(
            "gpu --device cpu --batch 2 --steps 1 --images 8 --side 64 --workers 1",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_benchmark_runs(command: str) -> None:
    result = run_benchmark(*command.split())
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_soak_ends_with_the_undisturbed_bits_and_leaves_nothing(tmp_path: Path) -> None:
    result = run_benchmark("soak", "--minutes", "1", "--out", str(tmp_path / "soak.csv"))
    assert result.returncode == 0, result.stderr
    rounds = list(csv.DictReader((tmp_path / "soak.csv").open()))
    assert {(row["same"], row["processes"]) for row in rounds} == {("1", "0")}


def test_gpu_benchmark_without_gpu_says_so() -> None:
    result = run_benchmark("gpu", CUDA_VISIBLE_DEVICES="")
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].startswith("bench-gpu: no CUDA device here")
