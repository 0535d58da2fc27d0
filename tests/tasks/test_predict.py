"""Predictions for photos and folders."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from genspot.common.errors import GenspotError
from genspot.tasks.plain_scoring import LAUNCHERS, is_plain
from genspot.tasks.predict import AlarmError
from helpers.images import save_image
from helpers.runs import read_csv, read_logits
from helpers.settings import SEARCH_PATH
from helpers.tasks import composed, run_task


@pytest.mark.parametrize("inputs", ["test", "test/1_fake/003.png"])
def test_predict_scores_as_the_test_did_and_lists_what_is_unreadable(
    inputs: str, trained: Path, sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["task=predict", f"checkpoint={trained}/best.ckpt", "workers=0", SEARCH_PATH]
    folder = run_task(*settings, f"inputs={sets}/{inputs}", folder=tmp_path / "run")
    rows = read_csv(folder / "predictions.csv")
    logits = {row["path"]: float(row["logit"]) for row in rows}
    assert list(logits.values()) == sorted(logits.values(), reverse=True)
    expected = {path: logit for path, logit in read_logits(trained).items() if inputs in path}
    assert logits == pytest.approx(expected, abs=1e-6)
    for row in rows:
        assert float(row["probability"]) == pytest.approx(1 / (1 + np.exp(-float(row["logit"]))))
    unreadable = [Path(row["path"]).name for row in read_csv(folder / "unreadable.csv")]
    assert unreadable == (["broken.png"] if inputs == "test" else [])
    assert "not calibrated" in capsys.readouterr().out


NOT_IMPORTED = {
    *("pytorch_lightning", "lightning_fabric", "albumentations", "torchmetrics", "wandb", "timm"),
    *("torchvision", "sklearn", "numba", "matplotlib", "scipy.optimize", "scipy.signal"),
    *("genspot.detector.module", "genspot.detector.callbacks", "genspot.tasks.components"),
}


def test_predict_of_one_photo_imports_nothing_of_a_training_and_starts_no_process(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    program = (
        "import sys, subprocess, multiprocessing\n"
        "from genspot.tasks.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print('children:', len(multiprocessing.active_children()))\n"
        "print('imported:', *sys.modules)\n"
    )
    settings = [f"checkpoint={trained}/best.ckpt", f"inputs={sets}/test/1_fake/003.png"]
    settings += ["task=predict", f"hydra.run.dir={tmp_path}/run", SEARCH_PATH]
    result = subprocess.run(
        [sys.executable, "-c", program, *settings], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    *_, children, imported = result.stdout.splitlines()
    assert (tmp_path / "run" / "predictions.csv").is_file()
    assert children == "children: 0"
    assert not set(imported.split()) & NOT_IMPORTED


LIGHTNING = ["trainer=cpu", "+trainer.limit_predict_batches=1.0"]  # a setting of Lightning's own


def test_predict_with_lightning_scores_to_the_same_bits(
    trained: Path, sets: Path, tmp_path: Path
) -> None:
    settings = ["task=predict", f"checkpoint={trained}/best.ckpt", "workers=0", SEARCH_PATH]
    settings += [f"inputs={sets}/test"]
    plain = run_task(*settings, folder=tmp_path / "plain")
    other = run_task(*settings, *LIGHTNING, folder=tmp_path / "lightning")
    for name in ("predictions.csv", "unreadable.csv"):
        assert (plain / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize(
    ("overrides", "variables", "expected"),
    [
        ([], {}, True),
        (["trainer=cpu", "schedule.max_epochs=3"], {}, True),
        (["+trainer.check_val_every_n_epoch=5"], {}, True),
        (LIGHTNING, {}, False),
        (["trainer=ddp_cpu"], {}, False),
        (["trainer.devices=2"], {}, False),
        (["trainer.num_nodes=2"], {}, False),
        (["trainer.accelerator=gpu"], {}, False),
        ([], {"WORLD_SIZE": "2"}, False),
        ([], {"SLURM_NTASKS": "2"}, False),
    ],
)
def test_is_plain_tells_what_needs_lightning(
    overrides: list[str],
    variables: dict[str, str],
    expected: bool,
    hydra_ready: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with composed("task=predict", *overrides, folder=tmp_path) as cfg:
        assert is_plain(cfg) == expected


def test_is_plain_leaves_a_gpu_to_lightning(
    hydra_ready: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with composed("task=predict", folder=tmp_path) as cfg:
        assert not is_plain(cfg)
    with composed("task=predict", "trainer=cpu", folder=tmp_path) as cfg:
        assert is_plain(cfg)


def test_predict_refuses_weights_that_are_not_finite_before_it_reads_images(
    trained: Path, tmp_path: Path
) -> None:
    content = torch.load(trained / "best.ckpt", weights_only=True)
    content["state_dict"]["network.backbone.1.running_var"][3] = torch.nan
    torch.save(content, tmp_path / "nan.ckpt")
    settings = ["task=predict", f"checkpoint={tmp_path}/nan.ckpt", f"inputs={tmp_path}/none"]
    expected = r"nan\.ckpt is of no use: network\.backbone\.1\.running_var holds NaN"
    with pytest.raises(GenspotError, match=expected):
        run_task(*settings, SEARCH_PATH, folder=tmp_path / "run")


def test_predict_refuses_weights_that_overflow_before_it_reads_images(
    trained: Path, tmp_path: Path
) -> None:
    content = torch.load(trained / "best.ckpt", weights_only=True)
    for key, value in content["state_dict"].items():
        if key.endswith("weight"):
            value.fill_(3e38)
    torch.save(content, tmp_path / "huge.ckpt")
    settings = ["task=predict", f"checkpoint={tmp_path}/huge.ckpt", f"inputs={tmp_path}/none"]
    with pytest.raises(GenspotError, match=r"the logit of a black image is (nan|-?inf)"):
        run_task(*settings, SEARCH_PATH, folder=tmp_path / "run")


@pytest.fixture
def pair(trained: Path, tmp_path: Path) -> list[Path]:
    """Two checkpoints of one training, whose weights differ, in folders of their own."""
    content = torch.load(trained / "best.ckpt", weights_only=True)
    found = []
    for name, scale in (("first", 1.0), ("second", -2.0)):
        content["state_dict"] = {
            key: value * scale if "fc" in key or value.ndim == 2 else value
            for key, value in content["state_dict"].items()
        }
        (tmp_path / name).mkdir()
        torch.save(content, tmp_path / name / "best.ckpt")
        found.append(tmp_path / name / "best.ckpt")
    return found


def test_predict_by_several_detectors_gives_each_the_scores_that_it_has_alone(
    pair: list[Path], sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["task=predict", f"inputs={sets}/test", "workers=0", SEARCH_PATH]
    both = f"checkpoint=[{pair[0]},{pair[1]}]"
    folder = run_task(*settings, both, folder=tmp_path / "both")
    rows = read_csv(folder / "predictions.csv")
    for name, checkpoint in zip(("first", "second"), pair, strict=True):
        alone = run_task(*settings, f"checkpoint={checkpoint}", folder=tmp_path / f"run_{name}")
        expected = {row["path"]: row["logit"] for row in read_csv(alone / "predictions.csv")}
        own = [row for row in rows if row["detector"] == name]
        assert {row["path"]: row["logit"] for row in own} == expected
        digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
        assert {row["checkpoint"] for row in own} == {digest}
    document = json.loads((folder / "predictions.json").read_text())
    assert [one["detector"] for one in document["photos"][0]["detectors"]] == ["first", "second"]
    assert document["photos"][0]["agreement"]
    assert [Path(row["path"]).name for row in read_csv(folder / "unreadable.csv")] == (
        ["broken.png"]
    )
    assert not list(folder.glob("*.scores.jsonl"))
    assert "detector" in capsys.readouterr().out


def test_predict_refuses_a_checkpoint_twice_and_another_number_of_references(
    pair: list[Path], sets: Path, tmp_path: Path
) -> None:
    settings = ["task=predict", f"inputs={sets}/test", SEARCH_PATH]
    with pytest.raises(GenspotError, match="names the same file twice"):
        run_task(*settings, f"checkpoint=[{pair[0]},{pair[0]}]", folder=tmp_path / "run")
    both = f"checkpoint=[{pair[0]},{pair[1]}]"
    with pytest.raises(GenspotError, match="reference= names 1 and checkpoint= 2"):
        run_task(*settings, both, "reference=a.parquet", folder=tmp_path / "run")
    with pytest.raises(GenspotError, match=r"fpr=0\.01 needs a reference"):  # none holds for both
        run_task(*settings, both, "reference=none", "fpr=0.01", folder=tmp_path / "run")
    with pytest.raises(GenspotError, match=r"fpr=0\.01 needs a reference"):
        run_task(*settings, f"checkpoint={pair[0]}", "fpr=0.01", folder=tmp_path / "run")
    for checkpoint in (f"checkpoint={pair[0]}", both):
        with pytest.raises(GenspotError, match=r"^combine=true joins .+ leave combine out$"):
            run_task(*settings, checkpoint, "combine=true", folder=tmp_path / "run")


def test_predict_as_json_reads_paths_from_standard_input_and_prints_json_alone(
    pair: list[Path], sets: Path, tmp_path: Path
) -> None:
    photos = sorted((sets / "test" / "1_fake").glob("00*.png"))[:2]
    settings = [f"checkpoint={pair[0]}", "inputs=-", "format=json", "task=predict"]
    settings += [f"hydra.run.dir={tmp_path}/run", SEARCH_PATH]
    command = [sys.executable, "-m", "genspot.tasks.main", *settings]
    lines = "".join(f"{photo}\n\n" for photo in photos)
    (pair[0].parent / "best.reference.parquet").write_text("none")  # a warning, in the log
    result = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert sorted(one["photo"] for one in document["photos"]) == [*map(str, photos)]
    assert f"{tmp_path}/run/predictions.csv" in result.stderr
    assert "[WARNING] - there are no grades" in result.stderr
    empty = subprocess.run(command, input="\n", capture_output=True, text=True, timeout=300)
    assert (empty.returncode, empty.stdout) == (1, "")
    assert "no path came on standard input" in empty.stderr


def test_predict_at_a_false_alarm_rate_ends_with_exit_code_3_after_an_alarm(
    pair: list[Path], tmp_path: Path
) -> None:
    for number in range(101):
        save_image(tmp_path / "photos" / f"{number:03d}.png", 70_000 + number, fake=False)
    settings = [f"checkpoint={pair[0]}", f"inputs={tmp_path}/photos", "workers=0", SEARCH_PATH]
    run_task("task=reference", *settings, folder=tmp_path / "reference")
    with pytest.raises(AlarmError, match=r"^1 of 101 photos are alarms at fpr=0\.02") as found:
        run_task("task=predict", *settings, "fpr=0.02", folder=tmp_path / "run")
    assert found.value.exit_code == 3
    first, *others = read_csv(tmp_path / "run" / "predictions.csv")
    assert first["decision"] == "alarm" and {one["decision"] for one in others} == {"no alarm"}
    assert float(others[0]["logit"]) < float(first["threshold"]) <= float(first["logit"])
    run_task("task=predict", *settings, "fpr=0.01", folder=tmp_path / "none")  # 2 / 102 at least
    with pytest.raises(GenspotError, match=r"fpr=0\.001 needs at least 999 reference photos"):
        run_task("task=predict", *settings, "fpr=0.001", folder=tmp_path / "few")
    with pytest.raises(GenspotError, match=r"needs at least 999999999999 reference photos"):
        run_task("task=predict", *settings, "fpr=1e-320", folder=tmp_path / "few")
