"""One photo from the command to the verdict: time and memory, before and after, in turns.

    make bench-predict

A checkpoint of a ResNet-50 with random weights is made, and exported, and a photo of those that
ship with genspot is taken. Each turn runs `task=predict` on it in new processes: with the sources
of an earlier commit (a worktree of git, removed at the end), and with those here from the
checkpoint and from the exported file. PyTorch's import alone is measured beside them, for no
prediction with a checkpoint can take less. With `--photos N`, one further run of each scores N
photos, and both networks alone score as many in ready batches.

Wall time depends on what else the machine does; the processors' time, user and system, less so.
The memory is the highest sum over the processes of a run at one time, of their proportional set
sizes: pages that processes share count once. It is taken in a run of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.timing import print_table
from genspot.data.simulated import photographs
from genspot.detector.checkpoint import Checkpoint, load_checkpoint
from genspot.detector.exported import load_exported
from genspot.detector.metadata import PUBLISHED
from genspot.detector.network import build_network, fuse_batchnorm

ROOT = Path(__file__).resolve().parents[1]
BEFORE = "f5e108c"  # the last commit whose predictions ran under Lightning
INTERVAL = 0.1  # seconds between two looks at the memory
SIDE, BATCH = 224, 64
# Makes the sources in the folder of the first argument the package genspot.
LAUNCH = """
import importlib.util, os, sys
root = sys.argv.pop(1)
place = os.path.join(root, "src", "__init__.py")
spec = importlib.util.spec_from_file_location(
    "genspot", place, submodule_search_locations=[os.path.dirname(place)]
)
sys.modules["genspot"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
from genspot.tasks.main import main
main()
"""


class Variant(NamedTuple):
    """What is run: the sources in a folder with a checkpoint or an exported file."""

    sources: Path
    checkpoint: Path


class Cost(NamedTuple):
    """What a command took: seconds of the wall and of the processors, and MB of memory."""

    wall: float
    processor: float
    memory: float


def family(pid: int) -> list[int]:
    """Return the process `pid` and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended
        return []
    return [pid, *(one for child in children for one in family(int(child)))]


def proportional_memory(pid: int) -> float:
    """Return the proportional set size of a process in MB; 0 of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def run(command: list[str], folder: Path, memory: bool) -> Cost:
    """Run `command` in `folder` and return its cost; memory is looked at only where asked for."""
    # As installed, where modules are compiled once; the turn before the measured ones does it.
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    before, start = os.times(), time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, env=env)
    peak = 0.0
    while memory and process.poll() is None:
        peak = max(peak, sum(map(proportional_memory, family(process.pid))))
        time.sleep(INTERVAL)
    if process.wait():
        sys.exit(f"{' '.join(command[-3:])} ended with exit code {process.returncode}")
    after = os.times()
    processor = after.children_user - before.children_user
    processor += after.children_system - before.children_system
    return Cost(time.perf_counter() - start, processor, peak)


def save_checkpoint(path: Path) -> None:
    """Write a ResNet-50 with random weights to `path`, a file of safetensors."""
    torch.manual_seed(0)
    state = build_network(PUBLISHED.model).state_dict()
    Checkpoint(path, PUBLISHED, state).save(path)


def network_rate(path: Path, images: int) -> float:
    """Return the images per second of PyTorch's network alone, on ready batches."""
    network = build_network(PUBLISHED.model)
    load_checkpoint(path).load_into(network, PUBLISHED.model.name)
    network = fuse_batchnorm(network)
    batch = torch.randint(0, 256, (BATCH, SIDE, SIDE, 3), dtype=torch.uint8)
    with torch.inference_mode():
        return rate(network, batch, images)


def exported_rate(path: Path, images: int) -> float:
    """Return the same of an exported file."""
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 256, (BATCH, 3, SIDE, SIDE), np.uint8)
    return rate(load_exported(path).logits, batch, images)


def rate(forward: Callable[[Any], object], batch: Any, images: int) -> float:
    """Return the images per second of `forward` on `images` of a batch that is used again."""
    forward(batch)
    start = time.perf_counter()
    for first in range(0, images, BATCH):
        forward(batch[: images - first])
    return images / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--photos", type=int, default=0, help="also score so many photos")
    parser.add_argument("--before", default=BEFORE, help="the earlier commit")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        worktree, checkpoint = folder / "before", folder / "resnet50.safetensors"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", str(worktree), arguments.before], check=True)
        try:
            save_checkpoint(checkpoint)
            variants = {
                "before": Variant(worktree, checkpoint),
                "PyTorch": Variant(ROOT, checkpoint),
                "exported": Variant(ROOT, export(checkpoint, folder / "exported")),
            }
            measure(folder, variants, arguments)
        finally:
            subprocess.run([*git, "remove", "--force", str(worktree)], check=True)


def genspot(sources: Path, *settings: str) -> list[str]:
    """Return the command that runs the sources in a folder."""
    return [sys.executable, "-c", LAUNCH, str(sources), *settings]


def export(checkpoint: Path, folder: Path) -> Path:
    """Return the file of ONNX that `task=export` writes into `folder`."""
    settings = ["task=export", f"checkpoint={checkpoint}", f"hydra.run.dir={folder}"]
    subprocess.run(genspot(ROOT, *settings), check=True, cwd=checkpoint.parent)
    return folder / "detector.onnx"


def measure(folder: Path, variants: dict[str, Variant], arguments: argparse.Namespace) -> None:
    """Run the variants in turns and print the tables."""
    photo = folder / "photo.jpg"
    next(iter(photographs.load("train").values())).save(photo, quality=90)

    def command(name: str, inputs: Path) -> list[str]:
        if name not in variants:
            return [sys.executable, "-c", "import torch"]
        sources, checkpoint = variants[name]
        settings = ["task=predict", f"checkpoint={checkpoint}", f"inputs={inputs}", "quiet=true"]
        return genspot(sources, *settings, f"paths.root={folder}/{name}_runs")

    names = [*variants, "import torch alone"]
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    for turn in range(arguments.turns + 1):  # the first warms the files and is not counted
        for name in names:
            timed, watched = (run(command(name, photo), folder, memory) for memory in (0, 1))
            if turn:
                costs[name].append(timed._replace(memory=watched.memory))
    rows = [
        (name, *(f"{statistics.median(column):.1f}" for column in zip(*own, strict=True)))
        for name, own in costs.items()
    ]
    columns = ("one photo", "wall s", "processor s", "MB")
    print_table(f"ResNet-50 at {SIDE}, medians of {arguments.turns}", columns, rows)
    if arguments.photos:
        photos = folder / "photos"
        photos.mkdir()
        for number in range(arguments.photos):
            shutil.copy(photo, photos / f"{number:05d}.jpg")
        alone = network_rate(variants["PyTorch"].checkpoint, arguments.photos)
        onnx = exported_rate(variants["exported"].checkpoint, arguments.photos)
        rows = [("PyTorch's network alone", f"{alone:.1f}")]
        rows.append(("exported network alone", f"{onnx:.1f}"))
        for name in variants:
            cost = run(command(name, photos), folder, memory=False)
            rows.append((name, f"{arguments.photos / cost.wall:.1f}"))
        print_table(
            "from the command to its end", (f"{arguments.photos} photos", "images/s"), rows
        )


if __name__ == "__main__":
    main()
