"""Where the configuration lies: in a wheel inside the package, in a checkout beside it."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
IN_WHEEL = (PACKAGE / "conf").is_dir()
CHECKOUT = None if IN_WHEEL else PACKAGE.parent  # the folder of run.py

CONF = (PACKAGE if IN_WHEEL else PACKAGE.parent) / "conf"
EXPERIMENTS = CONF.with_name("experiments")
