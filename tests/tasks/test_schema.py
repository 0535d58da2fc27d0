"""Every setting refuses values of another kind, in one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from genspot.tasks.config import check_settings
from genspot.tasks.schema import CLOSED, SETTINGS
from helpers.errors import error_of
from helpers.tasks import composed

# Setting → values of another kind, as on the command line.
WRONG = {
    "seed": ["-1", "foo", "1.5", "true", "null", "4294967296"],
    "resume": ["maybe", "1", "null"],
    "workers": ["-1", "foo", "1.5", "true", "[1]"],
    "allow_mismatch": ["foo", "1", "null"],
    "quiet": ["foo", "null"],
    "max_unreadable": ["-1", "foo"],
    "checkpoint": ["3", "[a]", "{a: 1}", "''"],
    "inputs": ["[]", "[a,true]", "[[a]]", "true", "1.5", "{a: 1}"],
    "test_sets": ["3", "[a]", "a", "true"],
    "hub": ["null", "3"],
    "hub.id": ["3", "[a]"],
    "hub.split": ["null", "3"],
    "hub.limit": ["0", "lots"],
    "hub.streaming": ["null", "3"],
    "runs": ["3", "null", "[[a]]", "[null]"],
    "report.title": ["3", "[a]", "''", '"a\\nb"'],
    "report": ["null", "3"],
    "spectra": ["0", "foo", "true", "1.5"],
    "degradations": ["null", "[blur_1]", "''", "{a: 1}"],
    "test_set.name": ["3", "1e3", "a/b", "'../../x'", "..", "''", "null", "'=1'", "'2024'"],
    "test_set.path": [
        *("3", "[a]", "''", "{}", "{a: b}", "{real: 3}", "{real: null}", "{path: a, foo: b}"),
        *("{path: null}", "{hub: a, limit: 0}", "{hub: a, streaming: 3}", "{real: a, path: b}"),
    ],
    "test_set": ["null"],
    "simulation.size": ["3", "foo", "null"],
    "simulation.train": ["0", "lots"],
    "simulation": ["null"],
    "autogan.photos": ["3", "[a]", "''"],
    "autogan.width": ["0", "foo", "null"],
    "autogan.blocks": ["-1", "1.5"],
    "autogan.side": ["31", "null"],
    "autogan.steps": ["0", "1e9"],
    "autogan": ["null", "3"],
    "confidence": ["0", "1", "foo", "nan", "null"],
    "paths.root": ["3", "null"],
    "paths.runs": ["null"],
    "paths": ["null"],
    "data.train": ["3", "[a]", "{a: b}"],
    "data.val": ["true"],
    "data.classes": ["foo", "[]", "[1,2]", "[a,a]", "['../a']", "['/etc']", "{a: 1}", "3"],
    "data.simulator": ["foo", "{name: foo}", "3", "{name: a, upsampling: foo, stages: 2}"],
    "data.photos": ["3", "[a]"],
    "data.shortcut_baseline": ["foo", "3"],
    "data.num_classes": ["0", "foo"],
    "data.format": ["foo"],
    "data.name": ["3", "null"],
    "aug.name": ["3", "null"],
    "model.name": ["3", "null"],
    "schedule.batch_size": ["0", "null", "foo"],
    "schedule.eval_batch_size": ["0", "1.5"],
    "schedule.max_epochs": ["0", "foo", "null"],
    "schedule.optimizer": ["foo", "null"],
    "schedule.optimizer.lr": ["0", "1", "nan", "true", "fast"],
    "schedule.lr_scheduler": ["foo", "3"],
    "schedule.name": ["3", "a/b"],
    "trainer.compile": ["foo", "null"],
    "trainer.channels_last": ["1"],
    "trainer.log_every_n_steps": ["-1", "foo"],
    "trainer.max_epochs": ["0", "foo"],
    "trainer.precision": ["banana", "bf16-true", "64", "null", "true"],
    "logger.logger": ["foo", "null"],
    "task.run": ["null", "3"],
}


def check(*overrides: str, folder: Path) -> None:
    with composed(*overrides, folder=folder) as cfg:
        check_settings(cfg)


@pytest.mark.parametrize("setting", WRONG)
def test_check_values_refuses_another_kind(setting: str, tmp_path: Path) -> None:
    with composed(folder=tmp_path) as cfg:
        check_settings(cfg)
        before = OmegaConf.select(cfg, setting)
        for text in WRONG[setting]:
            value = OmegaConf.create(f"value: {text}").value
            OmegaConf.update(cfg, setting, value, merge=False)
            message = error_of(check_settings, cfg)
            assert message.startswith(f"{setting}="), (text, message)
            assert "give " in message
            OmegaConf.update(cfg, setting, before, merge=False)
        check_settings(cfg)


@pytest.mark.parametrize("section", CLOSED)
def test_check_values_refuses_a_key_that_is_no_setting(section: str, tmp_path: Path) -> None:
    message = error_of(lambda: check(f"+{section}.foo=1", folder=tmp_path))
    assert message.startswith(f"no setting {section}.foo; there are: ")
    known = next(key for key in SETTINGS if key.startswith(f"{section}."))
    assert known.removeprefix(f"{section}.") in message


@pytest.mark.parametrize(
    "overrides",
    [
        ["data=folder", "data.train=a", "data.val='b c'", "test_set.path=d", "test_set.name='é'"],
        ["data=progan_20cls", "crop=none", "degradations=blur_1+jpeg_75", "spectra=5"],
        ["task=predict", "checkpoint=a.ckpt", "inputs=3", "workers=0"],
        ["task=predict", "checkpoint=a.ckpt", "inputs=[a.jpg,b/,3,'c*.png']"],
        ["data=folder", "data.train={real: a, fake: b}", "data.val={path: a, label: b}"],
        ["generator=hub", "hub.id=a/b", "hub.split=test", "hub.image=image", "hub.label=label"],
        ["test_sets={a: b, c: {real: d}, e: {hub: f/g, limit: 3, streaming: true}}"],
        ["task=report", "runs=[a,b]", "report.title='a, b'"],
        ["task=report", "runs=a"],
        ["schedule=quick", "logger=wandb", "trainer=ddp", "trainer.precision=16"],
        ["data=folder", "test_set.path=d", "~data.format", "~data.shortcut_baseline"],
        ["schedule=step", "schedule.label_smoothing=0.1", "schedule.class_weights=[1,2.5]"],
        ["schedule.frozen=[backbone.fc.*]", "schedule.balanced=true", "aug.flip=0"],
        ["schedule.parameter_groups={a: {parameters: x}, b: {parameters: [y,z], lr: 1}}"],
        ["~schedule.frozen", "~schedule.balanced", "~schedule.label_smoothing", "~aug.flip"],
    ],
)
def test_check_values_takes_what_is_right(overrides: list[str], tmp_path: Path) -> None:
    check(*overrides, folder=tmp_path)


@pytest.mark.parametrize(
    "override",
    [
        *("aug.flip=1.1", "aug.flip=true", "schedule.label_smoothing=1", "schedule.balanced=1"),
        *("schedule.class_weights=2", "schedule.class_weights=[1]", "schedule.frozen=fc"),
        *("schedule.class_weights=[0,1]", "schedule.frozen=[1]", "schedule.parameter_groups=3"),
        "schedule.parameter_groups={a: {lr: 1}}",
        "schedule.parameter_groups={a: {parameters: []}}",
        "schedule.parameter_groups={a: {parameters: x, lr: fast}}",
        "schedule.parameter_groups={a: {parameters: x, lr: -1}}",
        *("trainer.gradient_clip_val=-1", "trainer.accumulate_grad_batches=0"),
        f"trainer.gradient_clip_val={'9' * 400}",
    ],
)
def test_check_values_refuses_another_kind_of_a_training_setting(
    override: str, tmp_path: Path
) -> None:
    message = error_of(lambda: check(override, folder=tmp_path))
    assert message.startswith(f"{override.partition('=')[0]}=") and "give " in message


def test_check_settings_refuses_a_generator_whatever_the_task(tmp_path: Path) -> None:
    for task in ("train", "test", "predict", "report", "pack"):
        settings = [f"task={task}", "generator=[san]", "+generator.san.foo=1"]
        message = error_of(lambda overrides: check(*overrides, folder=tmp_path), settings)
        assert message.startswith("no setting generator.san.foo; there are: path, title, name")


@pytest.mark.parametrize(
    ("setting", "tasks"),
    [
        ("all=true", "task=download"),
        ("archives=remove", "task=download"),
        ("recheck=true", "task=download"),
        ("repo=a/b", "task=share"),
        ("inputs=a.png", "task=export and task=predict and task=reference and task=verify"),
        ("reference=a.parquet", "task=predict and task=reference and task=serve"),
        ("fpr=0.01", "task=predict"),
        ("combine=true", "task=predict"),
        ("format=null", "task=export and task=predict"),
        ("runs=[a]", "task=report and task=share"),
        ("report.title=a", "task=report"),
    ],
)
def test_check_settings_refuses_a_setting_of_other_tasks(
    setting: str, tasks: str, tmp_path: Path
) -> None:
    for own in tasks.split(" and "):
        check(own, setting, folder=tmp_path)
    key = setting.partition("=")[0]
    for other in ("train", "test", "pack"):
        message = error_of(lambda task: check(task, setting, folder=tmp_path), f"task={other}")
        assert message == (
            f"{key} is a setting of {tasks}, without effect on task={other}: leave it out"
        )


def test_check_settings_takes_a_format_of_each_task_in_its_own_form(tmp_path: Path) -> None:
    for task, right, wrong in (("export", "[onnx]", "json"), ("predict", "json", "[onnx]")):
        check(f"task={task}", f"format={right}", folder=tmp_path)
        setting = [f"task={task}", f"format={wrong}"]
        message = error_of(lambda overrides: check(*overrides, folder=tmp_path), setting)
        assert message.startswith("format=") and ": give " in message


def test_check_settings_takes_several_checkpoints_in_a_prediction_alone(tmp_path: Path) -> None:
    check("task=predict", "checkpoint=[a.ckpt,b.ckpt]", folder=tmp_path)
    setting = ["task=test", "checkpoint=[a.ckpt,b.ckpt]"]
    message = error_of(lambda overrides: check(*overrides, folder=tmp_path), setting)
    assert message.startswith("checkpoint=") and "give a path as text" in message
