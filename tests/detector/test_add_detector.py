"""The examples of docs/add_detector.md, as a newcomer would paste them."""

from __future__ import annotations

import re

import pytest
import torch
import yaml

from genspot.detector.inputs import INPUTS
from genspot.detector.metadata import IMAGENET
from genspot.detector.network import build_network
from genspot.detector.settings import ModelSettings
from helpers.settings import ROOT

TEXT = (ROOT / "docs" / "add_detector.md").read_text(encoding="utf-8")
CLASSES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("number", range(len(CLASSES)))
def test_input_representation_of_the_docs_works(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = set(INPUTS.names())
    monkeypatch.setattr(INPUTS, "_constructors", dict(INPUTS._constructors))
    exec(CLASSES[number], {"__name__": "pasted"})
    (new,) = set(INPUTS.names()) - names
    arguments = IMAGENET if "Pixels" in CLASSES[number] else {}
    images = torch.randint(0, 256, (2, 3, 9, 7), dtype=torch.uint8)
    found = INPUTS.build({"name": new, **arguments})(images)
    assert (found.shape, found.dtype) == ((2, 3, 9, 7), torch.float32)
    assert f"model.input.name={new}" in TEXT


def test_model_of_the_docs_works() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    values = yaml.safe_load(text)
    values["backbone"]["arch"] = "test_convnext"  # a small one
    network = build_network(ModelSettings.from_dict(values)).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 64, 64, 3, dtype=torch.uint8)).shape == (2,)
