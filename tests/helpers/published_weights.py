"""A table of published weights of the user's own, whose files servers on loopback have."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from genspot.detector.backbones.ferretnet import FerretNet
from genspot.download.patience import Patience

PATIENCE = Patience(connect=1, stall=0.5, first_wait=0.01, longest_wait=0.02, total=0.5, tries=2)
NAME, FILE = "mine", "mine-s.pth"


def saved(content: Any) -> bytes:
    """Return what torch.save writes."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def ferretnet_s() -> bytes:
    """Return a file in the form of FerretNet-S, with random weights."""
    torch.manual_seed(0)
    return saved({"model": FerretNet(width=32, depth=2).state_dict()})


def write_entry(
    folder: Path, url: str, content: bytes, name: str = NAME, file: str = FILE, **changes: Any
) -> None:
    """Write the right entry of a file of FerretNet-S, but for `changes`, below `folder`."""
    digest = hashlib.sha256(content).hexdigest()
    entry: Mapping[str, Any] = {
        "kind": "weights",
        "title": "weights of mine",
        "licence": "the licence of mine",
        "source": "https://example.org/mine",
        "model": "ferretnet_s",
        "data": "progan_4cls",
        "aug": "none",
        "files": [{"name": file, "url": url, "bytes": len(content), "sha256": digest}],
    }
    path = folder / "download" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({**entry, **changes}), encoding="utf-8")
