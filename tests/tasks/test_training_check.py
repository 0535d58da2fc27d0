"""Settings that PyTorch and Lightning would refuse after the data are read."""

from __future__ import annotations

from pathlib import Path

import pytest

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
        ("+trainer.foo=3", "unexpected keyword argument 'foo'"),
        ("+trainer.limit_train_batches=-3", "invalid value -3 for limit_train_batches"),
    ],
)
def test_check_training_refuses_in_one_line(override: str, expected: str, tmp_path: Path) -> None:
    with composed(*tiny(tmp_path), override, folder=tmp_path) as cfg:
        assert expected in error_of(check_training, cfg)


@pytest.mark.parametrize(
    "override",
    ["schedule=paper", "callbacks=[checkpoint,early_stopping]", "logger=wandb", "seed=1"],
)
def test_check_training_takes_what_is_right(override: str, tmp_path: Path) -> None:
    with composed(*tiny(tmp_path), override, folder=tmp_path) as cfg:
        check_training(cfg)
