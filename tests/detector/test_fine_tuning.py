"""Weights of a whole network that a training starts from, and what of them is new."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from genspot.common.errors import GenspotError
from genspot.detector.fine_tuning import load_initial_weights
from genspot.detector.network import DetectorNetwork, build_network
from helpers.detectors import make_metadata, make_model, save_checkpoint

RESNET = make_model(name="resnet18", backbone={"name": "resnet", "arch": "resnet18"})
FITTED = make_model(name="dct", input={"name": "dct_log", "size": 32})
HEAD = ["fc.weight", "fc.bias"]


def resnet18(seed: int) -> DetectorNetwork:
    torch.manual_seed(seed)
    return build_network(RESNET)


@pytest.mark.parametrize("form", ["own", "published", "prefixed", "safetensors"])
def test_weights_that_fit_are_all_taken(form: str, tmp_path: Path) -> None:
    source, network, path = resnet18(0), resnet18(1), tmp_path / "file"
    backbone = source.backbone.state_dict()
    if form == "own":
        save_checkpoint(path, make_metadata(RESNET), source.state_dict())
    elif form == "safetensors":
        contiguous = {key: value.contiguous() for key, value in backbone.items()}
        safetensors.torch.save_file(contiguous, path)
    elif form == "published":
        torch.save({"model": backbone, "optimizer": {}, "total_steps": 7}, path)
    else:
        torch.save({"state_dict": {f"module.{key}": backbone[key] for key in backbone}}, path)
    assert load_initial_weights(network, path)[0] == []
    loaded = network.backbone.state_dict()
    assert all(torch.equal(loaded[key], backbone[key]) for key in backbone)


@pytest.mark.parametrize("change", ["1000 classes", "missing", "without bias"])
def test_head_that_does_not_fit_stays_new(change: str, tmp_path: Path) -> None:
    state = resnet18(0).backbone.state_dict()
    if change == "1000 classes":
        state |= {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    for key in {"missing": HEAD, "without bias": ["fc.bias"]}.get(change, []):
        del state[key]
    torch.save(state, tmp_path / "file")
    network = resnet18(1)
    head = network.get_submodule("backbone.fc").state_dict()
    assert load_initial_weights(network, tmp_path / "file")[0] == HEAD
    loaded = network.backbone.state_dict()
    assert all(torch.equal(loaded[f"fc.{key}"], head[key]) for key in head)
    body = [key for key in loaded if key not in HEAD]
    assert all(torch.equal(loaded[key], state[key]) for key in body)


@pytest.mark.parametrize("own", [True, False])
def test_statistics_of_the_input_are_taken_where_the_file_has_them(
    own: bool, tmp_path: Path
) -> None:
    source, network = build_network(FITTED), build_network(FITTED)
    statistics = {"fitted": torch.tensor(True), "mean": torch.rand(3, 32, 32)}
    source.input.load_state_dict(source.input.state_dict() | statistics)
    if own:
        save_checkpoint(tmp_path / "file", make_metadata(FITTED), source.state_dict())
    else:
        torch.save(source.backbone.state_dict(), tmp_path / "file")
    new, _ = load_initial_weights(network, tmp_path / "file")
    assert sorted(new) == ([] if own else ["input.fitted", "input.mean", "input.std"])
    for key, value in network.input.state_dict().items():
        expected = source if own else build_network(FITTED)
        assert torch.equal(value, expected.input.state_dict()[key])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"conv1.weight": torch.zeros(64, 3, 3, 3)}, r"conv1\.weight has shape .* instead of .*"),
        ({"layer9.weight": torch.zeros(1)}, r"layer9\.weight is only in the file"),
        ({"layer1.0.bn1.bias": None}, r"layer1\.0\.bn1\.bias is missing from it"),
    ],
    ids=["shape", "additional", "missing"],
)
def test_other_layers_that_do_not_fit_are_refused_and_the_keys_named(
    change: dict[str, torch.Tensor | None], expected: str, tmp_path: Path
) -> None:
    state = {**resnet18(0).backbone.state_dict(), **change}
    state = {key: value for key, value in state.items() if value is not None}
    torch.save({"model": state}, tmp_path / "file")
    network = resnet18(1)
    before = network.state_dict()["backbone.bn1.weight"].clone()
    pattern = (
        rf"^model\.weights=\S+ does not fit .*{expected} \(the file holds model; model: conv1"
    )
    with pytest.raises(GenspotError, match=pattern):
        load_initial_weights(network, tmp_path / "file")
    assert torch.equal(network.state_dict()["backbone.bn1.weight"], before)


def test_file_without_weights_names_the_setting(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "file")
    with pytest.raises(GenspotError, match=r"^model\.weights=\S+ holds no weights, but epoch"):
        load_initial_weights(resnet18(0), tmp_path / "file")


@pytest.mark.parametrize("own", [True, False])
def test_input_that_the_weights_learned_from_is_known_of_own_files(
    own: bool, tmp_path: Path
) -> None:
    trained = replace(RESNET, input={"name": "laplacian"})
    network = build_network(trained)
    if own:
        save_checkpoint(tmp_path / "file", make_metadata(trained), network.state_dict())
    else:
        torch.save(network.backbone.state_dict(), tmp_path / "file")
    found = load_initial_weights(resnet18(0), tmp_path / "file")
    assert found == ([], {"name": "laplacian"} if own else None)
