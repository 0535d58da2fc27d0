"""Backbones: networks with one logit.

A backbone is a module from floats of shape N×C×H×W to logits of shape N×1; above 0 means fake.
Its head is its last linear layer. One file defines one or several and registers each by name:

    @register_backbone("my_cnn")
    def my_cnn(width: int, weights: str | None = None) -> nn.Module: ...

A file of conf/model/ then chooses it with `backbone: {name: my_cnn, width: 16}`. An argument
named `weights` says where initial weights come from; a checkpoint is built with `weights=None`.
"""

from __future__ import annotations

from genspot.detector.registry import Registry

BACKBONES = Registry("backbone", __name__)
register_backbone = BACKBONES.register
