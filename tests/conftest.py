"""Fixtures that tests of several rooms share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import initialize_config_dir

from genspot.tasks.composition import register_studies
from genspot.tasks.paths import CONF
from helpers.cli_runner import CliRunner
from helpers.images import save_image, save_set
from helpers.settings import tiny
from helpers.tasks import run_task

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # also where a test imports it first


@pytest.fixture(scope="session")
def run() -> CliRunner:
    """The command line."""
    return CliRunner()


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny training, validation and test sets, with a broken file in training and in testing and
    a test image smaller than the crop."""
    folder = tmp_path_factory.mktemp("sets")
    save_set(folder / "train" / "cat", 9, 8, seed=1)
    dogs = save_set(folder / "train" / "dog", 8, 8, seed=2)
    (dogs / "0_real" / "torn.png").write_bytes((dogs / "0_real" / "000.png").read_bytes()[:90])
    save_set(folder / "val", 6, 5, seed=3)
    test = save_set(folder / "test", 7, 6, seed=4)
    (test / "1_fake" / "broken.png").write_bytes(b"no image")
    save_image(test / "0_real" / "small.png", 5, fake=False, size=(20, 31))
    return folder


@pytest.fixture(scope="session")
def trained(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished tiny training."""
    return run_task(*tiny(sets), folder=tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture(scope="module")
def hydra_ready() -> Iterator[None]:
    """conf/ and experiments/ for `hydra.compose`."""
    register_studies()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield
