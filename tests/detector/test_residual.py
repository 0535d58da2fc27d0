"""ResNets are those of torchvision: names, initial weights and bits."""

from __future__ import annotations

import pytest
import torch
import torchvision

from genspot.detector.backbones.residual import ARCHITECTURES, ResNet


def test_architectures_are_all_resnets_of_torchvision() -> None:
    names = torchvision.models.list_models(torchvision.models)
    resnets = {name for name in names if name.startswith(("resnet", "resnext", "wide_resnet"))}
    assert resnets == ARCHITECTURES.keys()


@pytest.mark.parametrize("arch", ["resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2"])
def test_resnet_equals_torchvision_to_the_bit(arch: str) -> None:
    torch.manual_seed(3)
    expected = torchvision.models.get_model(arch, weights=None)
    torch.manual_seed(3)
    network = ResNet(ARCHITECTURES[arch])
    states = expected.state_dict(), network.state_dict()
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    images = torch.randn(2, 3, 65, 47)
    with torch.inference_mode():
        assert torch.equal(network(images), expected(images))  # by the statistics of the batch
        assert torch.equal(network.eval()(images), expected.eval()(images))


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_resnet_has_the_parameters_of_torchvision(arch: str) -> None:
    with torch.device("meta"):  # shapes alone
        expected = torchvision.models.get_model(arch, weights=None)
        network = ResNet(ARCHITECTURES[arch])
    shapes = [
        [(key, value.shape) for key, value in one.state_dict().items()]
        for one in (expected, network)
    ]
    assert shapes[0] == shapes[1]
