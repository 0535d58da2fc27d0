"""genspot trains, evaluates and explains detectors of CNN-generated images.

detector = genspot.load_detector("runs/quickstart/best.ckpt")
detector.predict(["photo.jpg"]).probabilities
genspot.evaluate(genspot.run("experiments=quickstart"))["mean"]["ap"]
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genspot.common.errors import GenspotError
    from genspot.evaluation.metrics import evaluate
    from genspot.runtime.shutdown import ShutdownRequested
    from genspot.tasks.api import LoadedDetector, PatchLogits, Predictions, load_detector
    from genspot.tasks.in_process import run

__all__ = [
    "GenspotError",
    "LoadedDetector",
    "PatchLogits",
    "Predictions",
    "ShutdownRequested",
    "evaluate",
    "load_detector",
    "run",
]
__version__ = version("genspot")

_MODULES = {
    "GenspotError": "genspot.common.errors",
    "evaluate": "genspot.evaluation.metrics",
    "LoadedDetector": "genspot.tasks.api",
    "PatchLogits": "genspot.tasks.api",
    "Predictions": "genspot.tasks.api",
    "ShutdownRequested": "genspot.runtime.shutdown",
    "load_detector": "genspot.tasks.api",
    "run": "genspot.tasks.in_process",
}


def __getattr__(name: str) -> Any:
    """Import what is used of the API: PyTorch takes seconds, and reports do without it."""
    if name not in _MODULES:
        raise AttributeError(f"module 'genspot' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
