"""Detectors exported by a command, and predictions with what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genspot.common.files import sha256_of
from genspot.detector.checkpoint import load_checkpoint
from genspot.detector.exported import is_exported, load_exported
from genspot.tasks import export as export_task
from genspot.tasks.exported import describe_int8
from helpers.detectors import save_small_cnn, small_cnn_metadata
from helpers.errors import error_of
from helpers.graphs import skip_without
from helpers.runs import read_csv
from helpers.tasks import run_task

skip_without("onnx", "onnxruntime", "onnxscript", "openvino")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_cnn(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def exported(checkpoint: Path, sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an export, with 8 bits measured on a tiny test set."""
    formats = ["format=[onnx,onnx_int8,safetensors]", f"test_sets={{mine: {sets}/test}}"]
    formats.append("workers=0")
    return export(checkpoint, tmp_path_factory.mktemp("exported"), *formats)


def export(checkpoint: Path, folder: Path, *more: str) -> Path:
    return run_task("task=export", f"checkpoint={checkpoint}", *more, folder=folder)


def predict(checkpoint: Path, sets: Path, folder: Path, *more: str) -> dict[str, float]:
    given = ["task=predict", f"checkpoint={checkpoint}", f"inputs={sets}/test", "workers=0"]
    trainer = [] if is_exported(checkpoint) else ["trainer=cpu"]
    run_task(*given, *trainer, *more, folder=folder)
    return {row["path"]: float(row["logit"]) for row in read_csv(folder / "predictions.csv")}


def test_prediction_with_the_exported_detector_is_that_of_its_checkpoint(
    checkpoint: Path, exported: Path, sets: Path, tmp_path: Path
) -> None:
    expected = predict(checkpoint, sets, tmp_path / "a")
    found = predict(exported / "detector.onnx", sets, tmp_path / "b")
    assert found == pytest.approx(expected, abs=1e-4) and len(found) == 14
    kept = predict(exported / "detector.safetensors", sets, tmp_path / "c")
    assert kept == expected  # to the bit


def test_exported_file_says_what_it_is_and_how_near_it_is(
    checkpoint: Path, exported: Path
) -> None:
    detector = load_exported(exported / "detector.onnx")
    assert detector.metadata == load_checkpoint(checkpoint).metadata
    assert detector.export["checkpoint"] == sha256_of(checkpoint)
    parity = detector.export["parity"]
    assert parity["images"] == 200 and 0 <= parity["largest_difference"] <= parity["tolerance"]


def test_eight_bits_carry_what_they_cost(
    exported: Path, sets: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    int8 = load_exported(exported / "detector_int8.onnx").export["int8"]
    (name, figures), *others = int8["sets"].items()
    assert name == "mine" and not others and figures["images"] == 14
    assert 0 <= figures["ap_int8"] <= 1 and 0 <= figures["ap"] <= 1
    with caplog.at_level("INFO"):
        predict(exported / "detector_int8.onnx", sets, tmp_path)
    assert f"computes with 8 bits: {describe_int8(int8)}" in caplog.text


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("crop=20", "is exported with crop=24, not 20: leave crop out, or export it again"),
        ("crop=none", "task=export crop=none"),
        ("model=resnet18 allow_mismatch=true", "with its model inside: leave model out"),
    ],
)
def test_prediction_refuses_what_an_exported_detector_cannot_change(
    setting: str, words: str, exported: Path, sets: Path, tmp_path: Path
) -> None:
    file = exported / "detector.onnx"
    assert words in error_of(lambda: predict(file, sets, tmp_path, *setting.split()))


def test_other_tasks_say_that_they_take_no_exported_detector(
    exported: Path, sets: Path, tmp_path: Path
) -> None:
    file = exported / "detector.onnx"
    test = ["task=test", f"checkpoint={file}", f"test_sets={{mine: {sets}/test}}"]
    assert "an exported detector, which task=predict, " in error_of(
        lambda: run_task(*test, folder=tmp_path / "a")
    )
    assert "exported already" in error_of(lambda: export(file, tmp_path / "b"))


