"""Pages that are written from the code and the configuration at each build, into _generated/.

- configuration/GROUP.md: the files of a folder of conf/, or of experiments/: the comment at the
  head of each, and its YAML
- schema/test_sets_GROUP.md: the test sets of a release, included by test_sets.md
- schema/TYPE.md: the keys of a dictionary of genspot.evaluation.results or calibration_results,
  included by results.md
- api/ROOM.md: the public modules of a room, from their docstrings
"""

from __future__ import annotations

import pkgutil
import re
import textwrap
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from sphinx.application import Sphinx

import genspot
from genspot.evaluation import calibration_results, results

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
GENERATED = DOCS / "_generated"

GROUPS = {
    "task": "What a run does",
    "data": "What a detector is trained on",
    "generator": "What a detector is tested on",
    "aug": "How training and validation images are augmented",
    "model": "The detector and the size of its input",
    "schedule": "Batches, epochs and the optimiser",
    "callbacks": "Checkpoints and when a training ends",
    "trainer": "The hardware that computes",
    "logger": "Where curves and figures go besides the folder of a run",
    "recipe": "A publication's whole training: model, augmentation and schedule",
    "ablation": "What a run of the study `embedded` leaves out or changes",
    "baseline": "Published figures, one publication a file; tests read all of them",
    "download": "Published files: addresses, sizes, hashes and licences; tasks read all of them",
    "experiments": "Studies: settings that answer one question",
}
ALL_READ = {  # groups that are none to choose from
    "baseline": "each is one publication",
    "download": "each is one entry, `published/NAME` if it is of weights",
}
ROOMS = {
    "augment": "Degradations of images, each an albumentations transform.",
    "data": "From images on disk to batches.",
    "detector": "What is trained, and what a checkpoint is.",
    "download": "Published files: transfer, verification, and the members of archives.",
    "evaluation": "From scores to figures.",
    "report": "From figures to pages, tables and pictures.",
    "server": "The HTTP application: a web page and a REST API.",
    "runtime": "The life of a run: folder, signals, sweeps, trackers.",
    "tasks": "What joins the rooms. The only one that knows Hydra.",
    "common": "What every room may import.",
}
RELEASES = ("forensynths", "universalfakedetect", "gangen", "genimage", "aigcdetectbenchmark")
TEST_SETS = [f"test_sets_{release}" for release in RELEASES]
SCHEMAS = (
    "Results",
    "Measures",
    "GeneratorMetrics",
    "MeanMetrics",
    "PublishedReference",
    "BaselineFigures",
    "CalibrationFit",
    "Calibration",
    "CalibrationMeans",
    "PooledFit",
    "LeftOut",
    "ProbabilityFigures",
    "TrainedOn",
    "ValidationFigures",
)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    header = list(header)
    for cells in (header, ["---"] * len(header), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def score_columns() -> Iterator[str]:
    """Yield the table of the columns of scores.parquet."""
    rows = [
        (f"`{name}`", f"`{kind}`", values, meaning)
        for name, (kind, values, meaning) in results.SCORE_COLUMNS.items()
    ]
    yield from table(("column", "type", "values", "meaning"), rows)


def schema(name: str) -> Iterator[str]:
    """Yield the table of the keys of one dictionary, without those of `Measures`."""
    keys = results.describe_keys(
        getattr(results, name, None) or getattr(calibration_results, name)
    )
    if name != "Measures" and keys.keys() >= set(results.MEASURES):
        keys = {key: value for key, value in keys.items() if key not in results.MEASURES}
    rows = [(f"`{key}`", f"`{kind}`", meaning) for key, (kind, meaning) in keys.items()]
    yield from table(("key", "type", "meaning"), rows)


def load_generator(name: str) -> dict[str, Any]:
    """Return the content of a file of conf/generator/, interpolations as they are written."""
    content: Any = OmegaConf.load(ROOT / "conf" / "generator" / f"{name}.yaml")
    return dict(OmegaConf.to_container(content, resolve=False))


def test_set_table(release: str) -> Iterator[str]:
    """Yield the table of the test sets that a release has before all others of `RELEASES`."""
    before = {
        name
        for other in RELEASES[: RELEASES.index(release)]
        for name in load_generator(other)["defaults"]
    }
    header = ("`generator=`", "generator", "kind", "year", "real images", "images", "folder")
    names = [name for name in load_generator(release)["defaults"] if name not in before]
    yield from table(header, (test_set_row(name) for name in names))


def test_set_row(name: str) -> Iterator[str]:
    """Yield the cells of one test set; a star marks what its file calls unconfirmed."""
    spec = load_generator(name)[name]
    path = spec["path"] if isinstance(spec["path"], dict) else {"": spec["path"]}
    folders = [f"{label} `{folder}`".strip() for label, folder in path.items()]
    cells = {
        "title": f"[{spec['title'].partition(' (')[0]}]({spec['link']})",
        **{key: str(spec[key]) for key in ("kind", "year", "real")},
        "images": "not known" if spec["images"] is None else f"{spec['images']:,}",
        "path": ", ".join(folders).replace("${paths.test}/", ""),
    }
    yield f"`{name}`"
    for key, cell in cells.items():
        yield cell + (r"\*" if key in spec.get("unconfirmed", ()) else "")


def split_comment(text: str) -> tuple[list[str], str]:
    """Return the comment at the head of a YAML file, without its signs, and the rest."""
    lines = text.splitlines()
    count = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line.removeprefix("#").removeprefix(" ") for line in lines[:count]], "\n".join(
        lines[count:]
    ).strip()


