"""What a user can get wrong about detectors."""


class DetectorError(ValueError):
    """A user's mistake: the message is one line that says what is wrong, where, and the mend."""
