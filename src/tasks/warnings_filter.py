"""Warnings that say nothing to a user."""

from __future__ import annotations

import logging
import warnings


def silence_warnings() -> None:
    """Leave out what Lightning reports on every run, and tracebacks of full log files."""
    logging.raiseExceptions = False
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*exists and is not empty.*",
        ".*treespec.*deprecated.*",
        ".*predict returned None.*",
        ".*recommended to use .self.log.*sync_dist=True.*",  # torchmetrics does so by itself
        ".*smaller than the logging interval.*",
        r".*module\(s\) in eval mode at the start.*",  # what is frozen stays so
        ".*module.* in eval mode at the start of training.*",  # frozen parts
        "Total length of .* across ranks is zero.*",  # all is scored already
    ):
        warnings.filterwarnings("ignore", message)
