"""Packages that only some users need: extras of genspot."""

from __future__ import annotations

from genspot.common.errors import GenspotError


def missing_extra(what: str, package: str, extra: str) -> GenspotError:
    """Return the error that says how to install what is missing.

    Args:
        what: the setting or command that cannot do without `package`.
        package: the distribution that is not installed.
        extra: the extra of genspot that holds it, which is a target of the Makefile too.
    """
    return GenspotError(
        f"{what} needs {package}: pip install 'genspot[{extra}]' (in a checkout: make {extra})"
    )
