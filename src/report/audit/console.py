"""An audit in the terminal."""

from __future__ import annotations

from pathlib import Path

from genspot.common.run_files import (
    AUDIT,
    AUDIT_DUPLICATES,
    AUDIT_PAGE,
    AUDIT_TRAITS,
    UNREADABLE,
)
from genspot.report.audit.findings import Audit, short_reason, why_not_judged
from genspot.report.console import print_line, print_path, print_table


def print_audit(audit: Audit, folder: Path, quiet: bool, unreadable: int) -> None:
    """Print the verdict on each set unless `quiet`, and the files in `folder`.

    Args:
        audit: all of it.
        folder: of the run.
        quiet: whether the verdicts are left out.
        unreadable: images and files that are not part of the audit.
    """
    if not quiet:
        rows = [
            [one.title, f"{one.reals:,}", f"{one.fakes:,}", one.judgement] for one in audit.sets
        ]
        print_table(["set", "real", "fake", "judgement"], rows, audit.title)
        for one in audit.sets:
            if text := f"{short_reason(one)} {why_not_judged(one)}".strip():
                print_line(f"{one.title}: {text}")
        if unreadable:
            print_line(f"Unreadable or left out: {unreadable:,} files ({UNREADABLE}).")
    for name, file in (
        ("page", AUDIT_PAGE),
        ("traits", AUDIT_TRAITS),
        ("duplicates", AUDIT_DUPLICATES),
        ("all", AUDIT),
    ):
        print_path(name, folder / file)
