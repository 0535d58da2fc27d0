"""What a network costs: parameters and operations against counts by hand, and its speed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genspot.detector import cost
from genspot.detector.backbones import BACKBONES
from genspot.detector.inputs.pixels import Pixels
from genspot.detector.metadata import IMAGENET
from genspot.detector.network import DetectorNetwork

CPU = torch.device("cpu")


def network_of(backbone: nn.Module) -> DetectorNetwork:
    return DetectorNetwork(Pixels(**IMAGENET), backbone)


def test_measure_cost_counts_convolutions_and_products_of_one_image() -> None:
    layers = (nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    found = cost.measure_cost(network_of(nn.Sequential(*layers, nn.Linear(4 * 4, 1))), 6, 6, CPU)
    # 2 × 2 places of 4 filters with 3 × 3 × 3 weights; then 16 products.
    assert found["gflop"] == pytest.approx((4 * 4 * 27 + 16) / 1e9, rel=1e-12)
    assert found["parameters"] == 4 * 27 + 4 + 2 * 4 + 16 + 1
    assert (found["height"], found["width"], found["device"]) == (6, 6, "cpu")
    assert found["images_per_second"] > 0


def test_measure_cost_counts_the_products_of_an_attention() -> None:
    class Attention(nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            tokens = features.flatten(2).transpose(1, 2)[:, None]  # N×1×H·W×3
            result = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
            return result.mean((1, 2))[:, :1]

    found = cost.measure_cost(network_of(Attention()), 4, 6, CPU)
    assert found["gflop"] == pytest.approx(2 * 24 * 24 * 3 / 1e9, rel=1e-12)


def test_two_stage_resnet_has_the_published_gflop() -> None:
    """2.29 GFLOP at 256 × 256 pixels count each value of a batch norm four times."""
    backbone, normalised = BACKBONES.build({"name": "two_stage_resnet50"}), []
    for layer in backbone.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(lambda _, __, out: normalised.append(out[0].numel()))
    with torch.inference_mode():
        network_of(backbone).eval()(torch.zeros(1, 256, 256, 3, dtype=torch.uint8))
    found = cost._count_gflop(network_of(backbone), torch.zeros(1, 256, 256, 3).byte())
    assert found == pytest.approx(2.2429, abs=1e-4)
    assert found + 4 * sum(normalised[: len(normalised) // 2]) / 1e9 == pytest.approx(
        2.29, abs=0.005
    )


def test_speed_is_that_of_whole_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = 0.0

        def perf_counter(self) -> float:
            return self.now

    clock = Clock()

    class Slow(nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            clock.now += 0.5 if len(features) else 0  # a branch, which torch.fx cannot trace
            return features.mean((1, 2, 3))[:, None]

    monkeypatch.setattr(cost, "time", clock)
    found = cost.measure_cost(network_of(Slow()), 4, 4, CPU)
    assert found["images_per_second"] == pytest.approx(8 / 0.5)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), MemoryError()])
def test_images_without_room_in_memory_have_no_figures(error: Exception) -> None:
    class Large(nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            raise error

    found = cost.measure_cost(network_of(Large()), 4, 4, CPU)
    assert (found["gflop"], found["images_per_second"], found["parameters"]) == (None, None, 0)
    with pytest.raises(ZeroDivisionError):
        error = ZeroDivisionError()
        cost.measure_cost(network_of(Large()), 4, 4, CPU)
