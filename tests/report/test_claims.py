from __future__ import annotations

import json
from pathlib import Path

import pytest

from genspot.common.claims import ABOUT, CAMERA, CREDENTIALS, GENERATED, OTHER, Claim, FileClaims
from genspot.report.claims import MAX_LINES, print_claims, summary, write_claims

PARAMETERS = Claim(GENERATED, "PNG text", "parameters", "Steps: 20, " + "x" * 500)
MAKE = Claim(CAMERA, "EXIF", "Make", "NIKON")
TITLE = Claim(OTHER, "PNG text", "Title", "a cat")
FAKE = FileClaims("a.png", (PARAMETERS, MAKE, TITLE), ("XMP could not be read: torn",))
PLAIN = FileClaims("b.png")


def test_summary_is_short_and_leaves_out_what_has_no_kind() -> None:
    assert summary(PLAIN) == ""
    assert summary(FileClaims("c.png", (TITLE,))) == ""
    generated, camera = summary(FAKE).split("; ")
    assert generated.startswith("generated: PNG text parameters “Steps: 20, xxx")
    assert generated.endswith("x…”") and len(generated) < 100
    assert camera == "camera: EXIF Make “NIKON”"


def test_print_claims_of_few_files_has_a_line_each(capsys, tmp_path: Path) -> None:
    print_claims([FAKE, PLAIN], tmp_path)
    first, second, about, path = capsys.readouterr().out.splitlines()
    assert first.startswith("claims of a.png: generated: ")
    assert first.endswith("(XMP could not be read: torn)")
    assert second == "claims of b.png: no claims in the file"
    assert about == ABOUT
    assert path == f"claims:      {tmp_path}/claims.json"


def test_print_claims_of_many_files_counts_the_kinds(capsys, tmp_path: Path) -> None:
    signed = FileClaims("c.png", (Claim(CREDENTIALS, "C2PA", "signer", "x"),) * 2)
    print_claims([FAKE, signed, *[PLAIN] * MAX_LINES], tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Claims of 22 files: generated 1, camera 1, credentials 1, other 1."
    assert lines[1] == "Metadata of 1 of the files was not read whole (claims.json)."
    assert len(lines) == 4


@pytest.mark.parametrize("count", [1, MAX_LINES + 1])
def test_print_claims_quietly_says_where_the_file_is(count: int, capsys, tmp_path: Path) -> None:
    print_claims([FAKE] * count, tmp_path, quiet=True)
    assert capsys.readouterr().out == f"claims:      {tmp_path}/claims.json\n"


def test_write_claims_has_values_whole_and_counts_all_files(tmp_path: Path) -> None:
    write_claims([FAKE, PLAIN], tmp_path)
    content = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    assert (content["about"], content["files"]) == (ABOUT, 2)
    (one,) = content["with_claims_or_notes"]
    assert one["path"] == "a.png" and one["notes"] == list(FAKE.notes)
    assert one["claims"][0]["value"] == PARAMETERS.value
    assert one["claims"][2] == {
        "kind": "other",
        "source": "PNG text",
        "field": "Title",
        "value": "a cat",
    }
