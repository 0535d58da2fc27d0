"""What files claim of their origin, in the terminal and in files."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from genspot.common.claims import ABOUT, KINDS, OTHER, Claim, FileClaims
from genspot.common.files import write_json
from genspot.common.run_files import CLAIMS
from genspot.report.console import print_line, print_path

MAX_LINES = 20  # images of which each gets a line
MAX_VALUE = 60  # characters of a claim in a line
NONE = "no claims in the file"


def summary(found: FileClaims) -> str:
    """Return the claims of a file in one line, without those of no kind; empty without any."""
    shown = [_words(claim) for claim in found.claims if claim.kind != OTHER]
    return "; ".join(dict.fromkeys(shown))


def _words(claim: Claim) -> str:
    value = claim.value
    value = value if len(value) <= MAX_VALUE else value[: MAX_VALUE - 1] + "…"
    return f"{claim.kind}: {claim.source} {claim.field} “{value}”"


def write_claims(found: Sequence[FileClaims], folder: Path) -> None:
    """Write claims.json: the number of files, and claims and notes of those that have any."""
    photos = [dataclasses.asdict(one) for one in found if one.claims or one.notes]
    content = {"about": ABOUT, "files": len(found), "with_claims_or_notes": photos}
    write_json(content, folder / CLAIMS)


def print_claims(found: Sequence[FileClaims], folder: Path, quiet: bool = False) -> None:
    """Print what files claim: a line each, or of more than `MAX_LINES` how many claim what.

    Args:
        found: in the order of the predictions.
        folder: with claims.json.
        quiet: print only where the file is.
    """
    if not quiet:
        for line in _lines(found):
            print_line(line)
        print_line(ABOUT)
    print_path("claims", folder / CLAIMS)


def _lines(found: Sequence[FileClaims]) -> list[str]:
    if len(found) <= MAX_LINES:
        lines = [f"claims of {one.path}: {summary(one) or NONE}{_note(one)}" for one in found]
    else:
        kinds = [kind for one in found for kind in {claim.kind for claim in one.claims}]
        counts = Counter(kinds)
        parts = [f"{kind} {counts[kind]}" for kind in KINDS if counts[kind]]
        lines = [f"Claims of {len(found)} files: {', '.join(parts) or 'none'}."]
        if count := sum(bool(one.notes) for one in found):
            lines.append(f"Metadata of {count} of the files was not read whole ({CLAIMS}).")
    return lines


def _note(one: FileClaims) -> str:
    return f" ({'; '.join(one.notes)})" if one.notes else ""
