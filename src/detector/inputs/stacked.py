"""Several input representations of the same pixels, one behind the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.inputs import INPUTS, register_input
from genspot.detector.inputs.fitted import FittedInput


@register_input("stacked")
class Stacked(nn.Module):
    """The channels of several input representations, in the order of `parts`.

    Args:
        parts: name and settings of each, such as [{name: pixels, mean: …, std: …},
            {name: laplacian}]; all give the size of the image.

    Raises:
        GenspotError: no parts, a part that is not registered, or one with statistics of the
            training set, which nothing would fit here.
    """

    def __init__(self, parts: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        if not isinstance(parts, list | tuple) or not parts:
            raise GenspotError(f"model.input.parts={parts}: give a list of input representations")
        built = []
        for number, part in enumerate(parts):
            if not isinstance(part, Mapping) or part.get("name") == "stacked":
                raise GenspotError(
                    f"model.input.parts[{number}]={part}: give the name and the settings of an "
                    "input representation other than stacked"
                )
            try:
                built.append(INPUTS.build(part))
            except GenspotError as error:
                raise GenspotError(f"model.input.parts[{number}]: {error}") from error
            if isinstance(built[-1], FittedInput):
                raise GenspotError(
                    f"model.input.parts[{number}]: {part['name']} has statistics that are fitted "
                    "to the training set, and can only stand alone"
                )
        self.parts = nn.ModuleList(built)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return floats N×C×H×W of `uint8` pixels N×3×H×W; C is the sum of the channels."""
        return torch.cat([part(pixels) for part in self.parts], dim=1)
