"""~ in settings, from the command line and from files."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from genspot.tasks.composition import composed
from genspot.tasks.home import expand_home, quote_home
from genspot.tasks.overrides import parse_overrides
from helpers.cli_runner import CliRunner
from helpers.settings import SEARCH_PATH


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "my home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("checkpoint=~/a/b.ckpt", "~/a/b.ckpt"),
        ("checkpoint=~/my run/epoch=3: best.ckpt", "~/my run/epoch=3: best.ckpt"),
        ("checkpoint=~", "~"),
        ("checkpoint=~bob/x", "~bob/x"),
        ("checkpoint='~/x'", "~/x"),
        ("paths.runs=~/${seed}/x", "~/${seed}/x"),
        ("runs=[~/a,b,~/c d]", ["~/a", "b", "~/c d"]),
        ("test_sets={a: ~/b c, d:~/e, f: '~g'}", {"a": "~/b c", "d": "~/e", "f": "~g"}),
        ("+x={path: ~/a, name: b}", {"path": "~/a", "name": "b"}),
        ("checkpoint='./~/x'", "./~/x"),
        ("checkpoint=a/b", "a/b"),
        ("seed=3", 3),
    ],
)
def test_quote_home_lets_hydra_read_values_that_begin_with_a_tilde(
    argument: str, value: object
) -> None:
    (quoted,) = quote_home([argument])
    assert parse_overrides([quoted])[0].value() == value
    assert quote_home([quoted]) == [quoted]


def test_quote_home_keeps_deletions_and_quotes_each_value_of_a_sweep() -> None:
    assert quote_home(["~callbacks.last"]) == ["~callbacks.last"]
    (override,) = parse_overrides(quote_home(["checkpoint=~/a,~/b"]))
    assert [value.text for value in override.value().list] == ["~/a", "~/b"]


def test_quote_home_expands_the_folder_of_choices(home: Path) -> None:
    assert quote_home(["--config-dir=~/conf"]) == [f"--config-dir={home}/conf"]
    assert quote_home(["-cd", "~/conf", "seed=1"]) == ["-cd", f"{home}/conf", "seed=1"]


@pytest.mark.parametrize("value", ["~/c d", "file://~/c d", "'~/c d'", '"file://~/c d"'])
def test_quote_home_expands_the_search_path(value: str, home: Path) -> None:
    (quoted,) = quote_home([f"hydra.searchpath=[{value},pkg://x]"])
    scheme = "file://" if "file" in value else ""
    assert parse_overrides([quoted])[0].value() == [f"{scheme}{home}/c d", "pkg://x"]


def test_expand_home_replaces_beginnings_alone(home: Path) -> None:
    user = pwd.getpwuid(0)
    values = {"a": "~/x", "b": ["~", "./~", "a/~"], "c": {"d": {"e": f"~{user.pw_name}/y"}}}
    values |= {"f": "~nobody-of-that-name/x", "g": "${a}/z", "h": None, "i": 3, "j": "~/${i}"}
    cfg = OmegaConf.create(values)
    expand_home(cfg)
    assert OmegaConf.to_container(cfg, resolve=True) == {
        "a": f"{home}/x",
        "b": [str(home), "./~", "a/~"],
        "c": {"d": {"e": f"{user.pw_dir}/y"}},
        "f": "~nobody-of-that-name/x",
        "g": f"{home}/x/z",
        "h": None,
        "i": 3,
        "j": f"{home}/3",
    }


def test_composed_expands_every_path(home: Path) -> None:
    (home / "conf" / "generator").mkdir(parents=True)
    (home / "conf" / "generator" / "mine.yaml").write_text("mine: {path: ~/sets/mine}")
    overrides = ["checkpoint=~/a.ckpt", "inputs=~/b", "runs=[~/c,d]", "test_set.path=~/e"]
    overrides += ["data=folder", "data.train=~/f", "data.val=~/g", "paths.root=~"]
    overrides += ["model.backbone.weights=~/h.pth", "generator=[mine,folder,san]"]
    with composed(*overrides, config_dir="~/conf") as cfg:
        found = [cfg.checkpoint, cfg.inputs, *cfg.runs, cfg.data.train, cfg.data.val]
        found += [cfg.model.backbone.weights, *(spec.path for spec in cfg.generator.values())]
        found += [cfg.paths.runs, str(Path(cfg.paths.output).parent)]
    below = ["a.ckpt", "b", "c", "d", "f", "g", "h.pth", "sets/mine", "e"]
    below += ["datasets/test/san", "runs", "runs"]
    assert found == [name if name == "d" else f"{home}/{name}" for name in below]


@pytest.mark.parametrize("mode", ["run", "sweep"])
def test_command_line_makes_the_folder_of_a_run_or_sweep_in_the_home_folder(
    mode: str, run: CliRunner, home: Path, trained: Path, tmp_path: Path
) -> None:
    """Given in a file of the user's own, a study."""
    (home / "conf" / "experiments").mkdir(parents=True)
    study = "# @package _global_\nhydra: {MODE: {dir: ~/out}}\n".replace("MODE", mode)
    (home / "conf" / "experiments" / "mine.yaml").write_text(study)
    settings = ["--config-dir=~/conf", "experiments=mine", "task=report", f"runs=[{trained}]"]
    if mode == "sweep":
        settings += ["seed=0,1", "-m"]
    result = run(*settings, cwd=tmp_path, HOME=str(home))
    assert result.returncode == 0, result.stderr
    jobs = ["."] if mode == "run" else ["0_report", "1_report"]
    for job in jobs:
        assert (home / "out" / job / "report.html").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my home"]


def test_command_line_reads_a_checkpoint_and_inputs_below_the_home_folder(
    run: CliRunner, home: Path, trained: Path, sets: Path, tmp_path: Path
) -> None:
    (home / "run").symlink_to(trained)
    (home / "sets").symlink_to(sets)
    settings = ["task=predict", "checkpoint=~/run/best.ckpt", "inputs=~/sets/val", "workers=0"]
    result = run(*settings, "hydra.run.dir=~/out", SEARCH_PATH, cwd=tmp_path, HOME=str(home))
    assert result.returncode == 0, result.stderr
    assert (home / "out" / "predictions.csv").is_file()
