"""The images of label folders as ZIP, Parquet and Arrow files and as a list."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
# As the library datasets describes its columns.
FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": ["fake", "real"], "_type": "ClassLabel"},
}
METADATA = {"huggingface": json.dumps({"info": {"features": FEATURES}})}


def write_zip(file: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def write_table(file: Path, table: pa.Table, rows: int = 4, stream: bool = True) -> Path:
    """Write a Parquet file with row groups of `rows`, or an Arrow stream or file with batches."""
    if file.suffix == ".parquet":
        pq.write_table(table, file, row_group_size=rows)
        return file
    kind = pa.ipc.new_stream if stream else pa.ipc.new_file
    with kind(str(file), table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return file


def image_table(contents: list[bytes | None], **columns: list[Any]) -> pa.Table:
    """Return a table with a column `image` of encoded images, as Hugging Face has it."""
    images = [{"bytes": content, "path": None} for content in contents]
    return pa.table({"image": pa.array(images, STRUCT), **columns})


def as_containers(folder: Path, out: Path) -> dict[str, Path]:
    """Write the images of a folder of classes in each form; return the files by form."""
    files = sorted(
        (path.parts[-3:-1], path) for path in folder.rglob("*.png")
    )  # by class, then label
    contents = [path.read_bytes() for _, path in files]
    labels = [int(label == "1_fake") for (_, label), _ in files]
    classes = [name for (name, _), _ in files]
    table = image_table(contents, label=labels, **{"class": classes})
    described = table.set_column(1, "label", pa.array([1 - label for label in labels]))
    out.mkdir()
    with (out / "list.csv").open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["path", "label", "class"])
        writer.writerows(zip((str(path) for _, path in files), labels, classes, strict=True))
    members = {path.relative_to(folder).as_posix(): path.read_bytes() for _, path in files}
    plain = table.set_column(0, "img", pa.array(contents, pa.large_binary()))
    return {
        "zip": write_zip(out / "a.zip", members),
        "parquet": write_table(out / "a.parquet", table),
        "parquet of bytes": write_table(out / "b.parquet", plain),
        "parquet of Hugging Face": write_table(
            out / "c.parquet", described.replace_schema_metadata(METADATA)
        ),
        "arrow stream": write_table(out / "a.arrow", table),
        "arrow file": write_table(out / "b.arrow", table, stream=False),
        "list": out / "list.csv",
    }
