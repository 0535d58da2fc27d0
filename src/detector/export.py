"""Detectors as files of ONNX and OpenVINO, with the crop and the input representation inside."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from genspot.common.errors import GenspotError
from genspot.common.extras import missing_extra
from genspot.common.files import atomic_write, sha256_of
from genspot.common.text import safe_repr
from genspot.detector.exported import (
    ABOUT,
    EXPORT,
    GRAPH,
    INPUT,
    OUTPUT,
    WEIGHTS,
    WEIGHTS_SUFFIX,
)
from genspot.detector.metadata import Metadata
from genspot.detector.network import DetectorNetwork
from genspot.detector.runtimes import (
    import_onnxruntime,
    import_openvino,
    one_line,
    openvino_core,
)

OPSET = 20  # of ONNX, 2023; all operators of the networks here have it
QUANTISED = ["Conv", "Gemm", "MatMul"]  # what int8 computes; the rest stays in float32
# How packages are imported that would report to their makers.
SILENT = {"onnxruntime": import_onnxruntime, "openvino": import_openvino}


class ExportedNetwork(nn.Module):
    """A detector's network as it is exported: crop, input representation and backbone.

    Args:
        network: in evaluation mode.
        crop: side in pixels of the central crop; None for whole images.
    """

    def __init__(self, network: DetectorNetwork, crop: int | None) -> None:
        super().__init__()
        self.input, self.backbone, self.crop = network.input, network.backbone, crop

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits, float32 of shape N, of `uint8` images N×3×H×W."""
        if self.crop is not None:
            images = centre_crop(images, self.crop)
        logits: torch.Tensor = self.backbone(self.input(images)).squeeze(1).float()
        return logits


def centre_crop(images: torch.Tensor, size: int) -> torch.Tensor:
    """Return the window that `genspot.data.image_io.centre_crop` gives, of images N×3×H×W.

    It has no condition on the size of the images, which a graph could not hold.
    """
    padded = functional.pad(images, (size, size, size, size))
    for axis in (2, 3):
        side = images.shape[axis]
        beyond, missing = torch.sym_max(side - size, 0), torch.sym_max(size - side, 0)
        # Half of `beyond`, and from x.5 to the even number, as Python rounds.
        start = size + (beyond + beyond % 4 // 3) // 2 - missing // 2
        places = torch.arange(size) + start  # not `narrow`: its size would be free in the graph
        padded = padded.index_select(axis, places)
    return padded


def check_packages(formats: list[str]) -> None:
    """Check that what writes files of `formats` is installed.

    Raises:
        GenspotError: a package is missing.
    """
    needed = ["onnx", "onnxruntime", "onnxscript"] if set(formats) - {"safetensors"} else []
    for package in [*needed, *(["openvino"] if "openvino" in formats else [])]:
        try:
            SILENT.get(package, functools.partial(import_module, package))()
        except ImportError as error:
            raise missing_extra(f"format=[{','.join(formats)}]", package, "export") from error


def write_onnx(
    network: DetectorNetwork, crop: int | None, example: np.ndarray, path: Path
) -> None:
    """Write a network to `path` as ONNX: `uint8` N×3×H×W to logits N, N, H and W free.

    Args:
        network: in evaluation mode, on the CPU.
        crop: side in pixels of the central crop; None for whole images.
        example: two or more images of a size that the network takes, N×3×H×W.
        path: of the file.

    Raises:
        GenspotError: PyTorch's exporter cannot express the network.
    """
    free = torch.export.Dim.DYNAMIC
    module = ExportedNetwork(network, crop).eval()
    try:
        with _silent(), torch.no_grad(), atomic_write(path) as partial:
            torch.onnx.export(
                module,
                (torch.from_numpy(example),),
                partial,
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: free, 2: free, 3: free},),
                external_data=False,
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # of the exporter, which runs the network's own code
        reason = safe_repr(" ".join(str(error.__cause__ or error).split()))
        raise GenspotError(
            f"the network cannot be exported as ONNX with crop={crop or 'none'}: {reason}; give a "
            "crop, or format=[safetensors], which keeps the network as it is"
        ) from error


def write_int8(source: Path, images: Iterator[np.ndarray], path: Path) -> None:
    """Write the network at `source` to `path` with convolutions and products in 8 bits.

    Weights have 7 bits: with 8, sums overflow on CPUs without instructions for them.

    Args:
        source: of `write_onnx`.
        images: `uint8` N×3×H×W, on which the ranges of the activations are measured.
        path: of the file.
    """
    import_onnxruntime()
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            found = next(images, None)
            return None if found is None else {INPUT: found}

    with _silent(), atomic_write(path) as partial:
        quant_pre_process(source, partial, skip_symbolic_shape=True)
        quantize_static(
            partial,
            partial,
            Reader(),
            op_types_to_quantize=QUANTISED,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def write_openvino(source: Path, path: Path, metadata: Metadata, export: dict[str, Any]) -> None:
    """Write the network at `source`, a file of `write_onnx`, to `path` and its .bin as OpenVINO.

    The weights stay float32. `rt_info` in the file says what `write_metadata` writes, and the
    digest of the weights.
    """
    openvino = import_openvino()
    model = openvino_core().read_model(source.read_bytes())
    _save_openvino(openvino, model, path)
    export = export | {WEIGHTS: sha256_of(path.with_suffix(WEIGHTS_SUFFIX))}
    for key, value in _described(metadata, export).items():
        model.set_rt_info(value, key)
    _save_openvino(openvino, model, path)  # the same weights


def _save_openvino(openvino: Any, model: Any, path: Path) -> None:
    """Write a model of OpenVINO, whose errors do not say why a file cannot be written."""
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:
        raise GenspotError(
            f"{path} or its {WEIGHTS_SUFFIX} cannot be written ({one_line(error)}): is the disk "
            "full? make room, or name another folder, hydra.run.dir=PATH"
        ) from error


def write_metadata(path: Path, metadata: Metadata, export: dict[str, Any]) -> None:
    """Write what a file of ONNX says of itself into it, and a digest of its graph before that.

    See `ExportedDetector`.
    """
    import onnx

    model = onnx.load(path)
    model.ClearField("metadata_props")
    graph = model.SerializeToString(deterministic=True)
    export = export | {GRAPH: {"bytes": len(graph), "sha256": hashlib.sha256(graph).hexdigest()}}
    described = onnx.ModelProto()
    onnx.helper.set_model_props(described, _described(metadata, export))
    with atomic_write(path) as partial:  # parts of a message one after the other are the message
        partial.write_bytes(graph + described.SerializeToString())


def _described(metadata: Metadata, export: dict[str, Any]) -> dict[str, str]:
    values = {ABOUT: metadata.as_dict(), EXPORT: export}
    return {key: json.dumps(value, allow_nan=False) for key, value in values.items()}


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep the progress and the warnings of the exporters from the console."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
