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
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms

from genspot.detector.backbones import BlurPool, antialiased_resnet50, folded, resnet
from genspot.detector.checkpoint import IMAGENET
from genspot.common.errors import GenspotError
from genspot.detector.precision import precision
from genspot.detector.module import Detector


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


def reflected(self: BlurPool, features: torch.Tensor) -> torch.Tensor:
    """The filter as it was before it knew of sides of one pixel."""
    channels = features.shape[1]
    padded = functional.pad(features, (1, 1, 1, 1), mode="reflect")
    kernel = self.kernel.to(features.dtype).expand(channels, 1, 3, 3)
    return functional.conv2d(padded, kernel, stride=self.stride, groups=channels)


@pytest.mark.parametrize("height", [1, 2, 3, 16])
@pytest.mark.parametrize("width", [1, 2, 5])
def test_the_filter_mirrors_features_of_any_size(height: int, width: int) -> None:
    features = torch.randn(2, 3, height, width)
    padded = np.pad(features.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    line = np.array([1, 2, 1]) / 4
    for axis in (2, 3):
        padded = np.apply_along_axis(np.convolve, axis, padded, line, "valid")
    expected = torch.from_numpy(padded[..., ::2, ::2]).float()
    torch.testing.assert_close(BlurPool()(features), expected, atol=1e-6, rtol=0)


def test_an_antialiased_network_scores_images_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    network = settled(antialiased_resnet50)
    other = folded(network)
    sizes = [(side, side) for side in (1, 2, 3, 8, 16, 17, 33)] + [(1, 300), (300, 1), (2, 90)]
    with torch.inference_mode():
        for size in sizes:
            images = torch.randn(1, 3, *size)
            logits = network(images)
            assert logits.shape == (1, 1) and logits.isfinite().all(), size
            torch.testing.assert_close(other(images), logits, atol=1e-5, rtol=0)
        large = [torch.randn(1, 3, *size) for size in ((17, 40), (64, 64), (224, 224))]
        scored = [network(images) for images in large]
        monkeypatch.setattr(BlurPool, "forward", reflected)
        for images, logits in zip(large, scored, strict=True):
            assert torch.equal(network(images), logits)
    assert network.state_dict().keys() == resnet("resnet50").state_dict().keys()


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
    refused: dict[str, object] = {"train": {}, "val": {}}
    assert checkpoint == {"genspot": {"data": "x"}, "unreadable": refused, "learned": False}
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
    with pytest.raises(GenspotError, match=expected) as error:
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
    with pytest.raises(GenspotError, match=r"no validation image could be read \(torn\)"):
        trainer.validate(detector(), DataLoader([batch], batch_size=None), verbose=False)


def small_detector() -> Detector:
    """Of images of 4 × 4 pixels."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    sgd = functools.partial(torch.optim.SGD, lr=0.1)
    return Detector(network, IMAGENET["mean"], IMAGENET["std"], sgd)


def readable(count: int = 2) -> dict[str, object]:
    images = torch.randint(0, 256, (count, 4, 4, 3), dtype=torch.uint8)
    return {"image": images, "label": torch.arange(count) % 2, "unreadable": []}


def unreadable(*rows: int) -> dict[str, object]:
    reasons = [(row, f"torn at {row}") for row in rows]
    return {"image": None, "label": torch.empty(0, dtype=torch.int64), "unreadable": reasons}


def fit(folder: Path, batches: list[dict[str, object]], epochs: int = 1) -> Detector:
    """A detector trained on `batches`; its best checkpoint is `folder`/best.ckpt."""
    best = ModelCheckpoint(folder, filename="best", monitor="val/acc", mode="max")
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", max_epochs=epochs, callbacks=[best], **quiet)
    loaders = [DataLoader(one, batch_size=None) for one in (batches, [readable()])]
    model = small_detector()
    trainer.fit(model, *loaders)
    return model


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_epoch_without_a_readable_training_image_is_refused(tmp_path: Path) -> None:
    expected = r"\(torn at 3, and 2 more files\)"
    with pytest.raises(GenspotError, match=expected) as error:
        fit(tmp_path, [unreadable(3, 4), unreadable(3), unreadable(9)])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "best.ckpt").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("place", range(3))
def test_batches_without_a_readable_image_are_passed_over(tmp_path: Path, place: int) -> None:
    batches = [unreadable(0), unreadable(1), unreadable(2)]
    batches[place] = readable()
    model = fit(tmp_path, batches, epochs=2)
    assert (tmp_path / "best.ckpt").exists()
    assert len(model.refused["train"].unreadable) == 2
    before = small_detector().state_dict()
    assert all(not torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("learned", [True, False])
def test_an_interrupted_epoch_remembers_whether_it_has_learned(learned: bool) -> None:
    """What is left of it may hold no readable image."""
    model = small_detector()
    model.learned = learned
    checkpoint: dict[str, object] = {}
    model.on_save_checkpoint(checkpoint)
    other = small_detector()
    other.on_load_checkpoint(checkpoint)
    assert other.learned is learned
    del checkpoint["learned"]
    other.on_load_checkpoint(checkpoint)
    assert other.learned
