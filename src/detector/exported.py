"""Exported detectors: files of ONNX and OpenVINO, scored without PyTorch.

`genspot.detector.export` writes them. Nothing in such a file is executed but operators that ONNX
Runtime and OpenVINO bring.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genspot.common.errors import GenspotError
from genspot.common.files import sha256_of
from genspot.common.text import safe_repr
from genspot.detector.detector_file import DetectorFile
from genspot.detector.file_kinds import EXPORTED_SUFFIXES, ONNX_SUFFIX
from genspot.detector.memory import NetworkError
from genspot.detector.metadata import Metadata
from genspot.detector.runtimes import one_line, open_onnx, open_openvino

INPUT, OUTPUT = "images", "logits"  # names in the graph: uint8 N×3×H×W, float32 N
ABOUT, EXPORT = "genspot", "genspot_export"  # keys of the file's own metadata, each JSON
CHUNK = 8  # images that are scored at once, so that their features stay in the caches
CHUNK_BYTES = 2**20  # that are read at a time
WEIGHTS_SUFFIX = ".bin"  # of the file of weights beside a graph of OpenVINO
GRAPH = "graph"  # in EXPORT, of ONNX: SHA-256 of the first bytes of the file, and their number
WEIGHTS = "weights"  # in EXPORT, of OpenVINO: SHA-256 of the file of weights beside the graph


@dataclass(frozen=True)
class ExportedDetector:
    """A detector in a file of ONNX or OpenVINO.

    Attributes:
        path: the file.
        metadata: what it was trained on; its model's test geometry has the crop of the graph.
        export: how the file was made: `checkpoint` (SHA-256 of the checkpoint), `version` of
            genspot, `parity`, and where it computes with 8 bits `int8`; see docs/export.md.
        run: from `uint8` images N×3×H×W to logits, on the CPU.
    """

    path: Path
    metadata: Metadata
    export: dict[str, Any]
    run: Callable[[np.ndarray], np.ndarray]

    def as_file(self) -> DetectorFile:
        """Return what is known of the file: its digest stands for that of the weights.

        Logits of the float32 file are those of the checkpoint, as the export has checked.
        """
        digest, source = sha256_of(self.path), self.export.get("checkpoint")
        if self.export.get("int8") or not isinstance(source, str):
            source = digest
        return DetectorFile(self.path, self.metadata, digest, digest, source)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return logits, float32 of shape N, of `uint8` images N×3×H×W.

        Raises:
            NetworkError: the runtime fails, as on images of a size that the network lacks.
        """
        try:
            parts = [
                self.run(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)
            ]
        except Exception as error:  # classes of the runtimes' own, which they do not document
            reason, size = one_line(error), f"{images.shape[3]} × {images.shape[2]} pixels"
            message = f"{self.path} fails on images of {size}: {reason}"
            raise NetworkError(message, reason) from error
        return np.concatenate(parts) if parts else np.empty(0, np.float32)


def is_exported(checkpoint: object) -> bool:
    """Return whether the setting `checkpoint` names an exported detector, by its suffix."""
    return str(checkpoint).lower().endswith(EXPORTED_SUFFIXES)


def load_exported(path: str | Path, setting: str = "checkpoint") -> ExportedDetector:
    """Return the detector in a file that `genspot.detector.export` wrote.

    Args:
        path: of the file.
        setting: named in messages as the setting that gave the path.

    Raises:
        GenspotError: the runtime is not installed, there is no such file, it is damaged, or of
            another program.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise GenspotError(f"{setting}={path}: no such file; task=export writes one")
    is_onnx = path.suffix.lower() == ONNX_SUFFIX
    inputs, found, run = (open_onnx if is_onnx else open_openvino)(path, setting)
    if inputs != [(INPUT, "uint8", 4)] or not {ABOUT, EXPORT} <= found.keys():
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
    if is_onnx:
        _check_graph(path, export, setting)
    else:
        _check_weights(path, export, setting)
    return ExportedDetector(path, Metadata.from_dict(about, path, setting), export, run)


def _check_graph(path: Path, export: dict[str, Any], setting: str) -> None:
    """Raise GenspotError if a graph of ONNX is not as it was exported.

    Files of older versions have no digest.
    """
    match export.get(GRAPH):
        case None:
            return
        case {"bytes": int(size), "sha256": str(digest)} if size > 0:
            found = hashlib.sha256()
            with path.open("rb") as file:
                while part := file.read(min(size, CHUNK_BYTES)):
                    found.update(part)
                    size -= len(part)
            if found.hexdigest() == digest:
                return
    raise GenspotError(f"{setting}={path} was changed or damaged after its export; copy it again")


def _check_weights(path: Path, export: dict[str, Any], setting: str) -> None:
    """Raise GenspotError if the weights beside a graph of OpenVINO are not its own."""
    weights = path.with_suffix(WEIGHTS_SUFFIX)
    if export.get(WEIGHTS) != sha256_of(weights):
        raise GenspotError(
            f"{setting}={path} was exported with other weights than {weights.name}, which lies "
            "beside it; copy both files again"
        )
