"""The wheel holds everything and runs outside a checkout; pinned versions are installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers.settings import ROOT, tiny

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
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
        for pattern in (
            "*.py",
            "*.html",
            "*.css",
            "*.js",
            "*.safetensors",
            "*.parquet",
            "embedded/*.yaml",
            "*.jpg",
            "*.csv",
            "*.md",
            "py.typed",
        )
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
    assert "name: small_cnn_laplacian" in text
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


def pinned_versions() -> dict[str, str]:
    """Return the version of each package of requirements.lock on this platform."""
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if "://" in line or line.startswith("-")]
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    return {pin.name: str(pin.specifier).removeprefix("==") for pin in here}


def needed_packages(requirements: Iterable[str]) -> set[str]:
    """Return the names of what `requirements` need here, as the installed packages say."""
    names: set[str] = set()
    queue = [(Requirement(text), "") for text in requirements]
    while queue:
        requirement, extra = queue.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name not in names or requirement.extras:
            names.add(name)
            needs = [Requirement(text) for text in metadata.requires(name) or []]
            queue += [(one, extra) for one in needs for extra in ("", *requirement.extras)]
    return names


def test_lock_file_pins_all_that_users_tests_and_extras_need() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    direct = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    named = {canonicalize_name(Requirement(text).name) for text in sum(extras.values(), direct)}
    names = ("c2pa", "dashboards", "export", "hub", "optuna", "slurm", "timm")
    tested = [text for name in names for text in extras[name]]
    assert named | needed_packages(direct + tested) <= pinned_versions().keys()


def test_makefile_installs_each_extra() -> None:
    (line,) = [one for one in MAKEFILE.splitlines() if one.startswith("EXTRAS := ")]
    assert line.split()[2:] == sorted(PROJECT["project"]["optional-dependencies"])


def test_cpu_builds_of_the_pinned_versions_are_taken_from_their_index_alone(
    tmp_path: Path,
) -> None:
    """The command of `make setup TORCH=cpu`, with empty wheels in place of PyTorch's index."""
    expected = {}
    for name in ("torch", "torchvision"):
        version = pinned_versions()[name]
        expected[name] = f"{version}+cpu"
        for number in ("1.0+cpu", version, expected[name], "99.0+cpu"):
            empty_wheel(tmp_path / name, name, number)
        files = (file.name for file in (tmp_path / name).iterdir())
        links = "".join(f'<a href="{file}">{file}</a>' for file in files)
        (tmp_path / name / "index.html").write_text(links, encoding="utf-8")
    printed = subprocess.run(
        ["make", "-n", "setup", "TORCH=cpu", f"VENV={tmp_path}/new"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (command,) = [line.split() for line in printed.splitlines() if "--index-url" in line]
    index = command.index("https://download.pytorch.org/whl/cpu")
    command[0], command[index] = sys.executable, tmp_path.as_uri()
    options = ["--isolated", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    result = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = [one["metadata"] for one in json.loads(result.stdout)["install"]]
    assert {one["name"]: one["version"] for one in found} == expected


def test_unknown_builds_of_torch_are_refused_in_one_line(tmp_path: Path) -> None:
    command = ["make", "--no-print-directory", "setup", "TORCH=foo"]
    command += [f"VENV={tmp_path}/new", f"PYTHON={sys.executable}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode != 0
    assert result.stdout.startswith("TORCH=foo: give cpu") and result.stdout.count("\n") == 1
    assert not list(tmp_path.iterdir())


def empty_wheel(folder: Path, name: str, version: str) -> None:
    """Write a wheel with metadata alone into `folder`, which is made."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def test_compromised_releases_of_lightning_are_excluded() -> None:
    (lightning,) = [one for one in PROJECT["project"]["dependencies"] if "lightning" in one]
    assert "!=2.6.2" in lightning
    assert "!=2.6.3" in lightning
