"""SLURM is asked to requeue, by a stand-in for its scontrol."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from genspot.runtime import slurm


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in the place of scontrol; what it is asked is in `asked`."""
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.defpath]))

    def answer(script: str) -> None:
        place = tmp_path / "scontrol"
        place.write_text(f"#!/bin/sh\necho $@ >> {tmp_path}/asked\n{script}\n")
        place.chmod(0o755)

    return answer


def test_outside_of_slurm_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    assert slurm.requeue() == ""


def test_where_there_is_no_scontrol_that_is_said(
    answering: Callable[[str], None], tmp_path: Path
) -> None:
    assert "job 17 was not requeued: no scontrol here" in slurm.requeue()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 0", "job 17 is requeued"),
        ("echo busy now >&2; exit 1", "job 17 was not requeued: busy now"),
        ("exec sleep 20", "job 17 was not requeued: "),
    ],
)
def test_what_came_of_it_is_said(
    script: str,
    expected: str,
    answering: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slurm, "LIMIT_S", 1)
    answering(script)
    assert expected in slurm.requeue()
    assert (tmp_path / "asked").read_text() == "requeue 17\n"


def test_a_job_of_an_array_is_named_as_slurm_names_it(
    answering: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "16")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    answering("exit 0")
    slurm.requeue()
    assert (tmp_path / "asked").read_text() == "requeue 16_3\n"
