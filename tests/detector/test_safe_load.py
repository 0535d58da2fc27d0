"""Files of torch.save from anybody: nothing is executed, damage is found, one line tells it."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.safe_load import find_corruption, safe_load
from helpers.code_that_runs import RunsCode


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "older format"])
def test_safe_load_refuses_a_pickle_that_would_execute_code(archive: bool, tmp_path: Path) -> None:
    file, mark = tmp_path / "x.pth", tmp_path / "ran"
    content = {"model": RunsCode(f"touch {mark}"), "optimizer": {}, "total_steps": 1}
    torch.save(content, file, _use_new_zipfile_serialization=archive)
    with pytest.raises(GenspotError, match=r"it would call .*\.system, and so could") as error:
        safe_load(file)
    assert "weights_only" not in str(error.value)
    assert not mark.exists()
    torch.load(file, weights_only=False)  # what it was kept from
    assert mark.exists()


def zip_file(compression: int) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("x/data.pkl", bytes(1_000_000))
    return file.getvalue()


def weights() -> bytes:
    file = BytesIO()
    torch.save({"conv1.weight": torch.ones(1000), "fc.weight": torch.ones(3)}, file)
    return file.getvalue()


def weights_with_a_flipped_bit() -> bytes:
    content = bytearray(weights())
    content[content.index(struct.pack("<3f", 1, 1, 1)) + 40] ^= 1
    return bytes(content)


def torchscript() -> bytes:
    file = BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), file)
    return file.getvalue()


FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty; copy or download"),
    "text": (lambda: b"no checkpoint", "not a checkpoint"),
    "pickle cut short": (lambda: b"\x80\x02garbage", "not a checkpoint"),
    "other archive": (lambda: zip_file(zipfile.ZIP_STORED), "not a checkpoint"),
    "zip bomb": (lambda: zip_file(zipfile.ZIP_DEFLATED), "would unpack to more than it holds"),
    "cut short": (lambda: weights()[:3000], "damaged or cannot be read"),
    "flipped bit": (weights_with_a_flipped_bit, r"damaged: \S*data/0 differs from its checksum"),
    "safetensors": (
        lambda: safetensors.torch.save({"conv1.weight": torch.ones(3)}),
        "not a checkpoint",
    ),
    "TorchScript": (torchscript, "TorchScript program"),
}


@pytest.mark.parametrize("name", FILES)
def test_safe_load_of_another_file_gives_one_line(
    name: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    make, expected = FILES[name]
    (tmp_path / "file").write_bytes(make())
    recwarn.clear()
    with pytest.raises(GenspotError, match=rf"^weights=\S+file .*{expected}") as error:
        safe_load(tmp_path / "file", "weights")
    assert str(error.value).isprintable() and len(str(error.value)) < 400
    assert not recwarn


@pytest.mark.parametrize("checksums", [True, False])
def test_safe_load_reads_archives_with_and_without_checksums(
    checksums: bool, tmp_path: Path
) -> None:
    torch.serialization.set_crc32_options(checksums)
    try:
        torch.save({"weights": torch.arange(9)}, tmp_path / "file")
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(tmp_path / "file") as archive:
        assert (archive.testzip() is None) == checksums  # a plain check would refuse the latter
    assert find_corruption(tmp_path / "file") is None
    assert torch.equal(safe_load(tmp_path / "file")["weights"], torch.arange(9))
