"""Exported detectors read back, on graphs that are made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genspot.detector.exported import ABOUT, EXPORT, INPUT, OUTPUT, is_exported, load_exported
from helpers.detectors import make_metadata
from helpers.errors import error_of

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def save_graph(path: Path, about: str | None, export: str = "{}", name: str = INPUT) -> Path:
    """Save a graph whose logit is the mean of all values of an image."""
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
    if about is not None:
        helper.set_model_props(model, {ABOUT: about, EXPORT: export})
    onnx.save(model, path)
    return path


ABOUT_TEXT = json.dumps(make_metadata().as_dict())


def test_load_exported_gives_metadata_and_logits_of_more_images_than_a_chunk(
    tmp_path: Path,
) -> None:
    detector = load_exported(save_graph(tmp_path / "a.onnx", ABOUT_TEXT, '{"parity": 1}'))
    assert detector.metadata == make_metadata()
    assert detector.export == {"parity": 1}
    images = np.random.default_rng(0).integers(0, 256, (19, 3, 5, 7), dtype=np.uint8)
    expected = images.reshape(19, -1).mean(1)
    assert np.allclose(detector.logits(images), expected, atol=1e-4)
    assert detector.logits(images[:0]).shape == (0,)


def test_logits_of_images_that_the_graph_does_not_take_are_one_line(tmp_path: Path) -> None:
    detector = load_exported(save_graph(tmp_path / "a.onnx", ABOUT_TEXT))
    grey = np.zeros((1, 1, 5, 7), np.uint8)
    assert "fails on images of 7 × 5 pixels" in error_of(detector.logits, grey)


@pytest.mark.parametrize(
    ("about", "export", "words"),
    [
        (None, "{}", "a network of another program"),
        ("{", "{}", "damaged metadata"),
        ("[" * 100_000, "{}", "damaged metadata"),
        (ABOUT_TEXT, "[]", "damaged metadata"),
        ("[]", "{}", "made by another version"),
    ],
)
def test_load_exported_refuses_what_is_not_genspots(
    about: str | None, export: str, words: str, tmp_path: Path
) -> None:
    path = save_graph(tmp_path / "a.onnx", about, export)
    message = error_of(load_exported, path)
    assert words in message and str(path) in message


def test_load_exported_refuses_a_graph_with_another_input(tmp_path: Path) -> None:
    path = save_graph(tmp_path / "a.onnx", ABOUT_TEXT, name="pixels")
    assert "a network of another program" in error_of(load_exported, path)


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x08\x12" + bytes(range(256))])
def test_load_exported_refuses_damage_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    message = error_of(load_exported, path)
    assert str(path) in message and ("no network" in message or "another program" in message)


def test_load_exported_of_a_missing_file_says_what_writes_one(tmp_path: Path) -> None:
    message = error_of(load_exported, tmp_path / "a.onnx")
    assert message.endswith("a.onnx: no such file; task=export writes one")


def test_is_exported_goes_by_the_suffix() -> None:
    assert is_exported("a/B.ONNX")
    assert not is_exported("a.onnx/best.ckpt") and not is_exported(None)
