"""Claims beside predictions."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from genspot.tasks.claims import add_claims
from helpers.claims import PARAMETERS, make_exif, png_with_text, save
from helpers.runs import read_csv
from helpers.settings import SEARCH_PATH
from helpers.tasks import run_task


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.png").write_bytes(png_with_text(parameters=PARAMETERS))
    (folder / "dog.jpg").write_bytes(save("JPEG", exif=make_exif(x10F="NIKON\x1b[2J")))
    (folder / "sea.png").write_bytes(save("PNG"))
    return folder


def test_add_claims_keeps_the_rows_and_their_columns(photos: Path, tmp_path: Path) -> None:
    paths = [str(photos / name) for name in ("sea.png", "cat.png")]
    given = pa.table({"path": paths, "logit": [2.0, 1.0]})
    table, found = add_claims(given, 10, tmp_path)
    assert table.drop_columns("claims") == given
    assert [one.path for one in found] == paths
    plain, generated = table["claims"].to_pylist()
    assert plain == "" and generated.startswith("generated: PNG text parameters ")


def test_add_claims_without_rows_has_a_column_of_text(tmp_path: Path) -> None:
    table, found = add_claims(pa.table({"path": pa.array([], pa.string())}), 10, tmp_path)
    assert (table["claims"].type, found) == (pa.string(), [])


def test_predict_writes_and_prints_claims_apart_from_the_scores(
    trained: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["task=predict", f"checkpoint={trained}/best.ckpt", "workers=0", SEARCH_PATH]
    folder = run_task(*settings, f"inputs={photos}", folder=tmp_path / "run")
    rows = {Path(row["path"]).name: row for row in read_csv(folder / "predictions.csv")}
    assert rows["cat.png"]["claims"].startswith("generated: PNG text parameters ")
    assert rows["sea.png"]["claims"] == ""
    assert rows["dog.jpg"]["claims"].startswith("camera: EXIF Make ")
    assert rows["cat.png"]["logit"] == rows["sea.png"]["logit"]  # the same pixels
    content = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    assert content["files"] == 3
    assert {Path(one["path"]).name for one in content["with_claims_or_notes"]} == {
        "cat.png",
        "dog.jpg",
    }
    printed = capsys.readouterr().out
    assert f"claims of {photos}/sea.png: no claims in the file" in printed
    assert "They prove nothing" in printed and "\x1b" not in printed
