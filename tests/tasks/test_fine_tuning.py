"""Trainings that start from the weights of a file: `model.weights`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from genspot.common.errors import GenspotError
from genspot.detector.checkpoint import load_checkpoint
from genspot.tasks.config import config_text
from helpers.runs import read_metrics
from helpers.settings import tiny
from helpers.tasks import composed, run_task

# So small that no weight moves.
STILL = ("schedule.optimizer.lr=1e-12", "schedule.max_epochs=1")


def own_state(folder: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(folder / "best.ckpt", weights_only=True)["state_dict"])


def test_training_starts_from_the_weights_and_records_them(
    trained: Path, sets: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = tmp_path / "weights.ckpt"
    weights.write_bytes((trained / "best.ckpt").read_bytes())
    settings = [*tiny(sets), *STILL, f"model.weights={weights}"]
    with caplog.at_level("INFO"):
        folder = run_task(*settings, folder=tmp_path / "run")
    assert f"starting from the weights of {weights}" in caplog.messages
    expected = own_state(trained)
    for key, value in own_state(folder).items():
        if key.endswith(("weight", "bias")):
            torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-9)
    assert f"weights: {weights}" in (folder / "config.yaml").read_text(encoding="utf-8")
    assert read_metrics(folder)["trained_on"]["changed"] == ["model.weights"]
    assert "changed" not in read_metrics(trained)["trained_on"]
    assert load_checkpoint(folder / "best.ckpt").metadata.changed == ("model.weights",)
    state = {"state_dict": torch.load(weights, weights_only=True)["state_dict"]}
    torch.save(state, weights)  # of another content
    with pytest.raises(GenspotError, match=r"model\.weights holds another content"):
        run_task(*settings, folder=folder)


def test_training_from_a_file_without_a_head_says_that_it_is_new(
    trained: Path, sets: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = {key.removeprefix("network."): value for key, value in own_state(trained).items()}
    kept = {key: value for key, value in state.items() if not key.startswith("backbone.8.")}
    assert len(kept) == len(state) - 2
    torch.save({"model": kept}, tmp_path / "weights.pth")
    settings = [*tiny(sets), *STILL, f"model.weights={tmp_path}/weights.pth"]
    with caplog.at_level("INFO"):
        folder = run_task(*settings, folder=tmp_path / "run")
    assert [line for line in caplog.messages if line.endswith("; new are 8.weight, 8.bias")]
    loaded = own_state(folder)
    assert torch.equal(loaded["network.backbone.0.bias"], state["backbone.0.bias"])
    assert not torch.equal(loaded["network.backbone.8.weight"], state["backbone.8.weight"])


def test_weights_that_learned_from_another_input_are_named_in_the_log(
    trained: Path, sets: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = [*tiny(sets), *STILL, f"model.weights={trained}/best.ckpt"]
    settings += ["model.name=mine", "model.input.mean=[0,0,0]"]
    with caplog.at_level("INFO"):
        run_task(*settings, folder=tmp_path / "run")
    (line,) = [line for line in caplog.messages if line.startswith("starting from the weights")]
    assert ", which learned from model.input={'name': 'pixels', 'mean': [0.485, " in line
    assert ", not from {'name': 'pixels', 'mean': [0, 0, 0], " in line


@pytest.mark.parametrize("path", [None, "a.pth"])
def test_config_of_a_run_names_the_weights_that_are_read(path: str | None, tmp_path: Path) -> None:
    """Without them it has the form of versions without the setting, whose trainings continue."""
    settings = ["model=resnet50", f"model.weights={path or 'null'}"]
    with composed(*settings, folder=tmp_path) as cfg:
        model = OmegaConf.create(config_text(cfg)).model
    weights = {} if path is None else {"weights": str(Path(path).absolute())}
    assert {key: model[key] for key in model if key == "weights"} == weights
    assert model.backbone.weights == (None if path else "imagenet")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["checkpoint=a.ckpt"], r"checkpoint=a\.ckpt is tested.*model\.weights=a\.ckpt"),
        (["model.weights=none.pth"], r"^model\.weights=none\.pth: no such file"),
        (["model.weights=7"], r"model\.weights=7: give a path"),
        (
            ["model=resnet18", "model.weights=a.pth", "model.backbone.weights=b.pth"],
            r"model\.weights=a\.pth and model\.backbone\.weights=b\.pth: give one",
        ),
        (["model.weights=${paths.output}/best.ckpt"], "best.ckpt is a file that this run writes"),
        (["schedule.teacher=${paths.output}/last.ckpt"], "last.ckpt is a file that this run writ"),
    ],
)
def test_training_with_other_weights_is_refused_before_data_are_read(
    settings: list[str], expected: str, sets: Path, tmp_path: Path
) -> None:
    with pytest.raises(GenspotError, match=expected):
        run_task(*tiny(sets), *settings, folder=tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize(
    "chosen", [["task=test", "test_sets={{a: {}}}"], ["task=predict", "inputs={}"]]
)
def test_test_with_weights_of_a_training_is_refused(
    chosen: list[str], trained: Path, tmp_path: Path
) -> None:
    settings = [f"checkpoint={trained}/best.ckpt", "model.weights=a.pth"]
    settings += [one.format(tmp_path) for one in chosen]
    with pytest.raises(GenspotError, match=r"model\.weights=a\.pth starts a training"):
        run_task(*settings, tiny(tmp_path)[1], folder=tmp_path / "run")
