"""Frozen encoders: a state dict has their digest alone, and refuses that of another one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.frozen import FrozenBackbone, FrozenEncoder
from genspot.detector.inputs.pixels import Pixels
from genspot.detector.network import DetectorNetwork, fuse_batchnorm
from genspot.detector.state_dicts import digest_of


class MeanColour(FrozenBackbone):
    def __init__(self, encoder: nn.Module) -> None:
        super().__init__(FrozenEncoder(encoder), nn.Linear(4, 1), (4,))

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.encoder(pixels.mean((2, 3)))


def make_encoder(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.9))


def make_network(seed: int = 0) -> DetectorNetwork:
    return DetectorNetwork(Pixels([0.5] * 3, [0.5] * 3), MeanColour(make_encoder(seed)))


def images(count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, 5, 6, 3), generator=generator, dtype=torch.uint8)


def test_state_dict_holds_the_head_and_a_digest_of_the_encoder() -> None:
    state = make_network().state_dict()
    assert list(state) == [
        "backbone.encoder.digest",
        "backbone.head.weight",
        "backbone.head.bias",
    ]
    assert state["backbone.encoder.digest"].shape == (32,)


def test_head_loads_into_a_network_with_the_same_encoder() -> None:
    network, other = make_network(), make_network()
    other.load_state_dict(network.state_dict())  # strictly
    assert torch.equal(network.eval()(images()), other.eval()(images()))


def test_head_of_another_encoder_is_refused() -> None:
    state = make_network(seed=1).state_dict()
    with pytest.raises(GenspotError, match=r"another encoder \(digest \w{8}\).*=FILE$") as error:
        make_network().load_state_dict(state)
    assert "\n" not in str(error.value)


def test_missing_head_is_still_an_error() -> None:
    state = make_network().state_dict()
    del state["backbone.head.bias"]
    with pytest.raises(RuntimeError, match=r"backbone\.head\.bias"):
        make_network().load_state_dict(state)


def test_digest_depends_on_each_weight_and_name() -> None:
    encoder = make_encoder()
    digests = {digest_of(encoder.state_dict())}
    for key in encoder.state_dict():
        changed = copy.deepcopy(encoder)
        changed.state_dict()[key].view(-1)[-1] += 1e-3
        digests.add(digest_of(changed.state_dict()))
    digests.add(digest_of(nn.Sequential(nn.Identity(), encoder[0]).state_dict()))
    assert len(digests) == 4


def test_encoder_is_neither_trained_nor_in_training_mode() -> None:
    network = make_network().train()
    logits = network(images())
    assert torch.equal(logits, network(images()))  # no dropout
    logits.sum().backward()
    trained = [name for name, value in network.named_parameters() if value.grad is not None]
    assert trained == ["backbone.head.weight", "backbone.head.bias"]
    assert all(
        value.requires_grad == (name in trained) for name, value in network.named_parameters()
    )


@pytest.mark.parametrize("training", [False, True])
def test_features_give_the_logits_of_their_images(training: bool) -> None:
    network = make_network().train(training)
    features = network.features(images(11))
    assert features.shape == (11, 4)
    assert features.dtype == torch.float32
    assert torch.equal(network(features), network(images(11)))
    assert network.features(features) is features


def test_features_of_a_backbone_without_a_frozen_encoder_are_refused() -> None:
    network = DetectorNetwork(Pixels([0.5] * 3, [0.5] * 3), nn.Flatten())
    with pytest.raises(GenspotError, match=r"no frozen encoder.*model=univfd"):
        network.features(images())


def test_evaluation_takes_the_network_as_it_is() -> None:
    network = make_network()
    assert fuse_batchnorm(network) is network
