"""Overrides that a shell has split."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.errors import OverrideParseException

from genspot.tasks.overrides import check_plain_run, parse_overrides, refuse_open_brackets
from helpers.errors import error_of
from helpers.tasks import composed


@pytest.mark.parametrize(
    "whole",
    [
        "test_sets={mine: data/caps}",
        "inputs=[a.png, data/sd15]",
        "test_sets={a: {real: r, fake: f}, b: c}",
        "labels={real: [flux], fake: [camera]}",
    ],
)
def test_override_that_a_shell_has_split_is_shown_as_a_whole_in_quotes(whole: str) -> None:
    for others in ([], ["seed=1"]):
        message = error_of(refuse_open_brackets, ["task=test", *whole.split(), *others])
        assert f'put double quotes around the whole, "{whole}";' in message


@pytest.mark.parametrize("rest", [[], ["seed=1", "-m"]])
def test_bracket_that_is_not_closed_is_named(rest: list[str]) -> None:
    message = error_of(refuse_open_brackets, ["test_sets={mine: data/caps", *rest])
    assert "a bracket is not closed" in message and '"test_sets=…"' in message


@pytest.mark.parametrize(
    "override",
    [
        "test_sets={a: b}",
        "report.title='a [b'",
        'report.title="a {b"',
        r"report.title='it\'s {'",
        r"test_set.path=a\(b",
        "seed=choice(1,2)",
        "a=${b}",
        "a=b",
    ],
)
def test_override_with_all_brackets_closed_is_taken(override: str) -> None:
    refuse_open_brackets([override, "--config-dir", "a{b", "a[b"])
    parse_overrides([override])


@pytest.mark.parametrize("override", ["a={b", "a=[b", "a=b(1", "a={b: [c}", "a=b[", "a='x'{"])
def test_open_brackets_are_none_of_hydras_values(override: str) -> None:
    with pytest.raises(OverrideParseException):
        parse_overrides([override])
    assert "is not closed" in error_of(refuse_open_brackets, [override])


@pytest.mark.parametrize("override", ["hydra/launcher=basic", "hydra.sweeper.max_batch_size=2"])
def test_settings_of_a_sweep_are_refused_in_a_plain_run(override: str, tmp_path: Path) -> None:
    with composed(override, folder=tmp_path):
        assert error_of(check_plain_run) == f"{override} is of a sweep: add -m"
    with composed("seed=1", "hydra.job.name=a", folder=tmp_path):
        check_plain_run()
