"""Files of ONNX and OpenVINO as functions, computed by their runtimes on the CPU.

Both runtimes report by the network, as they are installed, that and how they are used: ONNX
Runtime since 1.29 from Linux too (its file Privacy.md), OpenVINO when it is imported (its package
openvino-telemetry). Here neither does: a detector works without a network and tells nobody.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from genspot.common.errors import GenspotError
from genspot.common.extras import missing_extra
from genspot.common.text import safe_repr

FATAL = 4  # of ONNX Runtime's logging: errors are raised, and said in one line
REPORTS = "openvino_telemetry"  # OpenVINO does without it where it is not installed


class OpenFile(NamedTuple):
    """A network in a file, ready to be computed.

    Attributes:
        inputs: name, type ("uint8" or another) and number of axes of each.
        described: what the file says of itself.
        run: from an array of the only input to that of the only output.
    """

    inputs: list[tuple[str, str, int]]
    described: Mapping[str, str]
    run: Callable[[np.ndarray], np.ndarray]


def import_onnxruntime() -> ModuleType:
    """Return the package `onnxruntime`, with its reports switched off for this process.

    Raises:
        ImportError: it is not installed.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when its first session is made
    return importlib.import_module("onnxruntime")


def import_openvino() -> ModuleType:
    """Return the package `openvino`, imported as if the package that reports were missing.

    Raises:
        ImportError: it is not installed.
    """
    if "openvino" in sys.modules:
        return importlib.import_module("openvino")
    before = sys.modules.get(REPORTS)
    sys.modules[REPORTS] = None  # type: ignore[assignment]  # importing it is an ImportError
    try:
        return importlib.import_module("openvino")
    finally:
        del sys.modules[REPORTS]
        if before is not None:
            sys.modules[REPORTS] = before


@functools.cache
def openvino_core() -> Any:
    """Return OpenVINO's `Core`, one for the whole process.

    The first network that a `Core` compiles sets the stack on which signals are handled, and the
    end of the `Core` sets the stack before. With several that end in another order, that is one
    which is gone, and the next signal, such as Ctrl-C, would crash the process.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    return import_openvino().Core()


def open_onnx(path: Path, setting: str = "checkpoint") -> OpenFile:
    """Return the network in a file of ONNX, computed by ONNX Runtime.

    Raises:
        GenspotError: ONNX Runtime is not installed, or cannot read the file.
    """
    try:
        onnxruntime = import_onnxruntime()
    except ImportError as error:
        raise missing_extra(f"{setting}={path}", "onnxruntime", "export") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    options.intra_op_num_threads = _threads()
    options.enable_cpu_mem_arena = False  # it keeps 60 MB for a ResNet-50, and is no faster
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # classes of ONNX Runtime's own, that it does not document
        raise _unreadable(setting, path, "ONNX Runtime", error) from error
    inputs = [(one.name, _onnx_type(one.type), len(one.shape)) for one in session.get_inputs()]

    def run(images: np.ndarray) -> np.ndarray:
        found: np.ndarray = session.run(None, {inputs[0][0]: images})[0]
        return found

    return OpenFile(inputs, session.get_modelmeta().custom_metadata_map, run)


def open_openvino(path: Path, setting: str = "checkpoint") -> OpenFile:
    """Return the network in a file of OpenVINO and the file of weights beside it, in float32.

    Raises:
        GenspotError: OpenVINO is not installed, or cannot read the files.
    """
    try:
        openvino = import_openvino()
    except ImportError as error:
        raise missing_extra(f"{setting}={path}", "openvino", "export") from error
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the CPU has it
        "INFERENCE_NUM_THREADS": _threads(),
    }
    try:
        # Not `Core.read_model`, which tries the formats of other programs on a damaged file.
        reader = openvino.frontend.FrontEndManager().load_by_framework("ir")
        model = reader.convert(reader.load(str(path)))
        compiled = openvino_core().compile_model(model, "CPU", settings)
        inputs = [
            (one.any_name, one.element_type.to_dtype().name, len(one.partial_shape))
            for one in model.inputs
        ]
        described = {
            key: str(value.value)
            for key, value in model.get_rt_info().items()
            if isinstance(value, openvino.OVAny)
        }
    except Exception as error:  # of C++, mostly RuntimeError
        raise _unreadable(setting, path, "OpenVINO", error) from error
    return OpenFile(inputs, described, lambda images: np.array(compiled(images)[0]))


def one_line(error: Exception) -> str:
    """Return the message of a runtime's error in one line."""
    return safe_repr(" ".join(str(error).split())[:300])


def _unreadable(setting: str, path: Path, runtime: str, error: Exception) -> GenspotError:
    return GenspotError(
        f"{setting}={path} is no network that {runtime} can read ({one_line(error)}); export it "
        "again, or copy it again"
    )


def _onnx_type(name: str) -> str:
    return name.removeprefix("tensor(").removesuffix(")")


def _threads() -> int:
    """Return OMP_NUM_THREADS where it is a number, as PyTorch does; else the cores given to us."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
