"""Which files are checkpoints, what their weights compute, and which do not fit."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from genspot.common.errors import GenspotError
from genspot.common.geometry import Geometry
from genspot.detector.checkpoint import load_checkpoint
from genspot.detector.initial_weights import load_body, load_state_dict
from genspot.detector.metadata import IMAGENET, PUBLISHED
from genspot.detector.network import DetectorNetwork, build_network
from genspot.detector.safe_load import save_safetensors
from helpers.detectors import make_metadata, make_model, save_checkpoint


def save(content: object, folder: Path) -> Path:
    torch.save(content, folder / "file.pth")
    return folder / "file.pth"


WRAPPED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "compiled": lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
    "model": lambda state: {"model": state, "epoch": torch.tensor(3)},
    "state_dict": lambda state: {"state_dict": state, "model": {"layers": 50}},
    "all": lambda state: {
        "epoch": 3,
        "checkpoint": {
            "model_state_dict": {
                f"module._orig_mod.model.backbone.{key}": value for key, value in state.items()
            },
            "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}},
        },
    },
}


@pytest.mark.parametrize("name", WRAPPED)
def test_wrapped_resnet50_gives_a_network_with_its_weights(name: str, tmp_path: Path) -> None:
    expected = dict(torchvision.models.resnet50(num_classes=1).state_dict())
    checkpoint = load_checkpoint(save(WRAPPED[name](expected), tmp_path))
    assert checkpoint.metadata == PUBLISHED
    assert list(checkpoint.state) == [f"backbone.{key}" for key in expected]
    assert all(
        torch.equal(checkpoint.state[f"backbone.{key}"], value) for key, value in expected.items()
    )


@pytest.mark.parametrize("prefixed", [False, True], ids=["", "DataParallel"])
@pytest.mark.parametrize("published", [False, True], ids=["bare", "published"])
def test_foreign_resnet50_gives_a_network_with_its_weights(
    published: bool, prefixed: bool, tmp_path: Path
) -> None:
    resnet50 = torchvision.models.resnet50(num_classes=1)
    content = dict((nn.DataParallel(resnet50) if prefixed else resnet50).state_dict())
    assert all(key.startswith("module.") == prefixed for key in content)
    if published:
        content = {"model": content, "optimizer": {"state": {}}, "total_steps": 270_048}
    checkpoint = load_checkpoint(save(content, tmp_path))
    assert checkpoint.metadata == PUBLISHED
    network = build_network(checkpoint.metadata.model)
    checkpoint.load_into(network, "resnet50")
    expected = resnet50.state_dict()
    assert all(
        torch.equal(value, expected[key]) for key, value in network.backbone.state_dict().items()
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_own_checkpoint_gives_the_logits_by_hand(dtype: torch.dtype, tmp_path: Path) -> None:
    """In whichever precision its weights were saved."""
    model = make_model(input={"name": "pixels", "mean": [0.5, 0.6, 0.7], "std": [1, 2, 4]})
    weights = {"backbone.2.weight": torch.tensor([[1, 2, 3]]).to(dtype)}
    weights["backbone.2.bias"] = torch.tensor([0.5], dtype=dtype)
    path = save_checkpoint(tmp_path / "a.ckpt", make_metadata(model), weights)
    checkpoint = load_checkpoint(path)
    assert checkpoint.metadata == make_metadata(model)
    network = build_network(checkpoint.metadata.model).eval()
    checkpoint.load_into(network, "means")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 30, 3), dtype=np.uint8)
    means = (images.mean((1, 2)) / 255 - [0.5, 0.6, 0.7]) / [1, 2, 4]
    with torch.inference_mode():
        logits = network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(logits, means @ [1, 2, 3] + 0.5, rtol=0, atol=1e-5)


def test_own_network_may_have_a_part_named_module(tmp_path: Path) -> None:
    state = {"backbone.module.weight": torch.ones(1)}
    path = save_checkpoint(tmp_path / "a.ckpt", make_metadata(), state)
    assert load_checkpoint(path).state.keys() == state.keys()


ONES = torch.ones(3)
NO_TENSOR = r"has fc\.weight, which is no plain tensor"
FOREIGN = {
    "list": ([1, 2], "holds no weights, but a list; expected is"),
    "no names": ({1: 2}, "holds no weights, but 1; expected is"),
    "another network": (
        {"epoch": 1, "model": {f"features.{number}": ONES for number in range(6)}},
        r"no known detector, but epoch, model; model: features\.0, .*, features\.3 and 2 more; "
        "known are .* FerretNet-S .*model.weights=PATH",
    ),
    "wrapped twice": (
        {"epoch": 1, "state_dict": {"model": {"stem.weight": ONES}, "step": 2}},
        r"but epoch, state_dict; state_dict: model, step; state_dict\.model: stem\.weight; known",
    ),
    "an unusual wrapper": ({"ema": {"conv1.weight": ONES}}, "but ema; expected is"),
    "unprintable": ({"a\n\x1b[2J": ONES}, r"but 'a\\n\\x1b\[2J'; known are"),
    "no weights": ({"genspot": make_metadata().as_dict()}, "state_dict is missing or empty"),
    "a number": ({"conv1.weight": ONES, "fc.weight": 1}, NO_TENSOR),
    "one number repeated": (
        {"conv1.weight": ONES, "fc.weight": torch.ones(9).expand(10**6, 9)},
        NO_TENSOR,
    ),
    "sparse": ({"conv1.weight": ONES, "fc.weight": ONES.to_sparse()}, NO_TENSOR),
    "no values": ({"conv1.weight": ONES, "fc.weight": ONES.to("meta")}, NO_TENSOR),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_content_is_refused(name: str, tmp_path: Path) -> None:
    content, expected = FOREIGN[name]
    with pytest.raises(GenspotError, match=expected):
        load_checkpoint(save(content, tmp_path))


def test_path_without_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, expected in (
        (tmp_path / "none.ckpt", ": no such file"),
        (tmp_path, " is a folder"),
        (tmp_path / "fifo", ": not a regular file"),
        (Path(os.devnull), ": not a regular file"),
    ):
        with pytest.raises(GenspotError, match=rf"^checkpoint=\S+{expected}"):
            load_checkpoint(path)
        with pytest.raises(GenspotError, match=rf"^model\.backbone\.weights=\S+{expected}"):
            load_state_dict(path)


def test_own_weights_that_are_not_finite_name_the_first(tmp_path: Path) -> None:
    """Before a network is built of them."""
    nan = torch.tensor([torch.nan])
    state = {"backbone.2.weight": torch.ones(1, 3), "backbone.2.bias": nan, "input.scale": nan}
    path = save_checkpoint(tmp_path / "a.ckpt", make_metadata(), state)
    with pytest.raises(GenspotError, match=r"a\.ckpt is of no use: network\.backbone\.2\.bias "):
        load_checkpoint(path)


@pytest.fixture(scope="module")
def resnet18() -> DetectorNetwork:
    return build_network(
        make_model(name="resnet18", backbone={"name": "resnet", "arch": "resnet18"})
    )


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("counter", [None, torch.tensor(3.0), torch.tensor(torch.inf).half()])
def test_batch_norms_counter_may_be_missing_or_converted(
    counter: torch.Tensor | None, own: bool, resnet18: DetectorNetwork, tmp_path: Path
) -> None:
    """Old versions of PyTorch have none, and 270,048 batches are infinite in half precision."""
    state = {f"backbone.{key}": value for key, value in resnet18.backbone.state_dict().items()}
    state["backbone.bn1.weight"] = torch.full((64,), 2.0)
    for key in [key for key in state if key.endswith("num_batches_tracked")]:
        state[key] = counter  # type: ignore[assignment]
        if counter is None:
            del state[key]
    path = save({key.removeprefix("backbone."): value for key, value in state.items()}, tmp_path)
    load_body(resnet18.backbone, load_state_dict(path), ["fc.weight", "fc.bias"], "weights")
    if own:
        path = save_checkpoint(tmp_path / "a.ckpt", make_metadata(), state)
    loaded = build_network(make_model(backbone={"name": "resnet", "arch": "resnet18"}))
    load_checkpoint(path).load_into(loaded, "resnet18")
    assert torch.equal(loaded.backbone.state_dict()["bn1.weight"], state["backbone.bn1.weight"])


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("fc.weight", torch.zeros(9, 512), r"resnet18: fc\.weight has shape \(9, 512\) instead"),
        ("layer1.0.bn1.bias", None, r"layer1\.0\.bn1\.bias is missing"),
        ("fc2.bias", torch.zeros(1), r"fc2\.bias is only in the file"),
        ("a\n\x1b[2Jb", torch.zeros(1), r"a\\n\\x1b\[2Jb' is only in"),
        ("fc.bias", torch.zeros(1).byte(), r"fc\.bias is torch\.uint8, not torch\.float32"),
        ("fc.bias", torch.tensor([torch.nan]), r"fc\.bias holds NaN"),
        ("layer2.0.bn1.running_var", torch.tensor([torch.inf] * 128), "bn1.running_var holds NaN"),
        ("more", torch.tensor([torch.nan]).half(), "more holds NaN"),
        ("fc.bias", torch.tensor([1e300], dtype=torch.float64), r"fc\.bias holds NaN or infinity"),
    ],
    ids=[
        "shape",
        "missing",
        "additional",
        "unprintable",
        "integers",
        "NaN",
        "buffer",
        "half",
        "infinite",
    ],
)
def test_weights_that_do_not_fit_name_the_first_difference(
    key: str, value: Any, expected: str, resnet18: DetectorNetwork, tmp_path: Path
) -> None:
    before = resnet18.backbone.state_dict()["conv1.weight"].clone()
    state = resnet18.backbone.state_dict() | {"conv1.weight": before + 1, key: value}
    if value is None:
        del state[key]
    with pytest.raises(GenspotError, match=expected) as error:
        load_checkpoint(save(state, tmp_path)).load_into(resnet18, "resnet18")
    assert str(error.value).isprintable()
    assert torch.equal(resnet18.backbone.state_dict()["conv1.weight"], before)


def test_saved_checkpoint_is_loaded_with_its_metadata_and_weights(tmp_path: Path) -> None:
    model = make_model(train=Geometry((40, 30), 24), input={"name": "pixels", **IMAGENET})
    metadata = make_metadata(model, num_classes=3, protocol="jpeg_75", changed=("model.weights",))
    network = build_network(model)
    file = save_checkpoint(tmp_path / "best.ckpt", metadata, network.state_dict())
    load_checkpoint(file).save(tmp_path / "model.safetensors")
    loaded = load_checkpoint(tmp_path / "model.safetensors")
    assert loaded.metadata == metadata
    assert loaded.state.keys() == network.state_dict().keys()
    for key, value in network.state_dict().items():
        assert torch.equal(loaded.state[key], value), key


def test_metadata_of_a_safetensors_file_from_anybody_are_checked(tmp_path: Path) -> None:
    about = make_metadata().as_dict() | {"data": "../x"}
    save_safetensors(about, {"network.backbone.x": torch.ones(1)}, tmp_path / "file")
    with pytest.raises(GenspotError, match="has invalid metadata: data="):
        load_checkpoint(tmp_path / "file")
