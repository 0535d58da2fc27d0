"""Components are found by the names under which their files register them."""

from __future__ import annotations

import pytest
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.backbones import BACKBONES
from genspot.detector.inputs import INPUTS
from genspot.detector.registry import Registry


@pytest.fixture
def registry() -> Registry:
    """A registry of one layer."""
    layers = Registry("layer", "genspot.detector.inputs")

    @layers.register("linear")
    def linear(width: int, bias: bool = True) -> nn.Module:
        return nn.Linear(width, 1, bias)

    return layers


def test_registries_find_what_their_files_register() -> None:
    assert "pixels" in INPUTS.names()
    assert {"resnet", "resnet50_antialiased", "timm"} <= set(BACKBONES.names())


def test_registry_builds_by_name(registry: Registry) -> None:
    layer = registry.build({"name": "linear", "width": 5, "bias": False})
    assert isinstance(layer, nn.Linear)
    assert (layer.in_features, layer.bias) == (5, None)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"name": "linaer", "width": 5}, "^no layer 'linaer'; registered are: linear$"),
        ({"name": ["linear"]}, "^no layer .*registered are: linear$"),
        ({}, "^no layer None"),
        ({"name": "linear"}, "^layer 'linear': missing .*'width'"),
        ({"name": "linear", "width": 5, "wide": 5}, "^layer 'linear': .*'wide'"),
    ],
)
def test_registry_with_wrong_settings_names_them(
    settings: dict[str, object], expected: str, registry: Registry
) -> None:
    with pytest.raises(GenspotError, match=expected):
        registry.build(settings)


def test_registry_refuses_a_second_component_of_a_name(registry: Registry) -> None:
    with pytest.raises(ValueError, match="layer 'linear' is registered twice"):
        registry.register("linear")(nn.Linear)
