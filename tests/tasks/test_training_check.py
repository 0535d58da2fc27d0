"""Settings that PyTorch and Lightning would refuse after the data are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from genspot.tasks.components import make_trainer
from genspot.tasks.training_check import check_training
from helpers.errors import error_of
from helpers.settings import tiny
from helpers.tasks import composed


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("schedule.optimizer._target_=torch.optim.Foo", "schedule.optimizer: "),
        ("schedule.optimizer.betas=3", "schedule.optimizer: "),
        ("schedule.optimizer.betas=[2,3]", "schedule.optimizer: Invalid beta parameter"),
        ("+schedule.optimizer.foo=3", "unexpected keyword argument 'foo'"),
        ("+schedule.lr_scheduler.foo=1", "schedule.lr_scheduler: "),
        ("schedule.lr_scheduler.max_lr=fast", "schedule.lr_scheduler: "),
        ("+schedule.lr_scheduler.total_steps=9", "schedule.lr_scheduler.total_steps follows from"),
        (
            "schedule.parameter_groups={head: {parameters: '*', lr: 1e-3}}",
            "OneCycleLR sets one learning rate for all parameters: leave lr out of",
        ),
        (
            "schedule.parameter_groups={head: {parameters: '*', rate: 1e-3}}",
            "schedule.parameter_groups.head: Adam.__init__() got an unexpected keyword argument",
        ),
        (
            "schedule.parameter_groups={head: {parameters: '*', weight_decay: -1}}",
            "schedule.parameter_groups.head: Invalid weight_decay value: -1",
        ),
        ("callbacks=[]", "callbacks=[checkpoint,…]"),
        ("callbacks.best=foo", "callbacks.best=foo: give its settings"),
        ("callbacks.best.mode=foo", "callbacks.best: `mode` can be"),
        ("callbacks.best.monitor=val/accuracy", "choose val/acc, val/ap, val/loss, train/loss"),
        ("callbacks.best.filename=foo", "callbacks.best must leave best.ckpt"),
        ("+callbacks.mine={_target_: collections.Counter}", "callbacks.mine is no callback"),
        ("+callbacks.mine={_target_: foo.bar}", "callbacks.mine: Error loading 'foo.bar'"),
        ("+logger.logger.mine={_target_: foo.bar}", "logger.logger.mine._target_=foo.bar"),
        ("trainer.precision=foo", "trainer.precision=foo"),
        ("trainer.devices=foo", "trainer=cpu does not work here"),
        ("trainer.accelerator=foo", "trainer=cpu does not work here"),
        ("trainer.strategy=foo", "trainer=cpu does not work here"),
        ("+trainer.gradient_clip_algorithm=value", "needs trainer.gradient_clip_val"),
        ("+trainer.foo=3", "unexpected keyword argument 'foo'"),
        ("+trainer.limit_train_batches=-3", "invalid value -3 for limit_train_batches"),
    ],
)
def test_check_training_refuses_in_one_line(override: str, expected: str, tmp_path: Path) -> None:
    with composed(*tiny(tmp_path), override, folder=tmp_path) as cfg:
        assert expected in error_of(check_training, cfg)


@pytest.mark.parametrize(
    "override",
    [
        "schedule=paper",
        "schedule.parameter_groups={norms: {parameters: '*', weight_decay: 0}}",
        "trainer.accumulate_grad_batches=4",
        "trainer.gradient_clip_val=1.0",
    ]
    + ["callbacks=[checkpoint,early_stopping]", "logger=wandb", "seed=1"],
)
def test_check_training_takes_what_is_right(override: str, tmp_path: Path) -> None:
    with composed(*tiny(tmp_path), override, folder=tmp_path) as cfg:
        check_training(cfg)


@pytest.mark.parametrize("lowest", [0, 1e-6, 1e-4])
@pytest.mark.parametrize("epochs", [1, 6])
def test_check_training_takes_groups_of_any_rate_without_a_warm_up(
    epochs: int, lowest: float, tmp_path: Path
) -> None:
    """The first rates of a cosine are not in proportion to those of the groups."""
    groups = "schedule.parameter_groups={head: {parameters: '*', lr: 1e-2}}"
    chosen = ["schedule=warmup_cosine", "schedule.lr_scheduler.warmup_epochs=0", groups]
    values = [f"schedule.lr_scheduler.min_lr={lowest}", f"schedule.max_epochs={epochs}"]
    with composed(*tiny(tmp_path)[:3], *chosen, *values, folder=tmp_path) as cfg:
        cfg.data.train = cfg.data.val = "somewhere"
        check_training(cfg)


@pytest.mark.parametrize(
    "setting", ["++schedule.teacher=a.ckpt", "schedule.contrastive=0.2", "model=univfd"]
)
def test_check_training_refuses_to_compile_what_is_not_called(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genspot.tasks.training_check.make_loss", lambda _: None)
    chosen = [*tiny(tmp_path), setting, "trainer.compile=true"]
    with composed(*chosen, folder=tmp_path) as cfg:
        assert error_of(check_training, cfg).startswith(
            "trainer.compile=true compiles the backbone"
        )
    with composed(*chosen[:-1], folder=tmp_path) as cfg:
        check_training(cfg)


@pytest.mark.parametrize("schedule", ["step", "warmup_cosine", "constant"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_check_training_takes_each_schedule_with_each_optimizer(
    schedule: str, optimizer: str, tmp_path: Path
) -> None:
    own_rate = "schedule.parameter_groups={head: {parameters: '*', lr: 1e-3}}"
    chosen = [f"schedule={schedule}", f"schedule/optimizer={optimizer}", own_rate]
    with composed(*tiny(tmp_path)[:3], *chosen, folder=tmp_path) as cfg:
        cfg.data.train = cfg.data.val = "somewhere"
        check_training(cfg)


def test_check_training_refuses_a_scheduler_that_needs_a_figure(tmp_path: Path) -> None:
    target = "_target_: torch.optim.lr_scheduler.ReduceLROnPlateau, _partial_: true"
    chosen = [*tiny(tmp_path), "schedule=constant", f"schedule.lr_scheduler={{{target}}}"]
    with composed(*chosen, folder=tmp_path) as cfg:
        message = error_of(check_training, cfg)
    assert "ReduceLROnPlateau needs a figure after each epoch" in message


@pytest.mark.parametrize(
    "override",
    [
        *("trainer.val_check_interval=0.5", "trainer.val_check_interval=1"),
        *("trainer.limit_train_batches=3", "trainer.limit_train_batches=1"),
    ],
)
def test_check_training_refuses_what_ends_within_a_step(override: str, tmp_path: Path) -> None:
    """1 is one batch, and 1.0 are all."""
    gathering = "trainer.accumulate_grad_batches=2"
    with composed(*tiny(tmp_path), gathering, f"+{override}", folder=tmp_path) as cfg:
        message = error_of(check_training, cfg)
    assert message.startswith(f"{override} with trainer.accumulate_grad_batches: ")
    whole = f"+{override.partition('=')[0]}=1.0"
    for chosen in ([f"+{override}"], [gathering, whole]):
        with composed(*tiny(tmp_path), *chosen, folder=tmp_path) as cfg:
            check_training(cfg)


def test_check_training_takes_null_for_one_batch_a_step(tmp_path: Path) -> None:
    chosen = [*tiny(tmp_path), "trainer.accumulate_grad_batches=null"]
    with composed(*chosen, folder=tmp_path) as cfg:
        assert make_trainer(cfg, "32-true").accumulate_grad_batches == 1


def test_check_training_names_a_setting_once_and_lengths_in_epochs(tmp_path: Path) -> None:
    chosen = [*tiny(tmp_path), "schedule=warmup_cosine", "schedule.max_epochs=2"]
    warmup = "schedule.lr_scheduler.warmup_epochs"
    with composed(*chosen, f"{warmup}=5", folder=tmp_path) as cfg:
        message = error_of(check_training, cfg)
    assert message.startswith(f"{warmup}=5 is no shorter than the training of 2 epochs")
    with composed(*chosen, f"{warmup}=1.99", folder=tmp_path) as cfg:
        check_training(cfg)
