"""Which files are checkpoints, what their weights compute, and which do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torchvision import transforms

from genspot.common.errors import GenspotError
from genspot.detector.checkpoint import load_checkpoint
from genspot.detector.metadata import IMAGENET, PUBLISHED
from genspot.detector.network import DetectorNetwork, build_network
from helpers.detectors import make_metadata, make_model, save_checkpoint

RESNET18 = make_model(name="resnet18", backbone={"name": "resnet", "arch": "resnet18"})


def save(content: object, folder: Path) -> Path:
    torch.save(content, folder / "file.pth")
    return folder / "file.pth"


@pytest.fixture(scope="module")
def resnet50() -> nn.Module:
    """torchvision's own, with one logit."""
    torch.manual_seed(0)
    return torchvision.models.resnet50(num_classes=1).eval()


@pytest.mark.parametrize("prefixed", [False, True], ids=["", "DataParallel"])
@pytest.mark.parametrize("kind", ["published", "bare"])
def test_foreign_resnet50_gives_the_logits_of_torchvision(
    kind: str, prefixed: bool, resnet50: nn.Module, tmp_path: Path
) -> None:
    content = dict((nn.DataParallel(resnet50) if prefixed else resnet50).state_dict())
    assert all(key.startswith("module.") == prefixed for key in content)
    if kind == "published":
        content = {"model": content, "optimizer": {"state": {}}, "total_steps": 270_048}
    checkpoint = load_checkpoint(save(content, tmp_path))
    assert (checkpoint.kind, checkpoint.metadata) == (kind, PUBLISHED)
    network = build_network(checkpoint.metadata.model).eval()
    checkpoint.load_into(network, "resnet50")
    images = torch.randint(0, 256, (2, 40, 40, 3), dtype=torch.uint8)
    floats = images.permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        expected = resnet50(transforms.Normalize(**IMAGENET)(floats)).squeeze(1)
        torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_own_checkpoint_gives_the_logits_by_hand(dtype: torch.dtype, tmp_path: Path) -> None:
    """In whichever precision its weights were saved."""
    model = make_model(input={"name": "pixels", "mean": [0.5, 0.6, 0.7], "std": [1, 2, 4]})
    weights = {"backbone.2.weight": torch.tensor([[1, 2, 3]]).to(dtype)}
    weights["backbone.2.bias"] = torch.tensor([0.5], dtype=dtype)
    path = save_checkpoint(tmp_path / "a.ckpt", make_metadata(model), weights)
    checkpoint = load_checkpoint(path)
    assert (checkpoint.kind, checkpoint.metadata) == ("genspot", make_metadata(model))
    network = build_network(checkpoint.metadata.model).eval()
    checkpoint.load_into(network, "means")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 30, 3), dtype=np.uint8)
    means = (images.mean((1, 2)) / 255 - [0.5, 0.6, 0.7]) / [1, 2, 4]
    with torch.inference_mode():
        logits = network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(logits, means @ [1, 2, 3] + 0.5, rtol=0, atol=1e-5)


def test_own_network_may_have_a_part_named_module(tmp_path: Path) -> None:
    path = save_checkpoint(
        tmp_path / "a.ckpt", make_metadata(), {"backbone.module.weight": torch.ones(1)}
    )
    assert load_checkpoint(path).state.keys() == {"backbone.module.weight"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([1, 2], "holds no detector"),
        ({1: 2}, "holds no detector"),
        ({"genspot": make_metadata().as_dict()}, "state_dict is missing or empty"),
    ],
)
def test_other_content_is_refused(content: object, expected: str, tmp_path: Path) -> None:
    with pytest.raises(GenspotError, match=expected):
        load_checkpoint(save(content, tmp_path))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    for path, expected in (
        (None, "needs checkpoint=PATH"),
        (tmp_path / "none.ckpt", "no such file"),
        (tmp_path, "is a folder: name the file"),
    ):
        with pytest.raises(GenspotError, match=expected):
            load_checkpoint(path)


@pytest.mark.parametrize(
    "value",
    [
        1,
        None,
        torch.ones(9).expand(10**6, 9),
        torch.ones(3).to_sparse(),
        torch.ones(3, device="meta"),
    ],
    ids=["number", "nothing", "repeated without end", "sparse", "no values"],
)
def test_value_that_is_no_plain_tensor_is_refused(value: object, tmp_path: Path) -> None:
    state = {"conv1.weight": torch.ones(3), "fc.weight": value}
    with pytest.raises(GenspotError, match=r"has fc\.weight, which is no plain tensor"):
        load_checkpoint(save(state, tmp_path))


DIFFERENCES: dict[str, tuple[dict[str, torch.Tensor | None], str]] = {
    "classes": (
        {"fc.bias": torch.zeros(1000), "fc.weight": torch.zeros(1000, 512)},
        r"does not fit resnet18: fc\.weight has shape \(1000, 512\) instead of \(1, 512\)",
    ),
    "missing": ({"layer1.0.bn1.bias": None}, r"layer1\.0\.bn1\.bias is missing"),
    "additional": ({"fc2.bias": torch.zeros(1)}, r"fc2\.bias is only in the checkpoint"),
    "unprintable": ({"a\n\x1b[2Jb": torch.zeros(1)}, r"a\\n\\x1b\[2Jb' is only in"),
    "integers": (
        {"fc.bias": torch.zeros(1, dtype=torch.uint8)},
        r"fc\.bias is torch\.uint8, not torch\.float32",
    ),
    "NaN": ({"fc.bias": torch.tensor([torch.nan])}, r"fc\.bias' holds NaN|fc\.bias holds NaN"),
    "too large": (
        {"fc.bias": torch.tensor([1e300], dtype=torch.float64)},
        r"fc\.bias holds NaN or infinity",
    ),
}


@pytest.fixture(scope="module")
def resnet18() -> DetectorNetwork:
    return build_network(RESNET18)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_weights_that_do_not_fit_name_the_first_difference(
    name: str, resnet18: DetectorNetwork, tmp_path: Path
) -> None:
    changes, expected = DIFFERENCES[name]
    before = resnet18.backbone.state_dict()["conv1.weight"].clone()
    changed: Any = resnet18.backbone.state_dict() | {"conv1.weight": before + 1} | changes
    state = {key: value for key, value in changed.items() if value is not None}
    with pytest.raises(GenspotError, match=expected) as error:
        load_checkpoint(save(state, tmp_path)).load_into(resnet18, "resnet18")
    assert str(error.value).isprintable()
    assert torch.equal(resnet18.backbone.state_dict()["conv1.weight"], before)
