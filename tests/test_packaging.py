"""The wheel holds everything, and runs outside a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from helpers.settings import ROOT, tiny

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = ("src", "conf", "experiments", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / "copy" / name, ignore=ignored)
        else:
            (folder / "copy").mkdir(exist_ok=True)
            shutil.copy(source, folder / "copy")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*command, "-w", str(folder), str(folder / "copy")], check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that finds the wheel's package before the checkout's."""
    site = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(site)
    return os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}


def genspot(*overrides: str, cwd: Path, env: dict[str, str]) -> str:
    """Return what the command line of the wheel prints."""
    command = [sys.executable, "-m", "genspot.tasks.main", *overrides]
    result = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_packages_of_pyproject_are_the_folders_with_code() -> None:
    folders = {file.parent for file in (ROOT / "src").rglob("*.py")}
    names = {".".join(("genspot", *path.relative_to(ROOT / "src").parts)) for path in folders}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == names | {
        "genspot.conf",
        "genspot.experiments",
    }


def test_wheel_holds_every_file_and_the_command(wheel: Path) -> None:
    content = zipfile.ZipFile(wheel)
    expected = {
        f"genspot/{file.relative_to(ROOT / 'src')}"
        for pattern in ("*.py", "*.html", "*.css", "*.safetensors", "py.typed")
        for file in (ROOT / "src").rglob(pattern)
    }
    for name in ("conf", "experiments"):
        files = (ROOT / name).rglob("*.yaml")
        expected |= {f"genspot/{file.relative_to(ROOT)}" for file in files}
    assert expected <= set(content.namelist())
    (entry_points,) = [name for name in content.namelist() if name.endswith("entry_points.txt")]
    assert "genspot = genspot.tasks.main:main" in content.read(entry_points).decode()


def test_wheel_composes_outside_the_checkout(installed: dict[str, str], tmp_path: Path) -> None:
    text = genspot("experiments=quickstart", "--cfg", "job", cwd=tmp_path, env=installed)
    assert "arch: resnet18" in text
    where = "import genspot; print(genspot.__path__[0])"
    result = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, env=installed, capture_output=True, text=True
    )
    assert Path(result.stdout.strip()).parent == Path(installed["PYTHONPATH"])


@pytest.mark.slow
def test_wheel_trains_with_configs_of_the_users_own(
    installed: dict[str, str], sets: Path, tmp_path: Path
) -> None:
    """Results lie under the working directory."""
    settings = [one for one in tiny(sets) if not one.startswith("hydra.searchpath")]
    own = ["--config-dir", str(ROOT / "tests" / "conf")]
    genspot(*own, *settings, "schedule.max_epochs=1", cwd=tmp_path, env=installed)
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "report.html").is_file()


def test_lock_file_names_versions_and_no_registry() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if "://" in line or line.startswith("-")]
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    assert {"torch", "pytorch-lightning", "hydra-core"} <= pinned


def test_compromised_releases_of_lightning_are_excluded() -> None:
    (lightning,) = [one for one in PROJECT["project"]["dependencies"] if "lightning" in one]
    assert "!=2.6.2" in lightning
    assert "!=2.6.3" in lightning
