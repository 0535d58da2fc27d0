"""A small release in the published form, its servers, and the command line that downloads it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from genspot.tasks.config import check_settings
from genspot.tasks.download import download
from helpers.archives import DEFLATED, STORED, cut, seven_zip_bytes, zip_bytes
from helpers.cli_runner import CliRunner
from helpers.download_faults import Fault
from helpers.download_servers import Servers, published_files
from helpers.processes import is_running
from helpers.settings import ROOT
from helpers.tasks import composed

TIMEOUT_S = 120
CLASSES = ("car", "cat", "dog")
ABOUT = {"licence": "none", "source": "https://example.org/set"}


def random_members(
    folders: Iterable[str], count: int = 6, size: int = 40_000, seed: int = 0
) -> dict[str, bytes]:
    """Return members of about `size` bytes by name, `count` in each label folder.

    Half of the bytes are random; they are no images.
    """
    source, members = random.Random(seed), {}
    for folder in folders:
        for label in ("0_real", "1_fake"):
            for number in range(count):
                half = size // 2 + source.randrange(1000)
                members[f"{folder}/{label}/{number:05d}.png"] = source.randbytes(half) + bytes(
                    half
                )
    return members


@dataclass
class Release:
    """A release that running servers have.

    Attributes:
        members: files of the archives by split and name; a run puts them below datasets/SPLIT.
        root: working directory of the runs.
    """

    servers: Servers
    members: Mapping[str, Mapping[str, bytes]]
    root: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def settings(self, *overrides: str) -> list[str]:
        """Return what stands after run.py on the command line."""
        return [f"--config-dir={self.root / 'conf'}", "task=download", *overrides]

    def start(self, *overrides: str, **env: str) -> subprocess.Popen[str]:
        """Start a run in an interpreter of its own."""
        env = os.environ | {"OMP_NUM_THREADS": "1", "no_proxy": "127.0.0.1", **env}
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), *self.settings(*overrides)],
            cwd=self.root,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # It is ignored in background processes, and what these start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.processes.append(process)
        return process

    def run(self, *overrides: str, **env: str) -> tuple[int, str]:
        """Run to the end and return the exit code and the output; it starts fast."""
        env = {"no_proxy": "127.0.0.1", **env}
        result = CliRunner()(*self.settings(*overrides), cwd=self.root, **env)
        return result.returncode, result.stdout + result.stderr

    def call(self, *overrides: str) -> None:
        """Run the task in this process; its output is that of the test."""
        conf = f"hydra.searchpath=['file://{self.root / 'conf'}']"
        settings = ("task=download", conf, f"paths.root={self.root}", *overrides)
        with composed(*settings, folder=self.root / "runs/here") as cfg:
            check_settings(cfg)
            download(cfg)

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        output, _ = process.communicate(timeout=TIMEOUT_S)
        return process.returncode, output

    def kill_when(
        self, condition: Callable[[], bool], *overrides: str, how: signal.Signals = signal.SIGKILL
    ) -> tuple[int, str]:
        """Run, send the signal as soon as `condition` holds, and return as `run` does."""
        process = self.start(*overrides)
        limit = time.monotonic() + TIMEOUT_S
        while process.poll() is None and not condition():
            assert time.monotonic() < limit
            time.sleep(0.002)
        process.send_signal(how)
        return self.finish(process)

    def wrong(self, split: str, *folders: str) -> list[str]:
        """Return files below `folders` that the archive has otherwise: missing, other, extra."""
        top = self.root / "datasets" / split
        expected = {
            name: data
            for name, data in self.members[split].items()
            if any(name.startswith(f"{folder}/") for folder in folders)
        }
        found = {
            path.relative_to(top).as_posix(): path.read_bytes()
            for folder in folders
            for path in (top / folder).rglob("*")
            if path.is_file()
        }
        return sorted(
            name
            for name in expected.keys() | found.keys()
            if expected.get(name) != found.get(name)
        )

    def files(self, split: str) -> list[str]:
        """Return the names of the files of the archive of `split`."""
        return [name for name in self.servers.files if name.startswith(f"mini_{split}.")]

    def bytes_of(self, split: str, *folders: str) -> int:
        """Return the bytes that the members of `folders` take in the archive, about."""
        names = [n for n in self.members[split] if n.split("/")[0] in folders]
        archive = zip_bytes({name: self.members[split][name] for name in names}, METHODS[split])
        return len(archive)


METHODS = {"train": STORED, "val": DEFLATED, "test": DEFLATED}


@contextmanager
def published_release(
    root: Path,
    members: Mapping[str, Mapping[str, bytes]] | None = None,
    faults: Iterable[Fault] = (),
    volumes: Mapping[str, bytes] | None = None,
    **settings: Any,
) -> Iterator[Release]:
    """Yield a release of the classes CLASSES and of the test sets mini_a and mini_b.

    data=mini are two of the classes, data=mini_all all. The run's processes end with the block.

    Args:
        root: working directory of the runs.
        members: files of the archives by split and name; None: random ones.
        faults: see `published_files`.
        volumes: the files mini_train.7z.NNN; None: made of the members.
        settings: see `published_files`.
    """
    if members is None:
        members = {
            "train": random_members(CLASSES, seed=1),
            "val": random_members(CLASSES, 3, seed=2),
            "test": random_members(("mini_a", "mini_b/car", "mini_b/cat"), 3, seed=3),
        }
    if volumes is None:
        archive = zip_bytes(members["train"], METHODS["train"])
        volumes = cut(seven_zip_bytes(archive), "mini_train.7z")
    files = {
        **volumes,
        "mini_val.zip": zip_bytes(members["val"], METHODS["val"]),
        "mini_test.zip": zip_bytes(members["test"], METHODS["test"]),
    }
    with published_files(files, faults, **settings) as servers:
        release = Release(servers, members, root)
        write_conf(release)
        try:
            yield release
        finally:
            for process in release.processes:
                if is_running(process.pid):
                    process.kill()
                process.wait()


def write_conf(release: Release) -> None:
    """Write the choices of the release into its config folder, as a user would."""
    data = {"data": ["mini", "mini_all"], "classes": list(CLASSES)}
    generators = {"mini_a": None, "mini_b": ["car", "cat"]}
    texts: dict[str, Any] = {
        "data/mini": own_data("mini", "car", "cat"),
        "data/mini_all": own_data("mini_all", *CLASSES),
        "download/mini_train": entry(release, "train", wrapper="7z", **data),
        "download/mini_val": entry(release, "val", **data),
        "download/mini_test": entry(release, "test", generators=list(generators)),
    }
    for name, classes in generators.items():
        images = sum(one.startswith(f"{name}/") for one in release.members["test"])
        path = f"${{paths.test}}/{name}"
        texts[f"generator/{name}"] = {name: {"path": path, "classes": classes, "images": images}}
    for name, content in texts.items():
        path = release.root / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        path.write_text(text, encoding="utf-8")


def own_data(name: str, *classes: str) -> str:
    return f"defaults: [progan_20cls]\n\nname: {name}\nclasses: [{', '.join(classes)}]\n"


def entry(release: Release, split: str, **about: Any) -> dict[str, Any]:
    """Return an entry of conf/download/ of files that the release's servers have."""
    servers = release.servers
    files = [
        {
            "name": name,
            "url": servers.url(name),
            "bytes": len(servers.files[name]),
            "sha256": servers.sha256(name),
        }
        for name in release.files(split)
    ]
    base = {"kind": "archive", "title": f"{split} images", **ABOUT, "split": split}
    return {**base, "members": len(release.members[split]), **about, "files": files}
