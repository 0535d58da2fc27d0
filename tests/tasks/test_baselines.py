"""Files of conf/baseline/, the user's own too, are read and checked before a test begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from genspot.common.errors import GenspotError
from genspot.evaluation.published import Baseline
from genspot.tasks.baselines import read_baselines
from helpers.errors import error_of
from helpers.settings import ROOT
from helpers.tasks import composed, run_task

ROW = {"row": "main", "source": "Table 1", "model": "npr", "data": "mine", "aug": "none"}
ROW |= {"crop": 224, "ap": {"san": 90}}
FILE = {"title": "Me, 2026", "link": "https://example.org", "rows": [ROW]}


def write(folder: Path, content: Any, name: str = "own2026", group: str = "baseline") -> Path:
    file = folder / group / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    file.write_text(text, encoding="utf-8")
    return file


def read(folder: Path) -> list[Baseline]:
    """Return the rows of a run with the config folder `folder`."""
    with composed(f"hydra.searchpath=['file://{folder}']", folder=ROOT):
        return read_baselines()


def test_baselines_of_the_users_folder_stand_among_those_of_conf(tmp_path: Path) -> None:
    write(tmp_path, "mine: {path: here}", "mine", "generator")
    more = {"row": "whole", "crop": "none", "resize": [256, 128], "aug": None, "rerun": True}
    more |= {"acc": {"san": 50, "mine": 60.5}, "unconfirmed": ["mine"]}
    write(tmp_path, FILE | {"rows": [ROW, ROW | more]})
    rows = read(tmp_path)
    assert rows[:1] != [] and [one.name for one in rows] == sorted(one.name for one in rows)
    first, second = (one for one in rows if one.name == "own2026")
    assert first == Baseline(
        name="own2026",
        title="Me, 2026",
        row="main",
        source="Table 1",
        link="https://example.org",
        rerun=False,
        model="npr",
        data="mine",
        aug="none",
        resize=None,
        crop=224,
        ap={"san": 90},
        acc={},
        unconfirmed=frozenset(),
    )
    assert (second.crop, second.resize, second.aug, second.rerun) == (None, (256, 128), None, True)
    assert second.acc == {"san": 50, "mine": 60.5} and second.unconfirmed == {"mine"}
    assert len(rows) > 20 and len(read(tmp_path / "generator")) == len(rows) - 2


def test_unconfirmed_row_is_so_for_all_its_generators(tmp_path: Path) -> None:
    write(tmp_path, FILE | {"rows": [ROW | {"acc": {"sitd": 5}, "unconfirmed": True}]})
    (row,) = (one for one in read(tmp_path) if one.name == "own2026")
    assert row.unconfirmed == {"san", "sitd"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"row": None}, "rows[0].row=null: give a text"),
        ({"model": "a b"}, "rows[0].model=a b: give a text of at most"),
        ({"crop": 0}, "rows[0].crop=0: give a whole number from 1 on"),
        ({"crop": None}, "rows[0].crop=null: give a whole number"),
        ({"crop": "whole"}, "rows[0].crop=whole: give a whole number from 1 on, at most 10000 or"),
        ({"resize": [1]}, "rows[0].resize=[1]: give a whole number"),
        ({"ap": {"san": 101}}, "rows[0].ap={'san': 101}: give {GENERATOR: a number from 0 to 100"),
        ({"ap": {"san": True}}, "rows[0].ap={'san': True}: give {GENERATOR:"),
        ({"ap": {"san": float("nan")}}, "rows[0].ap={'san': nan}: give {GENERATOR:"),
        ({"ap": [90]}, "rows[0].ap=[90]: give {GENERATOR:"),
        ({"ap": {}}, "rows[0] has no figures: give ap or acc"),
        ({"ap": {"sann": 90}}, "rows[0].ap: there is no generator/sann.yaml; give the name"),
        ({"acc": {3: 90}}, "rows[0].acc: there is no generator/3.yaml"),
        ({"unconfirmed": ["sitd"]}, "rows[0].unconfirmed: sitd has no figures in this row"),
        ({"unconfirmed": "all"}, "rows[0].unconfirmed=all: give true or false or a list"),
        (
            {"unconfirmed": [["san"]]},
            "rows[0].unconfirmed=[['san']]: give true or false or a list",
        ),
        ({"rerun": "yes"}, "rows[0].rerun=yes: give true or false"),
        ({"AP": {"san": 90}}, "rows[0].AP is no key; there are: row, source, model"),
    ],
)
def test_row_with_a_fault_is_refused_in_one_line_that_names_it(
    changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    file = write(tmp_path, FILE | {"rows": [ROW | changes]})
    message = error_of(read, tmp_path)
    assert message.startswith(f"{file}: {expected}") and "\n" not in message


@pytest.mark.parametrize("key", sorted({*ROW} - {"ap"}))
def test_row_needs_its_conditions(key: str, tmp_path: Path) -> None:
    write(tmp_path, FILE | {"rows": [{name: ROW[name] for name in ROW if name != key}]})
    assert f"rows[0].{key} is missing; give row, source, model, data" in error_of(read, tmp_path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "title is missing; give title, link, rows"),
        ("- 1", "give title, link, rows"),
        ({"title": "a", "rows": [ROW]}, "link is missing; give title, link, rows"),
        (FILE | {"link": "javascript:a"}, "link=javascript:a: give an address that begins with"),
        (FILE | {"rows": []}, "rows=[]: give a list of rows, each {row: …"),
        (FILE | {"rows": ["a"]}, "rows=['a']: give a list of rows"),
        (FILE | {"rows": [ROW, ROW]}, "rows[1].row=main: another row has this name"),
        (FILE | {"year": 2026}, "year is no key; there are: title, link, rows"),
    ],
)
def test_file_with_a_fault_is_refused_in_one_line_that_names_it(
    content: Any, expected: str, tmp_path: Path
) -> None:
    file = write(tmp_path, content)
    assert error_of(read, tmp_path).startswith(f"{file}: {expected}")


@pytest.mark.parametrize("content", ["a: [", "a: 1\na: 2", "a: ${b}", "a: \x00"])
def test_file_that_cannot_be_read_is_refused_in_one_line(content: str, tmp_path: Path) -> None:
    file = write(tmp_path, content)
    message = error_of(read, tmp_path)
    assert message.startswith(f"{file} cannot be read: ") and "\n" not in message


def test_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, FILE)
    file.write_bytes(b"title: \xff")
    assert error_of(read, tmp_path).startswith(f"{file} cannot be read: ")


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path, FILE, "wang2020")
    assert error_of(read, tmp_path) == (
        f"{file} has the name of {ROOT}/conf/baseline/wang2020.yaml: give the publication another"
    )


def test_training_refuses_a_faulty_file_before_it_begins(tmp_path: Path) -> None:
    write(tmp_path, FILE | {"rows": [ROW | {"crop": -1}]})
    settings = ["data=simulated", f"hydra.searchpath=['file://{tmp_path}']"]
    with pytest.raises(GenspotError, match=r"rows\[0\].crop=-1"):
        run_task(*settings, folder=tmp_path / "run")
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_baseline_is_no_choice(tmp_path: Path) -> None:
    message = error_of(lambda: run_task("+baseline=wang2020", folder=tmp_path / "run"))
    assert message == "baseline: files of conf/baseline/ are not chosen; tests read all of them"
