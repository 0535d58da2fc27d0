"""Components are found by the names under which their files register them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.backbones import BACKBONES
from genspot.detector.inputs import INPUTS
from genspot.detector.registry import Registry

FILE = """
from torch import nn
from layers_of_test import LAYERS

@LAYERS.register("linear")
def linear(width: int, bias: bool = True) -> nn.Module:
    return nn.Linear(width, 1, bias)
"""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The registry of a package with one file, which nothing imports."""
    package = tmp_path / "layers_of_test"
    package.mkdir()
    start = (
        "from genspot.detector.registry import Registry\nLAYERS = Registry('layer', __name__)\n"
    )
    (package / "__init__.py").write_text(start)
    (package / "one_file.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "layers_of_test", raising=False)
    monkeypatch.delitem(sys.modules, "layers_of_test.one_file", raising=False)
    import layers_of_test  # type: ignore[import-not-found]

    return layers_of_test.LAYERS


def test_registry_finds_what_a_file_registers(registry: Registry) -> None:
    assert registry.names() == ["linear"]
    layer = registry.build({"name": "linear", "width": 5, "bias": False})
    assert isinstance(layer, nn.Linear)
    assert (layer.in_features, layer.bias) == (5, None)


@pytest.mark.parametrize("name", ["linaer", None, ["linear"]])
def test_registry_of_unknown_name_lists_the_known(name: object, registry: Registry) -> None:
    with pytest.raises(GenspotError, match=r"no layer .*registered are: linear$"):
        registry.build({"name": name, "width": 5})


@pytest.mark.parametrize(
    ("arguments", "expected"), [({}, "missing a required .*width"), ({"wide": 5}, "width|wide")]
)
def test_registry_with_wrong_arguments_names_them(
    arguments: dict[str, object], expected: str, registry: Registry
) -> None:
    with pytest.raises(GenspotError, match=f"^layer 'linear': .*({expected})"):
        registry.build({"name": "linear", **arguments})


def test_registry_refuses_a_second_component_of_a_name(registry: Registry) -> None:
    registry.names()
    with pytest.raises(ValueError, match="layer 'linear' is registered twice"):
        registry.register("linear")(nn.Linear)


def test_registries_hold_what_conf_names() -> None:
    assert "pixels" in INPUTS.names()
    assert {"resnet", "resnet50_antialiased", "timm"} <= set(BACKBONES.names())
