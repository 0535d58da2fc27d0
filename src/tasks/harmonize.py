"""Copy sets of images so that the real and the fake ones are alike but for their content."""

from __future__ import annotations

import logging
import shlex
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock
from omegaconf import DictConfig

from genspot.augment.degradations import parse_protocol
from genspot.common.errors import GenspotError
from genspot.common.names import NO_PROTOCOL, name_key
from genspot.common.run_files import UNREADABLE
from genspot.common.tables import concat, write_csv
from genspot.data import harmonize as copies_of
from genspot.data.datamodule import ImageDataModule
from genspot.data.dataset import ImageDataset
from genspot.data.protocol_choice import choose_protocol
from genspot.data.settings import TRAINING_SPLITS, Split
from genspot.evaluation.scores import unreadable_table
from genspot.report.console import print_line, print_path, print_table
from genspot.tasks import config
from genspot.tasks.chosen_sets import chosen_sets
from genspot.tasks.commands import quoted
from genspot.tasks.scoring import check_unreadable
from genspot.tasks.warnings_filter import silence_warnings

log = logging.getLogger(__name__)

REMAINS = (
    "Colour, sharpness and content stay as they are, and so do images that are there twice; "
    "task=audit finds them."
)


class Source(NamedTuple):
    """A set to copy."""

    split: Split
    table: pa.Table  # of samples
    load: copies_of.Load  # from a row of the table to the pixels of its copy
    copies: pa.Array


def harmonize(cfg: DictConfig) -> None:
    """Write copies of the chosen sets by a protocol; see `genspot.data.harmonize`.

    Raises:
        GenspotError: nothing is chosen or there, the folder of the copies holds something else,
            the disk has no room, or more images than `max_unreadable` have no copy.
    """
    silence_warnings()
    run, loading = config.run_settings(cfg), config.loading(cfg)
    datamodule = chosen_sets(cfg)
    tables = _tables(datamodule)
    if cfg.protocol == NO_PROTOCOL:
        choice = choose_protocol({name: table for name, (_, table) in tables.items()}, loading)
        cfg.protocol = choice.protocol
        for reason in choice.reasons:
            print_line(reason)
    print_line(f"protocol={cfg.protocol}")
    folder = Path(cfg.task.output or Path(cfg.paths.datasets) / "harmonized" / str(cfg.protocol))
    protocol, limit = parse_protocol(cfg.protocol), loading.max_megapixels
    sources = {
        name: Source(
            split,
            table,
            ImageDataset(table, max_megapixels=limit, protocols=(protocol, protocol)).load,
            copies_of.name_copies(table),
        )
        for name, (split, table) in tables.items()
    }
    folder = folder.absolute()
    copies_of.refuse_foreign(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / copies_of.LOCK):
        failed = _copy(sources, folder, str(cfg.protocol), loading.workers)
    without = concat([*failed, *datamodule.skipped.values()])
    write_csv(without, run.folder / UNREADABLE)
    _print_results(sources, failed, folder, run.quiet)
    if len(without):
        print_path("left out", run.folder / UNREADABLE)
    check_unreadable(run, len(without))


def _tables(datamodule: ImageDataModule) -> dict[str, tuple[Split, pa.Table]]:
    """Return the sets to copy by the names of their folders.

    Raises:
        GenspotError: a test set has the name of the folder of another set.
    """
    found = {
        str(split): (split, datamodule.tables[split])
        for split in TRAINING_SPLITS
        if split in datamodule.tables
    }
    if (table := datamodule.tables.get("test")) is not None:
        for name in dict.fromkeys(table["generator"].to_pylist()):
            if name_key(name) in found:
                raise GenspotError(
                    f"the test set {name} and the training's {name_key(name)} would have one "
                    "folder: give the test set another name, or copy them one after the other"
                )
            found[name] = ("test", table.filter(pc.equal(table["generator"], name)))
    return found


def _copy(
    sources: dict[str, Source], folder: Path, protocol: str, workers: int | None
) -> list[pa.Table]:
    """Copy the sets into `folder`; return a table of the images without a copy for each.

    Raises:
        GenspotError: see `harmonize`.
    """
    digests = {
        name: (copies_of.digest_of(one.table, one.copies), len(one.table))
        for name, one in sources.items()
    }
    recipe = copies_of.open_recipe(folder, protocol, digests)
    missing = {
        name: (one.load, copies_of.missing_rows(one.table, one.copies, folder / name))
        for name, one in sources.items()
    }
    needed = copies_of.check_space(folder, missing)
    count = sum(len(rows) for _, rows in missing.values())
    total = sum(len(one.table) for one in sources.values())
    log.info("%s: %d of %d images to copy, %.3f GB", folder, count, total, needed / 1e9)
    failed = []
    for name, one in sources.items():
        reasons = copies_of.copy_set(one.table, one.copies, folder / name, one.load, workers)
        copies_of.close_recipe(folder, recipe, name, len(one.table) - len(reasons))
        failed.append(unreadable_table(one.table, reasons))
    return failed


def _print_results(
    sources: dict[str, Source], failed: list[pa.Table], folder: Path, quiet: bool
) -> None:
    """Print what was copied, and how it is used."""
    if not quiet:
        rows = []
        for (name, one), without in zip(sources.items(), failed, strict=True):
            labels = one.table["label"].to_pylist()
            lost = without["label"].to_pylist()
            counts = [labels.count(label) - lost.count(label) for label in (0, 1)]
            rows.append([name, *map(str, counts), str(len(without))])
        print_table(("set", "real", "fake", "left out"), rows)
        print_line(REMAINS)
        tests = [name for name, one in sources.items() if one.split == "test"]
        if tests:
            places = ", ".join(f"{quoted(name)}: {quoted(folder / name)}" for name in tests)
            setting = shlex.quote(f"test_sets={{{places}}}")
            print_path("audit them", f"python run.py task=audit {setting}")
    print_path("copies", folder)