def describe(comment: list[str]) -> Iterator[str]:
    """Yield a comment as Markdown: indented lines (command, cost, …) stay as they are."""
    for indented, lines in groupby(comment, key=lambda line: line.startswith("  ")):
        if indented:
            yield from ("```text", *textwrap.dedent("\n".join(lines)).splitlines(), "```", "")
        else:
            yield from (re.sub(r"([\\`*_<>\[\]])", r"\\\1", line) for line in lines)
            yield ""


def group_page(group: str, folder: Path) -> Iterator[str]:
    """Yield the page of a config group."""
    place = folder.relative_to(ROOT)
    yield from (f"# {group}", "", f"{GROUPS[group]}.", "")
    meaning = ALL_READ.get(group, f"each is one choice of `{group}=`")
    yield from (f"The files of `{place}/`; {meaning}.", "")
    for file in sorted(folder.rglob("*.yaml"), key=lambda file: (file.parent, file.name)):
        comment, content = split_comment(file.read_text(encoding="utf-8"))
        subgroup = file.parent.relative_to(folder.parent).as_posix()
        choice = file.stem if file.parent == folder else f"{subgroup}={file.stem}"
        yield from (f"## {choice}", "", *describe(comment))
        yield from ("```yaml", content, "```", "")


def modules(package: str) -> Iterator[str]:
    """Yield the names of the modules of `package` and of the packages below it."""
    path = import_module(package).__path__
    for module in pkgutil.iter_modules(path, f"{package}."):
        if module.ispkg:
            if import_module(module.name).__doc__:
                yield module.name
            yield from modules(module.name)
        else:
            yield module.name


def room_page(room: str) -> Iterator[str]:
    """Yield the page of a room: its modules and what they define."""
    yield from (f"# genspot.{room}", "", ROOMS[room], "")
    for name in modules(f"genspot.{room}"):
        yield from (f"## {name.removeprefix(f'genspot.{room}.')}", "")
        yield from ("```{eval-rst}", f".. automodule:: {name}", "```", "")


def write(lines: Iterable[str], *place: str) -> None:
    """Write a page, if it differs from what is there: Sphinx reads changed pages only."""
    file = GENERATED.joinpath(*place)
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


def generate(app: Sphinx) -> None:
    """Write all pages.

    Raises:
        ValueError: a group of conf/ or a room has no description above.
    """
    groups = {folder.name for folder in (ROOT / "conf").iterdir() if any(folder.glob("*.yaml"))}
    rooms = {module.name for module in pkgutil.iter_modules(genspot.__path__) if module.ispkg}
    for found, described in ((groups | {"experiments"}, GROUPS), (rooms, ROOMS)):
        if difference := found ^ described.keys():
            raise ValueError(f"describe in generated_pages.py: {', '.join(sorted(difference))}")
    for page in GENERATED.glob("*/*.md"):  # of groups and modules that are no more
        if page.stem not in {*GROUPS, *ROOMS, *SCHEMAS, "score_columns", "config", *TEST_SETS}:
            page.unlink()
    for group in GROUPS:
        folder = ROOT / "experiments" if group == "experiments" else ROOT / "conf" / group
        write(group_page(group, folder), "configuration", f"{group}.md")
    config = (ROOT / "conf" / "config.yaml").read_text(encoding="utf-8").strip()
    write(["```yaml", config, "```"], "schema", "config.md")
    for name in SCHEMAS:
        write(schema(name), "schema", f"{name}.md")
    write(score_columns(), "schema", "score_columns.md")
    for release, page in zip(RELEASES, TEST_SETS, strict=True):
        write(test_set_table(release), "schema", f"{page}.md")
    for room in ROOMS:
        write(room_page(room), "api", f"{room}.md")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("builder-inited", generate)
    app.config.exclude_patterns.append("_generated/schema")  # included by other pages
    return {"parallel_read_safe": True}
