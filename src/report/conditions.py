"""Tests under conditions, such as images encoded again, beside the plain test of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genspot.report import protocols
from genspot.report.comparison import Difference, ap_differences
from genspot.report.runs import CHOICES, Run, generator_names, mean_names, varying_choices
from genspot.report.sections.words import Table
from genspot.report.tables import format_ap

TITLE = "Conditions of the test"
CAPTION = (
    "AP in percent, with interval, without a condition and under each. matched: real and fake "
    "images were changed alike; fakes: the fakes alone. The drop is the AP without the condition "
    "minus that under it, in percentage points; its interval is paired, over the same images."
)


@dataclass(frozen=True)
class ConditionGroup:
    """The tests of one detector that differ in their condition alone.

    Attributes:
        choice: what distinguishes the detector from the others of the report; "" for one alone.
        plain: the test without a condition.
        runs: the tests under conditions.
        rows: the names of generators and means.
        drops: for each of `runs`, row → AP of `plain` minus the AP under the condition.
    """

    choice: str
    plain: Run
    runs: list[Run]
    rows: list[str]
    drops: list[dict[str, Difference]]

    def table(self) -> Table:
        """Return a column for the plain test, and for each condition its AP and the drop."""
        first, *others = (self.table_of(number) for number in range(len(self.runs)))
        heading, rows = [*first.heading], [[*row] for row in first.rows]
        for table in others:
            heading += table.heading[2:]
            for row, more in zip(rows, table.rows, strict=True):
                row += more[2:]
        return Table(first.caption, heading, rows)

    def table_of(self, number: int) -> Table:
        """Return the table of one of `runs`: the plain AP, its own and the drop."""
        run, drops = self.runs[number], self.drops[number]
        same = run.image_paths == self.plain.image_paths
        heading = ["generator", self.plain.choices["protocol"], run.choices["protocol"]]
        heading.append("drop" if same else "drop (other images)")
        rows = [
            [
                name,
                format_ap(self.plain.results.get(name, {})),
                format_ap(run.results.get(name, {})),
                drops[name].text,
            ]
            for name in self.rows
        ]
        return Table(f"{self.choice}: {CAPTION}" if self.choice else CAPTION, heading, rows)


def condition_groups(runs: Sequence[Run]) -> list[ConditionGroup]:
    """Return the runs under conditions, by detector, each beside the test without a condition.

    Runs without such a test of the same checkpoint, settings and own protocol are in no group.
    """
    groups: dict[object, list[Run]] = {}
    for run in runs:
        key = tuple(run.choices[choice] for choice in CHOICES if choice != "protocol")
        groups.setdefault((key, run.checkpoint), []).append(run)
    varying = [key for key in varying_choices(runs) if key != "protocol"]
    found = []
    for group in groups.values():
        changed = [run for run in group if protocols.condition_of(run.metrics)]
        plain = [run for run in group if protocols.is_plain(run.metrics)]
        if not (changed and plain):
            continue
        choice = ", ".join(plain[0].choices[key] for key in varying)
        rows = [*generator_names(group, one_class=False), *mean_names(group)]
        drops = [ap_differences(plain[0], run, rows) for run in changed]
        found.append(ConditionGroup(choice, plain[0], changed, rows, drops))
    return found


def covers(groups: Sequence[ConditionGroup], runs: Sequence[Run]) -> bool:
    """Return whether the tables of `groups` hold every difference from the first of `runs`."""
    if len(groups) != 1 or groups[0].plain is not runs[0]:
        return False
    return len(groups[0].runs) == len(runs) - 1
