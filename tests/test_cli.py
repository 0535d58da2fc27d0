"""The command line: fast where there is no work, and one clear line for each mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, Run, save_set


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"], ["-sc", "query=bash"]])
def test_help_config_and_completion_do_not_import_torch(words: list[str], tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "run.py"), *words],
        cwd=tmp_path,
        env=os.environ | {"COMP_LINE": "python run.py data=progan_", "COMP_POINT": "26"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    modules = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}
    assert "hydra" in modules
    assert not modules & {"torch", "numpy", "pytorch_lightning", "albumentations"}
    expected = {"--help": "experiments=quickstart", "--cfg": "progan", "-sc": "data=progan_20cls"}
    if words[0] != "--cfg":
        assert expected[words[0]] in result.stdout


MISTAKES = {
    "unknown generator": (["generator=[sitdd]"], ["sitdd", "did you mean 'sitd'"]),
    "unknown data set": (["data=progan_20cl"], ["did you mean 'progan_20cls'"]),
    "unknown study": (["experiments=quickstar"], ["did you mean 'quickstart'"]),
    "misspelt key": (["trainer.precison=32"], ["trainer.precison", "did you mean 'precision'"]),
    "misspelt group": (["agu=none"], ["agu", "did you mean 'aug'"]),
    "misspelt studies": (["experiment=quickstart"], ["did you mean 'experiments'"]),
    "the end of a key": (["optimizer.lr=1"], ["did you mean 'schedule.optimizer.lr'"]),
    "the last of a key": (["max_epochs=1"], ["did you mean 'schedule.max_epochs'"]),
    "a precision that is none": (
        ["data=folder", "data.train=whole", "data.val=whole", "generator=folder", "folder=whole"]
        + ["model=resnet18", "model.weights=null", "trainer.precision=fp16"],
        ["fp16", "bf16-mixed", "leave out what was changed of trainer.*"],
    ),
    "a folder with another prediction": (
        ["task=predict", "checkpoint=CHECKPOINT", "inputs=whole", "hydra.run.dir=predicted"],
        ["predicted holds a prediction with other settings", "hydra.run.dir=PATH"],
    ),
    "broken override": (["generator=[sitd"], ["[sitd", "special characters"]),
    "a path with an equals sign": (["folder=my set=1"], ["my set=1", "'a value'"]),
    "generators without brackets": (["generator=sitd,san"], ["generator=[sitd,san]"]),
    "no generator": (["task=test", "checkpoint=CHECKPOINT", "generator=[]"], ["generator="]),
    "a crop of nothing": (["preprocess.crop=0"], ["crop=0"]),
    "a negative number of workers": (["workers=-1"], ["workers=-1"]),
    "no epochs": (["schedule.max_epochs=0"], ["schedule.max_epochs=0"]),
    "a confidence in percent": (["bootstrap.confidence=95"], ["bootstrap.confidence=95"]),
    "nothing readable": (
        ["task=predict", "checkpoint=CHECKPOINT", "inputs=run.txt"],
        ["no image could be read", "UnidentifiedImageError"],
    ),
    "a finished run of other settings": (
        ["experiments=quickstart", "hydra.run.dir=TRAINED"],
        ["finished run with other settings", "hydra.run.dir=PATH"],
    ),
    "no data set": (
        ["data=progan_20cls", "paths.train=nowhere", "model.weights=null"],
        ["nowhere", "74.7 GB", "sywang/CNNDetection", "data=simulated works without"],
    ),
    "no test set": (
        ["task=test", "data=progan_20cls", "paths.test=nowhere", "checkpoint=CHECKPOINT"],
        ["progan", "20.1 GB", "nowhere"],
    ),
    "no checkpoint named": (["task=test"], ["checkpoint=PATH"]),
    "no such checkpoint": (["task=test", "checkpoint=none.ckpt"], ["none.ckpt", "no such file"]),
    "a checkpoint that is none": (["task=predict", "inputs=.", "checkpoint=run.txt"], ["run.txt"]),
    "no inputs": (["task=predict", "checkpoint=CHECKPOINT"], ["inputs=PHOTO_OR_FOLDER"]),
    "missing inputs": (
        ["task=predict", "checkpoint=CHECKPOINT", "inputs=none.png"],
        ["none.png", "no such file"],
    ),
    "folder without 0_real": (
        ["task=test", "generator=folder", "folder=half", "checkpoint=CHECKPOINT"],
        ["half", "0_real"],
    ),
    "generator folder without a folder": (
        ["task=test", "generator=folder", "checkpoint=CHECKPOINT"],
        ["folder=PATH"],
    ),
    "a crop that is none": (
        ["task=test", "generator=folder", "folder=whole", "crop=big", "checkpoint=CHECKPOINT"],
        ["crop=big"],
    ),
    "another contract": (
        ["task=test", "generator=folder", "folder=whole", "preprocess.crop=99"]
        + ["checkpoint=CHECKPOINT"],
        ["preprocess.crop=32", "contract=override"],
    ),
    "an augmentation that is none": (
        ["data=folder", "data.train=whole", "data.val=whole", "generator=folder", "folder=whole"]
        + ["model.weights=null", "aug.train.transforms.0.sigma=-1"],
        ["sigma=-1"],
    ),
    "a batch of nothing": (
        ["data=folder", "data.train=whole", "data.val=whole", "generator=folder", "folder=whole"]
        + ["schedule.batch_size=0"],
        ["batch_size=0"],
    ),
    "a device that is not here": (
        ["data=folder", "data.train=whole", "data.val=whole", "generator=folder", "folder=whole"]
        + ["model.weights=null", "trainer.accelerator=tpu"],
        ["trainer=auto", "torch_xla"],
    ),
    "a seed that is none": (
        ["task=test", "generator=folder", "folder=whole", "checkpoint=CHECKPOINT", "seed=-1"],
        ["seed=-1"],
    ),
    "a store of no kind": (
        ["data=folder", "data.train=whole", "data.val=whole", "generator=folder", "folder=whole"]
        + ["genspot.data.packed.reader=zip"],
        ["genspot.data.packed.reader=zip", "files or packed"],
    ),
    "a store that was never packed": (
        ["data=folder", "data.train=whole", "data.val=whole", "generator=folder", "folder=whole"]
        + ["model.weights=null", "genspot.data.packed.reader=packed"],
        ["whole.packed", "task=pack data=folder"],
    ),
    "nothing to pack": (["task=pack", "data=folder"], ["data.train=PATH"]),
    "a run's folder below a file": (
        ["experiments=quickstart", "hydra.run.dir=run.txt/run"],
        ["not a directory", "run.txt/run", "paths.runs=PATH"],
    ),
    "a folder for data below a file": (
        ["experiments=quickstart", "paths.datasets=run.txt/data"],
        ["run.txt", "paths.datasets=PATH"],
    ),
    "a file in the place of a run's folder": (
        ["experiments=quickstart", "hydra.run.dir=run.txt"],
        ["no folder can be made of", "run.txt", "hydra.run.dir=PATH"],
    ),
    "a broken link in the place of a run's folder": (
        ["experiments=quickstart", "hydra.run.dir=broken"],
        ["no folder can be made of", "broken", "hydra.run.dir=PATH"],
    ),
    "a folder in the place of a run's log": (
        ["experiments=quickstart", "hydra.run.dir=logless"],
        ["is a directory", "genspot.log", "hydra.run.dir=PATH"],
    ),
    "a number of images that is none": (
        ["experiments=quickstart", "simulation.train=lots", "paths.datasets=out/sets"],
        ["simulation.train=lots", "whole number"],
    ),
    "a value that is missing": (["data=folder"], ["data.train"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_line(mistake: str, run: Run, trained: Path, tmp_path: Path) -> None:
    words, expected = MISTAKES[mistake]
    (tmp_path / "half" / "1_fake").mkdir(parents=True)
    (tmp_path / "run.txt").write_text("no checkpoint")
    save_set(tmp_path / "whole", 2, 2)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "logless" / "genspot.log").mkdir(parents=True)
    for name in ("config.yaml", "predictions.csv"):
        (tmp_path / "predicted").mkdir(exist_ok=True)
        (tmp_path / "predicted" / name).touch()
    words = [word.replace("CHECKPOINT", str(trained / "best.ckpt")) for word in words]
    words = [word.replace("TRAINED", str(trained)) for word in words]
    result = run(f"hydra.run.dir={tmp_path}/out", "logger=none", *words, cwd=tmp_path)
    assert result.returncode != 0
    # A reading loop shows its bar before it finds out.
    lines = [line for line in result.stderr.splitlines() if line.strip() and "it/s" not in line]
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists() or any((tmp_path / "out").glob("*.yaml"))
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("genspot: ")
    for words_expected in expected:
        assert words_expected in lines[0]
