"""Files are written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genspot.common.files import atomic_write, write_json, write_text


def test_atomic_write_failure_keeps_the_former_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(OSError, match="full"), atomic_write(path) as partial:
        partial.write_text("half")
        raise OSError("full")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_write_json_nan_raises_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json({"ap": float("nan")}, tmp_path / "metrics.json")
    assert not list(tmp_path.iterdir())
    write_json({"ap": None, "title": "Größe"}, tmp_path / "metrics.json")
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"ap": None, "title": "Größe"}


def test_write_text_replaces_in_utf_8(tmp_path: Path) -> None:
    for text in ("first", "Größe ≥ 1"):
        write_text(text, tmp_path / "results.md")
    assert (tmp_path / "results.md").read_bytes() == text.encode()
