"""A detector of classes that were drawn is not taken for one of all classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from conftest import Run, tiny
from genspot.detector import checkpoint as checkpoints
from genspot.tasks import results as evaluation
from genspot.tasks import train as tasks

pytestmark = pytest.mark.usefixtures("hydra_ready")


def composed(*overrides: str) -> DictConfig:
    """As the command line composes it, which tells `HydraConfig` what was chosen."""
    cfg = compose("config", list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    return cfg


@pytest.mark.parametrize("drawn", [2, None])
def test_a_contract_names_the_data_and_how_many_classes_were_drawn(drawn: int | None) -> None:
    words = ["data=progan_20cls", *([f"data.subset={drawn}"] if drawn else [])]
    contract = tasks._contract(composed(*words))
    assert (contract["data"], contract["subset"]) == ("progan_20cls", drawn)


def without_subset(contract: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in contract.items() if key != "subset"}


@pytest.mark.parametrize("study", [None, "num_classes_random"])
def test_a_test_is_on_the_generators_of_the_data_and_its_config_tells_the_draw(
    study: str | None,
) -> None:
    words = ["data=progan_20cls", *([f"experiments={study}"] if study else [])]
    contract = tasks._contract(composed(*words, "data.subset=2"))
    test = ["task=test", "checkpoint=x"]
    cfg = tasks._as_trained(composed(*test), contract, test)
    assert (cfg.data.name, len(cfg.generator)) == ("progan_20cls", 13)
    tasks._describe(cfg, contract)
    assert (cfg.data.name, cfg.data.subset) == ("progan_20cls", 2)


def test_a_config_of_other_data_tells_the_draw_only_where_there_was_one() -> None:
    contract = tasks._contract(composed("data=progan_20cls", "data.subset=2"))
    for told, data in (
        (contract, {"name": "progan_20cls", "subset": 2}),
        (contract | {"subset": None}, {"name": "progan_20cls"}),
        (without_subset(contract), {"name": "progan_20cls"}),
    ):
        cfg = composed("task=test", "data=simulated")
        tasks._describe(cfg, told)
        assert OmegaConf.to_container(cfg.data) == data


def test_what_was_typed_does_not_change_what_was_drawn() -> None:
    for contract in (dict(checkpoints.PUBLISHED), {**checkpoints.PUBLISHED, "subset": 4}):
        cfg = composed("task=test", "data=progan_20cls", "data.subset=2")
        tasks._describe(cfg, contract)
        assert cfg.data.subset == contract.get("subset")


@pytest.mark.parametrize("crop", [224, None])
@pytest.mark.parametrize("data", ["progan_20cls", "progan_2cls"])
def test_published_figures_do_not_stand_beside_drawn_classes(data: str, crop: int | None) -> None:
    figures = {name: {"ap": 98, "ap_uncropped": 97} for name in ("blur_jpg_0.5", "progan_2cls")}
    contract = checkpoints.PUBLISHED | {"data": data, "aug": "blur_jpg_0.5"}
    spec = {"published": figures}
    declared = evaluation.published(spec, contract, crop)
    assert declared and declared["ap"] == (0.98 if crop else 0.97)
    assert evaluation.published(spec, contract | {"subset": None}, crop) == declared
    assert evaluation.published(spec, contract | {"subset": 2}, crop) is None


@pytest.mark.slow
def test_a_training_on_a_drawn_class_says_so(run: Run, sets: Path, tmp_path: Path) -> None:
    words = [*tiny(sets), "data.subset=1", "schedule.max_epochs=1", "workers=0"]
    result = run(*words, f"hydra.run.dir={tmp_path}/run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    told = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (told["trained_on"]["data"], told["trained_on"]["subset"]) == ("folder", 1)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<dd>folder, 1 random class, seed 0</dd>" in page
    assert told["title"] == "best.ckpt, trained on folder, 1 random class"
    test = ["task=test", f"checkpoint={tmp_path}/run/best.ckpt", "generator=folder", "workers=0"]
    test += [f"folder={sets}/test", "name=mine", f"hydra.run.dir={tmp_path}/test"]
    result = run(*test, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    again = json.loads((tmp_path / "test" / "metrics.json").read_text())
    assert again["trained_on"] == told["trained_on"]
    config = OmegaConf.load(tmp_path / "test" / "config.yaml")
    assert config.data == {"name": "folder", "subset": 1}
