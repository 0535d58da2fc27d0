"""Exported detectors read back, on graphs that are made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from genspot.common.files import sha256_of
from genspot.detector.export import write_metadata
from genspot.detector.exported import (
    ABOUT,
    EXPORT,
    INPUT,
    WEIGHTS,
    is_exported,
    load_exported,
)
from helpers.detectors import make_metadata
from helpers.errors import error_of
from helpers.graphs import make_onnx, save_openvino, skip_without

skip_without("onnx", "onnxruntime", "openvino")


def save_graph(path: Path, about: str | None, export: str = "{}", name: str = INPUT) -> Path:
    """Save a graph whose logit is the mean of all values of an image."""
    path.write_bytes(make_onnx({ABOUT: about, EXPORT: export} if about is not None else {}, name))
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


def test_load_exported_refuses_a_graph_that_was_changed_after_its_export(tmp_path: Path) -> None:
    path = save_graph(tmp_path / "a.onnx", ABOUT_TEXT)
    write_metadata(path, make_metadata(), {"version": "1"})
    detector = load_exported(path)
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 5, 7), dtype=np.uint8)
    assert np.allclose(detector.logits(images), images.reshape(3, -1).mean(1), atol=1e-4)
    write_metadata(path, make_metadata(), {"version": "1"})  # again
    assert load_exported(path).export == detector.export and set(detector.export["graph"]) == {
        *("bytes", "sha256")
    }
    content = path.read_bytes()
    for place in range(detector.export["graph"]["bytes"]):
        damaged = content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
        path.write_bytes(damaged)
        assert str(path) in error_of(load_exported, path)


@pytest.mark.parametrize("graph", [1, [], {}, {"bytes": 10}, {"bytes": -1, "sha256": "0"}])
def test_load_exported_refuses_a_digest_of_another_form(graph: object, tmp_path: Path) -> None:
    path = save_graph(tmp_path / "a.onnx", ABOUT_TEXT, json.dumps({"graph": graph}))
    message = error_of(load_exported, path)
    assert message.endswith("was changed or damaged after its export; copy it again")


def save_openvino_with(export: dict[str, str], path: Path) -> Path:
    """Save a graph of OpenVINO and its weights, with metadata."""
    return save_openvino(path, {ABOUT: ABOUT_TEXT, EXPORT: json.dumps(export)})


def test_load_exported_of_openvino_gives_the_same_detector(tmp_path: Path) -> None:
    path = save_openvino_with({}, tmp_path / "a.xml")
    digest = sha256_of(tmp_path / "a.bin")
    detector = load_exported(save_openvino_with({WEIGHTS: digest}, path))
    assert detector.metadata == make_metadata() and detector.export == {WEIGHTS: digest}
    images = np.random.default_rng(0).integers(0, 256, (19, 3, 5, 7), dtype=np.uint8)
    assert np.allclose(detector.logits(images), images.reshape(19, -1).mean(1), atol=1e-4)
    grey = np.zeros((1, 1, 5, 7), np.uint8)
    assert "fails on images of 7 × 5 pixels" in error_of(detector.logits, grey)


@pytest.mark.parametrize("export", [{}, {WEIGHTS: "0" * 64}])
def test_load_exported_refuses_weights_of_another_graph(
    export: dict[str, str], tmp_path: Path
) -> None:
    path = save_openvino_with(export, tmp_path / "a.xml")
    message = error_of(load_exported, path)
    assert message.endswith(
        "other weights than a.bin, which lies beside it; copy both files again"
    )


def test_load_exported_refuses_a_graph_with_another_input(tmp_path: Path) -> None:
    path = save_graph(tmp_path / "a.onnx", ABOUT_TEXT, name="pixels")
    assert "a network of another program" in error_of(load_exported, path)


def test_load_exported_refuses_an_empty_graph_of_openvino(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<?xml version='1.0'?><net/>")
    assert "a network of another program" in error_of(load_exported, tmp_path / "a.xml")


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
    assert is_exported("a/B.ONNX") and is_exported("a/b.xml")
    assert not is_exported("a.onnx/best.ckpt") and not is_exported(None)
