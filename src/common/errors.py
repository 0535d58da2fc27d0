"""The error for what a user can correct."""


class GenspotError(ValueError):
    """A mistake that the user can correct.

    The message is one line: what is wrong, where, and what to do.

    Attributes:
        exit_code: of the command line that ends with it.
    """

    exit_code = 1
