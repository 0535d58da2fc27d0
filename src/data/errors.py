"""What a user can get wrong about data."""


class DataError(ValueError):
    """A user's mistake: the message is one line that says what is wrong, where, and the mend."""
