"""The table of published files: conf/download/, which is all read, and the user's own files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from genspot.common.errors import GenspotError
from genspot.common.names import name_key, shown
from genspot.download.table import Archive, Download, FileEntry, ReferenceLogit, Weights
from genspot.tasks.config_files import all_files, check_section, choices, read_file
from genspot.tasks.kinds import (
    COMPONENT,
    LINK,
    NAME,
    SECTION,
    TEXT,
    Kind,
    number,
    one_of,
    optional,
    whole,
)

LARGEST = 2**60  # bytes
ADDRESS = Kind(
    "the address of a file, https://SERVER/FILE or http://SERVER/FILE",
    lambda value: TEXT.accepts(value) and bool(re.match(r"https?://[^\s/]+/\S+$", value)),
)
DIGEST = Kind(
    "the 64 hexadecimal digits of SHA-256 in quotes, or the first 8",
    lambda value: isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}|[0-9a-f]{8}", value)),
)


def _list_of(words: str, kind: Kind, empty: bool = True) -> Kind:
    return Kind(
        words,
        lambda value: (
            isinstance(value, list) and (empty or bool(value)) and all(map(kind.accepts, value))
        ),
    )


IMAGE = Kind(
    "the path of an image below the folder of all",
    lambda value: (
        TEXT.accepts(value)
        and not PurePosixPath(value).is_absolute()
        and ".." not in PurePosixPath(value).parts
    ),
)
NAMES = _list_of("a list of names", COMPONENT)
OF_TRANSFERS = (".part", ".part.chunks", ".verified", ".lock")  # files beside one that is fetched
FILE_NAME = Kind(
    f"{NAME.words}, and does not end in {' or '.join(OF_TRANSFERS)}",
    lambda value: NAME.accepts(value) and not value.lower().endswith(OF_TRANSFERS),
)
FILE: dict[str, Kind] = {
    "name": FILE_NAME,
    "url": ADDRESS,
    "bytes": whole(1, LARGEST),
    "sha256": optional(DIGEST),
}
FILES = _list_of("a list of files, each {name: …, url: …, bytes: …, sha256: …}", SECTION, False)
ENTRY: dict[str, Kind] = {
    "kind": one_of("archive", "weights"),
    "title": TEXT,
    "files": FILES,
    "licence": TEXT,
    "source": LINK,
}
ARCHIVE: dict[str, Kind] = {
    "split": one_of("train", "val", "test"),
    "wrapper": optional(one_of("7z")),
    "members": optional(whole(1)),
    "classes": NAMES,
    "data": NAMES,
    "generators": NAMES,
}
LOGIT: dict[str, Kind] = {
    "image": IMAGE,
    "crop": optional(whole(1)),
    "logit": number("a number", lambda value: True),
}
WEIGHTS: dict[str, Kind] = {
    "model": COMPONENT,
    "data": optional(COMPONENT),
    "aug": optional(COMPONENT),
    "logits": _list_of("a list of logits, each {image: …, crop: …, logit: …}", SECTION),
    "logits_source": optional(TEXT),
    "tolerance": number("a number from 0 on", lambda value: value >= 0),
}


def read_downloads() -> dict[str, Download]:
    """Return the entries of all files download/NAME.yaml by NAME, in the order of their names.

    They lie in conf/ and in the folders of the user's own (`--config-dir`, `hydra.searchpath`).

    Raises:
        GenspotError: a file cannot be read, has another key or a value of another kind, or names a
            training or test set that has no file; or two files of the table have one name.
    """
    found = {name: _entry(name, path) for name, path in all_files("download", "the entry").items()}
    names: dict[str, str] = {}
    for entry in found.values():
        for file in entry.files:  # all lie in one folder
            first = names.setdefault(name_key(file.name), entry.name)
            if first != entry.name:
                raise GenspotError(
                    f"download/{first}.yaml and download/{entry.name}.yaml have files of one "
                    f"name, {file.name}: give one of them another"
                )
    return found


def archives(table: Mapping[str, Download]) -> list[Archive]:
    """Return the archives of a table."""
    return [entry for entry in table.values() if isinstance(entry, Archive)]


def _entry(name: str, path: Path) -> Download:
    """Return one checked entry."""
    values = read_file(path)
    kind = values.get("kind") if isinstance(values, dict) else None
    own = WEIGHTS if kind == "weights" else ARCHIVE
    required = [*ENTRY, "model" if kind == "weights" else "split"]
    check_section(str(path), values, ENTRY | own, required)
    rest = {key: value for key, value in values.items() if key in own}
    about: dict[str, Any] = {
        "name": name,
        "files": _files(path, values["files"]),
        **{key: values[key] for key in ("title", "licence", "source")},
    }
    if kind == "archive":
        for key, group in (("data", "data"), ("generators", "generator")):
            for one in rest.get(key, ()):
                if one not in choices(group):
                    raise GenspotError(f"{path}: {key}: there is no {group}/{shown(one)}.yaml")
        lists = {key: tuple(value) for key, value in rest.items() if isinstance(value, list)}
        return Archive(**about, **(rest | lists))
    if len(about["files"]) != 1:
        raise GenspotError(f"{path}: files: weights are one file")
    for key in ("model", "data", "aug") if rest.get("data") else ():
        if rest.get(key) not in (None, *choices(key)):
            raise GenspotError(f"{path}: there is no {key}/{shown(rest[key])}.yaml")
    logits = rest.pop("logits", [])
    for row, one in enumerate(logits):
        check_section(f"{path}: logits[{row}]", one, LOGIT, LOGIT, separator=".")
    return Weights(**about, **rest, logits=tuple(ReferenceLogit(**one) for one in logits))


def _files(path: Path, files: list[dict[str, Any]]) -> tuple[FileEntry, ...]:
    """Return the checked files of one entry."""
    for row, file in enumerate(files):
        check_section(f"{path}: files[{row}]", file, FILE, FILE, separator=".")
    if len({name_key(file["name"]) for file in files}) < len(files):
        raise GenspotError(f"{path}: files: two have one name")
    return tuple(
        FileEntry(file["name"], file["url"], file["bytes"], file["sha256"]) for file in files
    )
