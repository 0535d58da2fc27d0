"""What a user can get wrong about runs beside one another."""


class LaunchError(ValueError):
    """A user's mistake, or failed jobs: the message is one line."""
