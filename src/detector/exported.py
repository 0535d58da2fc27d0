"""Exported detectors: files of ONNX, scored by ONNX Runtime. PyTorch is not imported.

`genspot.detector.export` writes them. Nothing in such a file is executed but the operators of ONNX
itself, which ONNX Runtime brings.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genspot.common.errors import GenspotError
from genspot.common.extras import missing_extra
from genspot.common.text import safe_repr
from genspot.detector.file_kinds import ONNX_SUFFIX
from genspot.detector.metadata import Metadata

INPUT, OUTPUT = "images", "logits"  # names in the graph: uint8 N×3×H×W, float32 N
ABOUT, EXPORT = "genspot", "genspot_export"  # keys of the file's own metadata, each JSON
CHUNK = 8  # images that are scored at once, so that their features stay in the caches
FATAL = 4  # of ONNX Runtime's logging: errors are raised, and said in one line


@dataclass(frozen=True)
class ExportedDetector:
    """A detector in a file of ONNX.

    Attributes:
        path: the file.
        metadata: what it was trained on; its model's test geometry has the crop of the graph.
        export: how the file was made: `checkpoint` (SHA-256 of the checkpoint), `version` of
            genspot, `parity`, and where it computes with 8 bits `int8`; see docs/export.md.
        session: ONNX Runtime's, on the CPU.
    """

    path: Path
    metadata: Metadata
    export: dict[str, Any]
    session: Any

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return logits, float32 of shape N, of `uint8` images N×3×H×W.

        Raises:
            GenspotError: ONNX Runtime fails, as on images of a size that the network lacks.
        """
        try:
            parts = [
                self.session.run([OUTPUT], {INPUT: images[start : start + CHUNK]})[0]
                for start in range(0, len(images), CHUNK)
            ]
        except Exception as error:  # classes of ONNX Runtime's own, that it does not document
            raise GenspotError(
                f"{self.path} fails on images of {images.shape[3]} × {images.shape[2]} pixels: "
                f"{_one_line(error)}"
            ) from error
        return np.concatenate(parts) if parts else np.empty(0, np.float32)


def is_exported(checkpoint: object) -> bool:
    """Return whether the setting `checkpoint` names a file of ONNX, by its suffix."""
    return str(checkpoint).lower().endswith(ONNX_SUFFIX)


def load_exported(path: str | Path, setting: str = "checkpoint") -> ExportedDetector:
    """Return the detector in a file of ONNX that `genspot.detector.export` wrote.

    Args:
        path: of the file.
        setting: named in messages as the setting that gave the path.

    Raises:
        GenspotError: ONNX Runtime is not installed, there is no such file, it is damaged, or of
            another program.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise GenspotError(f"{setting}={path}: no such file; task=export writes one")
    session = open_session(path, setting)
    found = session.get_modelmeta().custom_metadata_map
    inputs = [(one.name, one.type, len(one.shape)) for one in session.get_inputs()]
    if inputs != [(INPUT, "tensor(uint8)", 4)] or not {ABOUT, EXPORT} <= found.keys():
        raise GenspotError(
            f"{setting}={path} is a network of another program; give a file of task=export"
        )
    try:
        about, export = json.loads(found[ABOUT]), json.loads(found[EXPORT])
        if not isinstance(export, dict):
            raise ValueError(f"{EXPORT} is no object")
    except (ValueError, RecursionError) as error:
        raise GenspotError(
            f"{setting}={path} has damaged metadata ({safe_repr(str(error))}); export it again"
        ) from error
    return ExportedDetector(path, Metadata.from_dict(about, path, setting), export, session)


def open_session(path: Path, setting: str = "checkpoint") -> Any:
    """Return a session of ONNX Runtime on the CPU.

    Raises:
        GenspotError: ONNX Runtime is not installed, or cannot read the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise missing_extra(f"{setting}={path}", "onnxruntime", "export") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    options.intra_op_num_threads = _threads()
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # see `ExportedDetector.logits`
        raise GenspotError(
            f"{setting}={path} is no network that ONNX Runtime can read ({_one_line(error)}); "
            "export it again, or copy it again"
        ) from error


def _threads() -> int:
    """Return OMP_NUM_THREADS where it is a number, as PyTorch does; else the cores given to us."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


def _one_line(error: Exception) -> str:
    return safe_repr(" ".join(str(error).split())[:300])
