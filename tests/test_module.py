"""The detector: what it computes from bytes, and what it keeps."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning import Trainer
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms

from detector.backbones import antialiased_resnet50, folded, resnet
from detector.checkpoints import IMAGENET
from detector.errors import DetectorError
from detector.hardware import precision
from detector.module import Detector


def detector(channels_last: bool = False) -> Detector:
    torch.manual_seed(0)
    adam = functools.partial(torch.optim.Adam, lr=1e-4)
    return Detector(
        resnet("resnet18"), IMAGENET["mean"], IMAGENET["std"], adam, channels_last=channels_last
    )


@pytest.mark.parametrize("channels_last", [False, True])
def test_logits_equal_those_of_totensor_and_normalize(channels_last: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 70, 3), dtype=np.uint8)
    model = detector(channels_last).eval()
    plain = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(IMAGENET["mean"], IMAGENET["std"])]
    )
    batch = torch.stack([plain(Image.fromarray(image)) for image in pixels])
    with torch.inference_mode():
        expected = model.network(batch).squeeze(1)
        logits = model(torch.from_numpy(pixels))
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
    assert logits.dtype == torch.float32


def settled(make: Callable[[], nn.Module]) -> nn.Module:
    """A network whose batch norms have seen images."""
    torch.manual_seed(0)
    network = make().train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, 3, 64, 64))
    return network.eval()


@pytest.mark.parametrize(
    "make", [lambda: resnet("resnet18"), lambda: resnet("resnet50"), antialiased_resnet50]
)
def test_folding_batch_norms_keeps_the_logits(make: Callable[[], nn.Module]) -> None:
    network = settled(make)
    before = copy.deepcopy(network.state_dict())
    other = folded(network)
    norms = [
        sum(isinstance(one, nn.BatchNorm2d) for one in net.modules()) for net in (network, other)
    ]
    assert norms[1] < norms[0] / 4
    images = torch.randn(5, 3, 70, 64)
    with torch.inference_mode():
        torch.testing.assert_close(other(images), network(images), atol=1e-5, rtol=0)
    for key, value in network.state_dict().items():  # the checkpoint's own network is untouched
        assert torch.equal(value, before[key])


def test_a_network_that_cannot_be_traced_is_evaluated_as_it_is() -> None:
    class Branching(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.sum((1, 2, 3)) if images.sum() > 0 else images.mean((1, 2, 3))

    network = Branching()
    assert folded(network) is network


@pytest.mark.parametrize("count", [1, 7, 8, 9, 20])
def test_evaluation_in_small_batches_gives_one_logit_an_image(count: int) -> None:
    model = detector().eval()
    images = torch.randint(0, 256, (count, 40, 40, 3), dtype=torch.uint8)
    with torch.inference_mode():
        alone = torch.cat([model(image[None]) for image in images])
        torch.testing.assert_close(model(images), alone, atol=1e-5, rtol=0)


GOLDEN = 0.776945  # torch 2.14.1 on x86-64, float32


def test_a_training_step_pins_its_loss() -> None:
    """A golden value: the recipe's first loss, on bytes drawn from a seed."""
    draws = np.random.default_rng(0)
    images = torch.from_numpy(draws.integers(0, 256, (8, 64, 64, 3), dtype=np.uint8))
    batch = {"image": images, "label": torch.tensor([0, 1] * 4), "unreadable": []}
    loss = detector().training_step(batch, 0)
    assert loss is not None
    assert loss.item() == pytest.approx(GOLDEN, abs=1e-4)


def test_a_batch_without_a_readable_image_is_skipped_and_recorded() -> None:
    model = detector()
    none = torch.zeros(0, dtype=torch.int64)
    batch = {"image": None, "label": none, "unreadable": [(3, "broken")]}
    assert model.training_step(batch, 0) is None
    model.validation_step(batch, 0)
    model.test_step(batch, 0)
    assert model.collected.unreadable == {3: "broken"}
    assert model.refused["train"].unreadable == model.refused["val"].unreadable == {3: "broken"}
    assert model.collected.rows == []


def test_precision_is_what_was_asked_for_and_auto_is_one_of_two() -> None:
    assert precision("16-mixed", "cpu") == "16-mixed"
    assert precision("auto", "cpu") in ("bf16-mixed", "32-true")


def test_checkpoint_carries_the_contract_and_no_metrics() -> None:
    model = detector()
    model.contract = {"data": "x"}
    checkpoint: dict[str, object] = {}
    model.on_save_checkpoint(checkpoint)
    assert checkpoint == {"genspot": {"data": "x"}, "unreadable": {"train": {}, "val": {}}}
    assert all(key.startswith("network.") for key in model.state_dict())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"conv1.weight": 1}, "no state dict"),
        ([1, 2], "no state dict"),
        ({"conv1.weight": torch.zeros(2)}, "conv1.weight differs"),
        (Path(), "refused: loading it would call"),
    ],
)
def test_weights_that_are_none_are_refused_in_one_line(
    content: object, expected: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(DetectorError, match=expected) as error:
        resnet("resnet18", str(tmp_path / "weights.pth"))
    assert "weights_only" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_network_starts_from_the_weights_of_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    other = resnet("resnet18")
    torch.save(other.state_dict(), tmp_path / "weights.pth")
    mine = resnet("resnet18", str(tmp_path / "weights.pth"))
    for key, value in other.state_dict().items():
        assert key.startswith("fc.weight") or torch.equal(mine.state_dict()[key], value), key


def test_validation_without_a_readable_image_is_refused() -> None:
    batch = {"image": None, "label": torch.empty(0, dtype=torch.int64)}
    batch["unreadable"] = [(0, "torn"), (1, "torn")]
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", enable_checkpointing=False, **quiet)
    with pytest.raises(DetectorError, match=r"no validation image could be read \(torn\)"):
        trainer.validate(detector(), DataLoader([batch], batch_size=None), verbose=False)
