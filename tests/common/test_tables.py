"""Arrow tables as files."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pyarrow as pa
import pytest

from genspot.common.tables import concat, csv_cell, read_parquet, write_csv, write_parquet
from helpers.runs import read_csv

HOSTILE = [
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"),
    *("\uff1d1", "\uff0b1", "\uff0d", "\uff20"),  # full-width
    *("'quoted", "''", "'=1\\n", "a\x1b[31m", "a\nb", "=a\\b", "=\\x1b", "a\u202eb", "\x9b"),
]
HARMLESS = ["", "a=1", "a'b", "C:\\x\\n", "\\x1b", "größe 写真", 'say "x", y', " =1", "_-", "1-2"]


def test_concat_joins_tables_with_different_dictionaries() -> None:
    tables = [pa.table({"name": pa.array(list(x)).dictionary_encode()}) for x in ("aba", "c")]
    assert concat(tables) == pa.table({"name": ["a", "b", "a", "c"]})


@pytest.mark.parametrize("text", HOSTILE)
def test_csv_cell_of_a_hostile_text_is_plain_text(text: str) -> None:
    cell = csv_cell(text)
    assert cell.startswith("'")
    assert cell.isprintable()


@pytest.mark.parametrize("text", HARMLESS)
def test_csv_cell_of_a_harmless_text_is_the_text(text: str) -> None:
    assert csv_cell(text) == text


def test_write_csv_keeps_every_text_and_number(tmp_path: Path) -> None:
    texts = HOSTILE + HARMLESS
    table = pa.table(
        {
            "path": pa.array(texts, pa.large_string()),
            "class": pa.array(texts).dictionary_encode(),
            "logit": [-float(row) for row in range(len(texts))],
        }
    )
    write_csv(table, tmp_path / "table.csv")
    rows = read_csv(tmp_path / "table.csv")  # with the inverse of `csv_cell`
    assert [row["path"] for row in rows] == [row["class"] for row in rows] == texts
    assert [float(row["logit"]) for row in rows] == table["logit"].to_pylist()
    assert len({csv_cell(text) for text in texts}) == len(texts)
    cells = [cell for row in csv.reader((tmp_path / "table.csv").open()) for cell in row[:2]]
    assert not [cell for cell in cells if cell[:1] in {*"=+-@\t\r\uff1d\uff0b\uff0d\uff20"}]


def test_tables_are_written_and_read_in_a_folder_that_is_not_utf8(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()
    table = pa.table({"a": [1, 2]})
    write_csv(table, folder / "a.csv")
    write_parquet(table, folder / "a.parquet")
    assert (folder / "a.csv").read_text() == '"a"\n1\n2\n'
    assert read_parquet(folder / "a.parquet") == table


def test_write_csv_of_no_rows_has_the_heading(tmp_path: Path) -> None:
    write_csv(pa.table({"path": pa.array([], pa.string())}), tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == '"path"\n'


def test_read_parquet_refuses_values_that_were_changed_on_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    write_parquet(pa.table({"logit": [float(number) for number in range(100)]}), file)
    content = bytearray(file.read_bytes())
    content[200] ^= 1
    file.write_bytes(content)
    with pytest.raises(OSError, match="CRC"):
        read_parquet(file)
