"""Files of torch.save from anybody: nothing is executed, and damage is found."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
import zipfile
from argparse import Namespace
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from genspot.common.errors import GenspotError
from genspot.detector.safe_load import find_corruption, safe_load, save_safetensors


class RunsCode:
    """Loading a pickle of it without care creates the file `mark`."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("archive", [True, False])
def test_safe_load_refuses_a_pickle_that_would_execute_code(archive: bool, tmp_path: Path) -> None:
    file, mark = tmp_path / "x.pth", tmp_path / "ran"
    content = {"model": RunsCode(mark), "optimizer": {}, "total_steps": 1}
    torch.save(content, file, _use_new_zipfile_serialization=archive)
    with pytest.raises(GenspotError, match=r"it would call .*\.system, and so could"):
        safe_load(file)
    assert not mark.exists()
    torch.load(file, weights_only=False)  # what it was kept from
    assert mark.exists()


def zip_bomb() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(1_000_000))
    return file.getvalue()


def other_zip() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes.txt", "many words " * 1000)
    return file.getvalue()


def weights(flipped: int = 0) -> bytes:
    file = BytesIO()
    torch.save({"fc.weight": torch.ones(1000)}, file)
    content = bytearray(file.getvalue())
    content[content.index(struct.pack("<3f", 1, 1, 1)) + 40] ^= flipped
    return bytes(content)


def safetensors_file() -> bytes:
    return safetensors.torch.save({"fc.weight": torch.arange(3.0)})


def safetensors_about(text: str) -> bytes:
    return safetensors.torch.save({"fc.weight": torch.arange(3.0)}, {"genspot": text})


def torchscript() -> bytes:
    file = BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), file)  # its code is compressed
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: b"", "is empty; copy or download"),
        (lambda: b"no checkpoint", "is a text file .it begins with 'no checkpoint'"),
        (lambda: "<html>é</html>\n".encode() * 99, "is a text file .it begins with '<html>"),
        (lambda: b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (lambda: b"\x80\x02garbage", "is damaged or of another program: give"),
        (lambda: pickle.dumps({"a": 1}), "is damaged or of another program: give"),
        (lambda: bytes(range(256)), "is damaged or of another program: give"),
        (lambda: gzip.compress(b"weights"), "is a gzip archive"),
        (other_zip, r"is a zip archive that torch.save did not write .it holds notes\.txt"),
        (zip_bomb, "would unpack to more than it holds"),
        (lambda: weights()[:3000], "damaged or cannot be read"),
        (lambda: weights(flipped=1), r"damaged: \S*data/0 differs from its checksum"),
        (lambda: safetensors_file()[:-1], "is a damaged safetensors file .* copy or download"),
        (lambda: safetensors_file().replace(b"F32", b"F99"), "is a damaged safetensors file"),
        (lambda: safetensors_about("{'a'"), "is a damaged safetensors file"),
        (lambda: safetensors_about("[" * 100_000), "is a damaged safetensors file"),
        (torchscript, "is a TorchScript program; give the weights alone"),
    ],
    ids=["empty", "text", "page", "git-lfs", "pickle", "own pickle", "bytes", "gzip", "zip"]
    + ["zip bomb", "cut short", "flipped", "safetensors cut short", "safetensors"]
    + ["safetensors with no JSON", "safetensors with deep JSON", "script"],
)
def test_safe_load_of_another_file_gives_one_line(
    make: Callable[[], bytes], expected: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "file").write_bytes(make())
    recwarn.clear()
    with pytest.raises(GenspotError, match=rf"^weights=\S+file .*{expected}") as error:
        safe_load(tmp_path / "file", "weights")
    assert str(error.value).isprintable() and len(str(error.value)) < 400
    assert not recwarn


@pytest.mark.parametrize("archive", [True, False])
def test_safe_load_reads_weights_beside_the_arguments_of_a_command_line(
    archive: bool, tmp_path: Path
) -> None:
    content = {"model": {"x": torch.arange(3)}, "args": Namespace(lr=0.1, device="cuda")}
    torch.save(content, tmp_path / "file", _use_new_zipfile_serialization=archive)
    loaded = safe_load(tmp_path / "file")
    assert torch.equal(loaded["model"]["x"], torch.arange(3))
    assert loaded["args"] == content["args"]


def test_safe_load_reads_safetensors(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(safetensors_file())
    content = safe_load(tmp_path / "file")
    assert content.keys() == {"fc.weight"}
    assert torch.equal(content["fc.weight"], torch.arange(3.0))


def test_safe_load_of_a_saved_checkpoint_has_its_metadata_and_each_bit(tmp_path: Path) -> None:
    about = {"version": 2, "lr": 0.1, "names": ["größe", None, True]}
    shared = torch.tensor([[1.1, -0.0], [float("inf"), 1e-45]])
    state = {
        "network.first": shared,
        "network.second": shared[1],  # in the same memory
        "network.transposed": shared.t(),
        "network.channels_last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "network.count": torch.tensor(2**62),
        "network.half": torch.rand(3).half(),
        "network.double": torch.rand(3).double(),
        "network.none": torch.empty(0),
    }
    save_safetensors(about, state, tmp_path / "file")
    content = safe_load(tmp_path / "file")
    assert content.keys() == {"genspot", "state_dict"} and content["genspot"] == about
    loaded = content["state_dict"]
    assert loaded.keys() == state.keys()
    for key, value in state.items():
        assert loaded[key].dtype == value.dtype and loaded[key].shape == value.shape, key
        assert loaded[key].numpy().tobytes() == value.numpy().tobytes(), key


def test_saved_checkpoint_is_the_same_file_each_time(tmp_path: Path) -> None:
    state = {f"network.{number}": torch.full((number,), 0.5) for number in range(9)}
    files = [tmp_path / str(number) for number in range(9)]
    for file in files:
        save_safetensors({"version": 2, "data": "x"}, state, file)
    assert len({file.read_bytes() for file in files}) == 1
    assert files[0].stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    os.umask(value := os.umask(0))
    return value


def test_safe_load_reads_archives_without_checksums(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"weights": torch.arange(9)}, tmp_path / "file")
    finally:
        torch.serialization.set_crc32_options(True)
    with zipfile.ZipFile(tmp_path / "file") as archive:
        assert archive.testzip() is not None  # a plain check would refuse it
    assert find_corruption(tmp_path / "file") is None
    assert torch.equal(safe_load(tmp_path / "file")["weights"], torch.arange(9))
