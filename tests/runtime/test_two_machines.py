"""Two machines: two network namespaces that a virtual cable joins, each with a torchrun."""

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

from conftest import ROOT, Run

pytestmark = pytest.mark.slow

LIMIT = 540  # seconds until both must have ended
ADDRESSES = ("10.77.0.1", "10.77.0.2")  # known in the two namespaces alone


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=60)


@pytest.fixture
def machines() -> Iterator[list[str]]:
    """The names of two namespaces that reach each other through `cable`, and nothing else."""
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


def torchrun(name: str, address: str, *words: str, cwd: Path) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", name, sys.executable, "-m", "torch.distributed.run"]
    command += ["--nnodes=2", "--nproc-per-node=1", "--rdzv-id=genspot", "--rdzv-backend=c10d"]
    # Both namespaces have this machine's name, which is neither's address: each says its own, and
    # whether it is the one of the rendezvous.
    command += [f"--rdzv-endpoint={ADDRESSES[0]}:29500", f"--local-addr={address}"]
    command += [f"--rdzv-conf=is_host={address == ADDRESSES[0]}"]
    return subprocess.Popen(
        [*command, str(ROOT / "run.py"), *words],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "cable"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def together(machines: list[str], *words: str, cwd: Path) -> list[tuple[str, str]]:
    """What the same command printed on each machine, once both have ended well."""
    nodes = [
        torchrun(name, address, *words, cwd=cwd)
        for name, address in zip(machines, ADDRESSES, strict=True)
    ]
    try:
        printed = [node.communicate(timeout=LIMIT) for node in nodes]
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
    "model.weights=null",
    "preprocess.resize=null",
    "preprocess.crop=32",
    "schedule=quick",
    "schedule.max_epochs=2",
    "schedule.batch_size=8",
    "schedule.eval_batch_size=2",
    "logger=csv",
    "bootstrap.replicates=100",
    "workers=0",
]
MACHINES = ["trainer=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2"]


def test_two_machines_leave_one_set_of_results(
    machines: list[str], run: Run, tmp_path: Path
) -> None:
    both, single = tmp_path / "both", tmp_path / "single"
    words = [*TINY, f"paths.datasets={tmp_path}/datasets"]
    printed = together(machines, *words, *MACHINES, f"hydra.run.dir={both}", cwd=tmp_path)
    assert sum(out.count("95% interval") for out, _ in printed) == 1
    # Each set is built on one machine, while the other waits for it.
    titles = [line.split(":")[0] for _, err in printed for line in err.splitlines()]
    for name in ("sim_nearest", "sim_deconv4"):
        assert sum(f"building {name}, test: 100%" in err for _, err in printed) == 1, titles
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("metrics.json"))
    assert left == ["both/metrics.json"]
    assert not [*tmp_path.rglob("*.partial")]

    # One process tests the checkpoint that two machines trained: the same rows and numbers.
    test = ["task=test", f"checkpoint={both}/best.ckpt", "trainer=cpu"]
    test += [word for word in words if word.startswith(("generator", "simulation", "paths"))]
    test += [f"hydra.run.dir={single}", "bootstrap.replicates=100"]
    result = run(*test, "workers=0", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    one, two = (pq.read_table(folder / "scores.parquet") for folder in (single, both))
    assert two.drop_columns("logit").equals(one.drop_columns("logit"))
    assert two.num_rows == len(set(two["path"].to_pylist())) == 20
    np.testing.assert_allclose(two["logit"], one["logit"], rtol=0, atol=1e-6)

    # The same command again finds it finished, on both.
    again = json.loads((both / "metrics.json").read_text())
    printed = together(machines, *words, *MACHINES, f"hydra.run.dir={both}", cwd=tmp_path)
    assert json.loads((both / "metrics.json").read_text()) == again
