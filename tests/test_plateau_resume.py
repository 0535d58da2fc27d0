"""A training that the plateau rule has ended, and that was killed before its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Run, tiny
from test_resume import assert_same_results


@pytest.mark.slow
def test_a_training_ended_by_its_rule_is_only_tested_anew(
    run: Run, sets: Path, tmp_path: Path
) -> None:
    words = [word.replace("schedule=quick", "schedule=paper") for word in tiny(sets)]
    words = [word for word in words if "max_epochs" not in word]
    words += ["workers=0", "schedule.callbacks.plateau.patience=1"]
    words += ["schedule.callbacks.plateau.min_lr=5e-5"]
    folders = [tmp_path / name for name in ("whole", "killed")]
    for folder in folders:
        result = run(*words, f"hydra.run.dir={folder}", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    for name in ("metrics.json", "report.html"):
        (folders[1] / name).unlink()
    curves = folders[1] / "metrics.csv"  # whose last row has the results
    curves.write_text("\n".join(curves.read_text().splitlines()[:-1]) + "\n")
    again = run(*words, f"hydra.run.dir={folders[1]}", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert_same_results(folders[1], folders[0])
