"""Files in the form of published ones: known by their entries, whatever wraps them.

No file of the authors is read. Their names and shapes are facts; the weights here are random.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.backbones import BACKBONES
from genspot.detector.checkpoint import load_checkpoint
from genspot.detector.network import build_network
from genspot.detector.published_files import PUBLISHED_FILES

State = dict[str, torch.Tensor]

MODELS = {one.metadata.model.name: one.metadata.model for one in PUBLISHED_FILES}
WRAPPED: dict[str, Callable[[State], Any]] = {
    "alone": lambda state: state,
    "model": lambda state: {"model": state, "optimizer": {"state": {}}},
    "nested": lambda state: {"epoch": 9, "state_dict": {"model": state}},
    "DataParallel": lambda state: {"model": {f"module.{key}": state[key] for key in state}},
    "compiled": lambda state: {f"model._orig_mod.{key}": state[key] for key in state},
    "model_state_dict": lambda state: {
        "model_state_dict": {f"backbone.{key}": state[key] for key in state}
    },
}


def random_state(name: str) -> State:
    """Return a state dict of the authors' form, with two logits for SAFE."""
    torch.manual_seed(0)
    assert MODELS[name].backbone is not None
    backbone = BACKBONES.build(MODELS[name].backbone)
    if name == "safe":
        backbone.fc1 = nn.Linear(512, 2)
    return dict(backbone.state_dict())


CASES = [(name, "model") for name in MODELS]  # of the large ones, one each
CASES += [("ferretnet_s", wrapper) for wrapper in WRAPPED if wrapper != "model"]
CASES += [("safe", "alone"), ("npr", "DataParallel")]


@pytest.mark.parametrize(("name", "wrapper"), CASES)
def test_file_of_a_published_form_gives_its_model_and_weights(
    name: str, wrapper: str, tmp_path: Path
) -> None:
    state = random_state(name)
    torch.save(WRAPPED[wrapper](state), tmp_path / "file.pth")
    checkpoint = load_checkpoint(tmp_path / "file.pth")
    assert checkpoint.metadata.model == MODELS[name]
    network = build_network(checkpoint.metadata.model)
    checkpoint.load_into(network, name)
    loaded = network.backbone.state_dict()
    assert loaded.keys() == state.keys()
    for key in [key for key in state if not (name == "safe" and key.startswith("fc1"))]:
        assert torch.equal(loaded[key], state[key])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_two_logits_become_the_log_odds_of_their_softmax(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    state = {key: value.to(dtype) for key, value in random_state("safe").items()}
    torch.save(state, tmp_path / "file.pth")
    checkpoint = load_checkpoint(tmp_path / "file.pth")
    network = build_network(checkpoint.metadata.model)
    checkpoint.load_into(network, "safe")
    features = torch.randn(9, 512)
    logits = features @ state["fc1.weight"].float().T + state["fc1.bias"].float()
    probability = logits.double().softmax(1)[:, 1]  # of fake
    found = network.get_submodule("backbone.fc1")(features)[:, 0]
    torch.testing.assert_close(found.double().sigmoid(), probability, rtol=0, atol=1e-6)


@pytest.mark.parametrize("bias", [torch.tensor(1.0), torch.zeros(1), torch.zeros(2).int()])
def test_head_that_has_not_two_logits_is_named(bias: torch.Tensor, tmp_path: Path) -> None:
    torch.save(random_state("safe") | {"fc1.bias": bias}, tmp_path / "file.pth")
    checkpoint = load_checkpoint(tmp_path / "file.pth")
    network = build_network(checkpoint.metadata.model)
    with pytest.raises(GenspotError, match=r"does not fit 'safe': fc1\.weight has shape \(2, 51"):
        checkpoint.load_into(network, "'safe'")


@pytest.mark.parametrize(
    ("name", "key", "shape"),
    [("ferretnet_s", "cbr2.0.weight", (48, 24, 3, 3)), ("npr", "fc1.weight", (3, 512))],
)
def test_file_of_another_form_is_refused_and_its_keys_named(
    name: str, key: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    state = random_state(name) | {key: torch.zeros(shape)}
    torch.save({"model": state}, tmp_path / "file.pth")
    first = next(iter(state)).replace(".", r"\.")
    with pytest.raises(GenspotError, match=rf"no known detector, but model; model: {first}"):
        load_checkpoint(tmp_path / "file.pth")


def test_file_of_a_known_form_that_does_not_fit_names_its_keys(tmp_path: Path) -> None:
    state = {"conv1.weight": torch.zeros(64, 3, 7, 7), "fc.weight": torch.zeros(1, 2048)}
    torch.save({"model": state}, tmp_path / "file.pth")
    checkpoint = load_checkpoint(tmp_path / "file.pth")
    network = build_network(checkpoint.metadata.model)
    with pytest.raises(GenspotError, match=r"missing from it \(it holds conv1\.weight, fc\.weig"):
        checkpoint.load_into(network, "resnet50")