def test_file_with_other_logits_is_refused_and_removed(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_task, "TOLERANCE", -1.0)
    message = error_of(lambda: export(checkpoint, tmp_path))
    assert message.startswith("detector.onnx is refused: a logit differs by ")
    assert not list(tmp_path.glob("*detector*"))


def test_whole_images_are_exported_with_sizes_free(
    checkpoint: Path, sets: Path, tmp_path: Path
) -> None:
    folder = export(checkpoint, tmp_path / "a", "crop=none", f"inputs={sets}/test")
    assert load_exported(folder / "detector.onnx").export["parity"]["images"] == 14
    expected = predict(checkpoint, sets, tmp_path / "b", "crop=none")
    found = predict(folder / "detector.onnx", sets, tmp_path / "c")
    assert found == pytest.approx(expected, abs=1e-4)


def test_int8_without_test_sets_says_what_to_name(checkpoint: Path, tmp_path: Path) -> None:
    message = error_of(lambda: export(checkpoint, tmp_path, "format=[onnx_int8]", "generator=[]"))
    assert message.startswith("format=onnx_int8 measures what 8 bits cost: name test sets")
    assert not list(tmp_path.glob("*detector*"))


def test_prediction_with_openvino_is_that_of_its_checkpoint(
    checkpoint: Path, sets: Path, tmp_path: Path
) -> None:
    export(checkpoint, tmp_path, "format=[openvino]")
    detector = load_exported(tmp_path / "detector.xml")
    assert detector.metadata == small_cnn_metadata()
    assert detector.export["checkpoint"] == sha256_of(checkpoint)
    assert detector.export["parity"]["images"] == 200
    expected = predict(checkpoint, sets, tmp_path / "a")
    found = predict(tmp_path / "detector.xml", sets, tmp_path / "b")
    assert found == pytest.approx(expected, abs=1e-4) and len(found) == 14


@pytest.mark.parametrize(
    "settings",
    [
        ("test_sets={a: b}", "format=[onnx]"),
        ("generator=[san]",),
        ("degradations=jpeg_75", "format=[onnx_int8]"),
        ("inputs=a.png", "format=[safetensors]"),
    ],
)
def test_setting_without_effect_is_refused(
    settings: tuple[str, ...], checkpoint: Path, tmp_path: Path
) -> None:
    message = error_of(lambda: export(checkpoint, tmp_path, *settings))
    assert message.startswith(f"{settings[0].partition('=')[0]} has no effect on ")


@pytest.mark.parametrize("setting", ["seed=1", "workers=0", "spectra=3", "trainer.devices=1"])
def test_setting_that_is_not_read_is_refused(
    setting: str, checkpoint: Path, tmp_path: Path
) -> None:
    message = error_of(lambda: export(checkpoint, tmp_path, setting))
    key = setting.partition("=")[0]
    assert message == f"{key} is without effect on task=export: leave it out"


@pytest.mark.parametrize("value", ["[]", "onnx", "[pickle]"])
def test_unknown_format_is_refused(value: str, checkpoint: Path, tmp_path: Path) -> None:
    message = error_of(lambda: export(checkpoint, tmp_path, f"format={value}"))
    assert "onnx, onnx_int8, openvino, safetensors" in message


@pytest.mark.parametrize("int8", [{}, [], {"sets": {}}, {"sets": 1}, {"sets": {"a": {"ap": "x"}}}])
def test_describe_int8_of_what_anybody_wrote_never_fails(int8: Any) -> None:
    assert describe_int8(int8) == "its loss of AP is not recorded"


def test_export_that_is_stopped_keeps_the_weights_of_another_format(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export_task, "write_metadata", stop)  # of a file of ONNX, not of OpenVINO
    with pytest.raises(KeyboardInterrupt):
        export(checkpoint, tmp_path, "format=[openvino,onnx]")
    assert {"detector.xml", "detector.bin"} <= {file.name for file in tmp_path.iterdir()}
    assert not (tmp_path / "detector.onnx").exists()
