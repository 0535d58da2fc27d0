"""What a file is that torch.save did not write."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path

from genspot.common.text import safe_repr

START = 512  # bytes that are looked at
ONNX_SUFFIX = ".onnx"  # its content begins with no magic number
EXPORTED_SUFFIXES = (ONNX_SUFFIX, ".xml")  # of ONNX and OpenVINO
MAGIC = {
    b"\x89HDF": "an HDF5 file, as Keras writes it",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
}


def is_safetensors(path: Path) -> bool:
    """Return whether the file begins as one of safetensors: a length, then JSON."""
    with path.open("rb") as file:
        start = file.read(10)
    return start[8:] == b'{"' and int.from_bytes(start[:8], "little") < path.stat().st_size


def find_other_kind(path: Path) -> str | None:
    """Return what the file is, if it is certainly none of torch.save, and what to do; or None."""
    if path.suffix.lower() in EXPORTED_SUFFIXES:
        return (
            "is an exported detector, which task=predict, task=serve and task=reference alone "
            "read; give the checkpoint that it was made from"
        )
    with path.open("rb") as file:
        start = file.read(START)
    if start.startswith(b"PK\x03\x04"):
        return _other_archive(path)
    for magic, kind in MAGIC.items():
        if start.startswith(magic):
            return f"is {kind}; give a file of torch.save"
    return _text(start)


def _other_archive(path: Path) -> str | None:
    """Return what a zip archive is, unless it is damaged or torch.save may have written it."""
    with suppress(OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("/constants.pkl") for name in names):  # of torch.jit.save alone
            return (
                "is a TorchScript program; give the weights alone, as "
                "torch.save(model.state_dict(), FILE) leaves them"
            )
        if not any(name.endswith("data.pkl") for name in names):
            held = safe_repr(names[0]) if names else "nothing"
            return (
                f"is a zip archive that torch.save did not write (it holds {held}); unpack it, "
                "and give the file of torch.save"
            )
    return None


def _text(start: bytes) -> str | None:
    """Return the first words of a text file, which tell a page of a server from a pointer."""
    # A character of several bytes may be cut at the end.
    text = start.decode("utf-8", "ignore")
    if len(text.encode()) < len(start) - 3 or not text.strip():
        return None
    if not all(character.isprintable() or character.isspace() for character in text):
        return None
    line = safe_repr(text.strip().splitlines()[0][:60])
    if line.startswith("version https://git-lfs"):
        return "is a pointer of Git LFS, and not the file itself; fetch it with git lfs pull"
    return f"is a text file (it begins with {line!r}); download the file itself"
