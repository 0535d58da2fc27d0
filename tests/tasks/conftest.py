"""Fixtures that tests of several tasks share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genspot.detector.backbones.resnet import resnet


@pytest.fixture(scope="session")
def published_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint in the published form, with random weights."""
    torch.manual_seed(0)
    network = resnet("resnet50")
    network.fc.weight.data.mul_(0.01)  # logits of a usual size: at 80, float32 has steps of 1e-5
    content = {"model": network.state_dict(), "optimizer": {}, "total_steps": 7}
    file = tmp_path_factory.mktemp("published") / "blur.pth"
    torch.save(content, file)
    return file
