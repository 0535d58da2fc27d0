"""Graphs of ONNX and OpenVINO that are made by hand: a logit is the mean of all values."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import pytest

from genspot.detector.exported import INPUT, OUTPUT
from genspot.detector.runtimes import import_openvino, openvino_core


def skip_without(*packages: str) -> None:
    """Skip the tests of a module where a package is missing; none is imported."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}", allow_module_level=True)


def make_onnx(described: Mapping[str, str], name: str = INPUT) -> bytes:
    """Return a file of ONNX with what it says of itself; `name` is of its input."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", [name], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], [OUTPUT], axes=[1, 2, 3], keepdims=0),
    ]
    given = helper.make_tensor_value_info(name, TensorProto.UINT8, ["n", 3, "h", "w"])
    logits = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n"])
    graph = helper.make_graph(nodes, "mean", [given], [logits])
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    helper.set_model_props(model, dict(described))
    content: bytes = model.SerializeToString()
    return content


def save_openvino(path: Path, described: Mapping[str, str]) -> Path:
    """Save the graph to `path` and the file of weights beside it."""
    openvino = import_openvino()
    model = openvino_core().read_model(make_onnx({}))
    for key, value in described.items():
        model.set_rt_info(value, key)
    openvino.save_model(model, path, compress_to_fp16=False)
    return path
