"""An exported file is scored by one process on the CPU; what asks for more is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from genspot.tasks import exported
from genspot.tasks.exported import PROCESSES, open_exported
from helpers.errors import error_of


@pytest.fixture(autouse=True)
def file(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROCESSES:
        monkeypatch.delenv(name, raising=False)
    found = SimpleNamespace(path=Path("a.onnx"), export={})
    monkeypatch.setattr(exported, "load_exported", lambda path: found)
    monkeypatch.setattr(exported, "command_line_overrides", lambda: ["task=predict"])


@pytest.mark.parametrize("name", PROCESSES)
def test_open_exported_in_several_processes_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "2")
    message = error_of(open_exported, "a.onnx")
    assert f"one process scores it, not 2 ({name})" in message
    monkeypatch.setenv(name, "1")
    assert open_exported("a.onnx").path == Path("a.onnx")


@pytest.mark.parametrize("override", ["trainer=ddp", "trainer.devices=2", "+trainer.profiler=x"])
def test_open_exported_with_a_setting_of_the_trainer_is_refused(
    monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    monkeypatch.setattr(exported, "command_line_overrides", lambda: [override])
    key = override.lstrip("+").partition("=")[0]
    assert f"leave {key} out" in error_of(open_exported, "a.onnx")
