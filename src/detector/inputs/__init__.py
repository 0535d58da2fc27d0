"""Input representations: what a backbone sees of an image's pixels.

An input representation is a module from `uint8` pixels of shape N×3×H×W to floats of shape
N×C×H'×W', on the device of the pixels. One file defines one and registers it by name:

    @register_input("residual")
    class Residual(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor: ...

A file of conf/model/ then chooses it with `input: {name: residual}`; the other keys there are the
constructor's arguments. Fitted statistics belong into buffers: they travel in the checkpoint.
"""

from __future__ import annotations

from genspot.detector.registry import Registry

INPUTS = Registry("input representation", __name__)
register_input = INPUTS.register
