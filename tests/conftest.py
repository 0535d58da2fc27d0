"""Small images, and the command line as its user has it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra import initialize_config_dir
from PIL import Image
from run import register_studies

import forked

ROOT = Path(__file__).resolve().parents[1]
os.environ["GENSPOT_ROOT"] = str(ROOT)
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def save_image(path: Path, seed: int, fake: bool, size: tuple[int, int] = (40, 40)) -> None:
    """Noise; as a fake with every second pixel repeated, as nearest upsampling leaves it."""
    draws = np.random.default_rng(seed)
    pixels = draws.integers(0, 256, (*size, 3), dtype=np.uint8)
    if fake:
        pixels = pixels[::2, ::2].repeat(2, 0).repeat(2, 1)[: size[0], : size[1]]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def save_set(folder: Path, reals: int, fakes: int, seed: int = 0) -> Path:
    """A folder in the released layout."""
    for label, (half, count) in enumerate((("0_real", reals), ("1_fake", fakes))):
        (folder / half).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            name = folder / half / f"{number:03d}.png"
            save_image(name, seed * 10_000 + label * 1_000 + number, fake=bool(label))
    return folder


@pytest.fixture(scope="session")
def run() -> Run:
    """run.py with overrides, from another working directory, on one thread."""
    server = forked.server()

    def call(*overrides: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
        # One thread: the bits of a sum depend on how many threads share it.
        settings = os.environ | {"OMP_NUM_THREADS": "1", **env}
        same = settings["OMP_NUM_THREADS"] == os.environ.get("OMP_NUM_THREADS")
        if server and same and "-m" not in overrides:  # joblib's processes need a new interpreter
            return forked.run(server, list(overrides), cwd, settings, timeout=300)
        return subprocess.run(
            [sys.executable, str(ROOT / "run.py"), *overrides],
            cwd=cwd,
            env=settings,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call


TINY = (
    "data=folder",
    f"hydra.searchpath=[file://{ROOT}/tests/conf]",
    "model=small",
    "preprocess.resize=null",
    "preprocess.crop=32",
    "schedule=quick",
    "schedule.max_epochs=2",
    "schedule.batch_size=8",
    "trainer=cpu",
    "logger=csv",
    "lightning.log_every_n_steps=2",
    "bootstrap.replicates=100",
)


def with_model(words: Iterable[str], name: str, folder: Path) -> list[str]:
    """`words` with the model `name`, which lies in `folder`/model, in the place of theirs."""
    others = [word for word in words if not word.startswith(("model", "hydra.searchpath"))]
    return [*others, f"hydra.searchpath=[file://{folder}]", f"model={name}"]


def tiny(folder: Path) -> list[str]:
    """Overrides of a training run on the sets below `folder` that takes seconds."""
    places = [f"data.train={folder}/train", f"data.val={folder}/val", f"folder={folder}/test"]
    return [*TINY, *places, "name=mine"]


# Its steps and checkpoints last long enough for what comes from outside to come amid them.
RESNET = ("model=resnet18", "model.weights=null")


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny training, validation and test sets; the test set has a broken file and a small one."""
    folder = tmp_path_factory.mktemp("sets")
    save_set(folder / "train" / "cat", 9, 8, seed=1)
    dogs = save_set(folder / "train" / "dog", 8, 8, seed=2)
    (dogs / "0_real" / "torn.png").write_bytes((dogs / "0_real" / "000.png").read_bytes()[:90])
    save_set(folder / "val", 6, 5, seed=3)
    test = save_set(folder / "test", 7, 6, seed=4)
    (test / "1_fake" / "broken.png").write_bytes(b"no image")
    save_image(test / "0_real" / "small.png", 5, fake=False, size=(20, 31))
    return folder


def finished(run: Run, words: Iterable[str], folder: Path) -> Path:
    """The folder of a run of `words`, which has ended well; what it printed lies beside it."""
    result = run(*words, "workers=0", f"hydra.run.dir={folder}/run", cwd=folder)
    assert result.returncode == 0, result.stderr
    (folder / "stdout.txt").write_text(result.stdout)
    return folder / "run"


@pytest.fixture(scope="session")
def trained(run: Run, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished tiny run."""
    return finished(run, tiny(sets), tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def hydra_ready() -> Iterator[None]:
    """conf/ and experiments/ for `hydra.compose`."""
    register_studies()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


@pytest.fixture
def wandb_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Weights & Biases without a key or a home, and with a service of the test's own."""
    import wandb  # here, for most tests do without it
    from wandb.sdk.lib import module

    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    wandb.teardown()
    yield
    wandb.teardown()
    module.unset_globals()  # a run whose service was lost is still wandb.run
