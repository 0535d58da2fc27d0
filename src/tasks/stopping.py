"""The signal handler of this process, which the command line installs and trainings defer."""

from __future__ import annotations

from genspot.runtime.shutdown import ShutdownHandler

SHUTDOWN = ShutdownHandler()
