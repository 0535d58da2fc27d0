"""Two machines: two network namespaces joined by a virtual cable, with a torchrun in each."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from helpers.cli_runner import CliRunner
from helpers.settings import ROOT

pytestmark = pytest.mark.slow

LIMIT_S = 540  # both must have ended by then
ADDRESSES = ("10.77.0.1", "10.77.0.2")  # known only in the two namespaces


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=60)


@pytest.fixture
def machines() -> Iterator[list[str]]:
    """The names of two namespaces whose only connection is `cable`."""
    if not shutil.which("ip") or os.geteuid() != 0:
        pytest.skip("needs root and iproute2, to make network namespaces")
    names = [f"genspot-{os.getpid()}-{number}" for number in (1, 2)]
    try:
        try:
            for name in names:
                ip("netns", "add", name)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr}")
        cable = ["link", "add", "cable", "netns", names[0], "type", "veth"]
        ip(*cable, "peer", "name", "cable", "netns", names[1])
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "cable")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", "cable", "up")
        yield names
    finally:
        for name in names:  # the cable goes with them
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, timeout=60)


def torchrun(name: str, address: str, *overrides: str, cwd: Path) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", name, sys.executable, "-m", "torch.distributed.run"]
    command += ["--nnodes=2", "--nproc-per-node=1", "--rdzv-id=genspot", "--rdzv-backend=c10d"]
    # The host name is the same in both namespaces, so each gets its address, and whether it is the
    # host of the rendezvous.
    command += [f"--rdzv-endpoint={ADDRESSES[0]}:29500", f"--local-addr={address}"]
    command += [f"--rdzv-conf=is_host={address == ADDRESSES[0]}"]
    return subprocess.Popen(
        [*command, str(ROOT / "run.py"), *overrides],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "cable"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_on_both(machines: list[str], *overrides: str, cwd: Path) -> list[tuple[str, str]]:
    """Run the same command on both machines, and return what each printed."""
    nodes = [
        torchrun(name, address, *overrides, cwd=cwd)
        for name, address in zip(machines, ADDRESSES, strict=True)
    ]
    try:
        printed = [node.communicate(timeout=LIMIT_S) for node in nodes]
    finally:
        for node in nodes:
            if node.poll() is None:
                os.killpg(node.pid, signal.SIGKILL)
    assert [node.returncode for node in nodes] == [0, 0], printed
    return printed


TINY = [
    "data=simulated",
    "generator=[sim_nearest,sim_deconv4]",
    "simulation={size: 64, seed: 0, train: 12, val: 5, test: 5}",
    "model=resnet18",
    "model.backbone.weights=null",
    "model.train={resize: null, crop: 32}",
    "model.test={resize: null, crop: 32}",
    "schedule=quick",
    "schedule.max_epochs=2",
    "schedule.batch_size=8",
    "schedule.eval_batch_size=2",
    "workers=0",
]
MACHINES = ["trainer=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2"]


def test_two_machines_leave_one_set_of_results(
    machines: list[str], run: CliRunner, tmp_path: Path
) -> None:
    both, single = tmp_path / "both", tmp_path / "single"
    overrides = [*TINY, f"paths.datasets={tmp_path}/datasets"]
    printed = run_on_both(machines, *overrides, *MACHINES, f"hydra.run.dir={both}", cwd=tmp_path)
    assert sum(out.count("metrics: ") for out, _ in printed) == 1
    # One machine builds a set while the other waits.
    for name in ("sim_nearest", "sim_deconv4"):
        assert sum(out.count(f"building {name}, test: ") for out, _ in printed) == 1, printed
    files = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("metrics.json")]
    assert files == ["both/metrics.json"]
    assert not [*tmp_path.rglob("*.partial")]

    # A test of the checkpoint by one process gives the same rows and numbers.
    test = ["task=test", f"checkpoint={both}/best.ckpt", "trainer=cpu"]
    test += [one for one in overrides if one.startswith(("generator", "simulation", "paths"))]
    test += [f"hydra.run.dir={single}"]
    result = run(*test, "workers=0", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    expected, scores = (pq.read_table(folder / "scores.parquet") for folder in (single, both))
    assert scores.drop_columns("logit").equals(expected.drop_columns("logit"))
    assert scores.num_rows == len(set(scores["path"].to_pylist())) == 20
    np.testing.assert_allclose(scores["logit"], expected["logit"], rtol=0, atol=1e-6)

    # The same command finds the run complete, on both machines.
    again = json.loads((both / "metrics.json").read_text())
    printed = run_on_both(machines, *overrides, *MACHINES, f"hydra.run.dir={both}", cwd=tmp_path)
    assert json.loads((both / "metrics.json").read_text()) == again
