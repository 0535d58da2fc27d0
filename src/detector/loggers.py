"""Loggers that need more than a constructor."""

from __future__ import annotations

import logging
from typing import Any

import wandb
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

log = logging.getLogger(__name__)

START_LIMIT = 20.0  # seconds that an unreachable server may hold up the start of a run


def wandb_logger(
    project: str, group: str | None, name: str, tags: list[str], save_dir: str
) -> WandbLogger:
    """A Weights & Biases logger: online where a key is set, else offline; never a hindrance."""
    wanted: dict[str, Any] = {
        "project": project,
        "group": group,
        "name": name,
        "tags": tags,
        "dir": save_dir,
    }
    if getattr(rank_zero_only, "rank", 0) != 0:
        return WandbLogger(save_dir=save_dir, offline=True)
    settings = wandb.Settings(init_timeout=START_LIMIT, silent=True)
    try:
        if wandb.login(prompt=False):  # a key is set
            return WandbLogger(experiment=wandb.init(**wanted, settings=settings))
    except Exception as error:  # whatever the key, the server or the network did, the run goes on
        reason = " ".join(str(error).split())
        log.warning("Weights & Biases cannot be used online (%s): logging offline", reason)
    run = wandb.init(**wanted, mode="offline", settings=settings)
    log.info(
        "Weights & Biases: offline; to upload later: wandb sync %s", run.dir.rsplit("/", 1)[0]
    )
    return WandbLogger(experiment=run)
