"""What a user can get wrong about detectors."""


class DetectorError(ValueError):
    """A user's mistake: the message is one line that says what is wrong, where, and the mend."""


class StoppedError(DetectorError):
    """A signal ended a run in good order; the message says how it goes on."""

    exit_code = 143  # 128 + SIGTERM, as shells and schedulers have it
