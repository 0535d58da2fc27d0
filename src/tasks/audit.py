"""Find what tells real from fake without looking at generation, and duplicates."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from omegaconf import DictConfig
from tqdm import tqdm

from genspot.common.errors import GenspotError
from genspot.common.files import write_json, write_text
from genspot.common.names import NO_PROTOCOL
from genspot.common.run_files import (
    AUDIT,
    AUDIT_DUPLICATES,
    AUDIT_PAGE,
    AUDIT_TRAITS,
    UNREADABLE,
)
from genspot.common.tables import concat, write_csv
from genspot.data.audit.probe import probe
from genspot.data.datamodule import ImageDataModule
from genspot.data.settings import TRAINING_SPLITS, Loading, Place
from genspot.evaluation.duplicates import connected, find_pairs
from genspot.evaluation.folds import joined, scene_names
from genspot.evaluation.overlaps import ImageSet, find_overlaps
from genspot.evaluation.scores import unreadable_table
from genspot.evaluation.shortcuts import judge
from genspot.report.audit.console import print_audit
from genspot.report.audit.findings import Audit, AuditedSet
from genspot.report.audit.page import render_audit
from genspot.report.audit.tables import as_json, pair_table, trait_table
from genspot.report.sections.words import listing
from genspot.runtime.provenance import commit, versions
from genspot.runtime.run_folder import save_config
from genspot.tasks import config
from genspot.tasks.chosen_sets import chosen_sets
from genspot.tasks.content import describe_sets
from genspot.tasks.overrides import command_line_overrides
from genspot.tasks.paths import CHECKOUT
from genspot.tasks.scoring import check_unreadable
from genspot.tasks.warnings_filter import silence_warnings


class UnfitDataError(GenspotError):
    """A set is not fit to be trusted as it is; all results are written."""

    exit_code = 3


class Source(NamedTuple):
    """A set to audit."""

    where: ImageSet
    place: str  # in words
    samples: pa.Table
    left_out: int  # files
    by_class: bool  # all images of a class are of one photograph


class Probed(NamedTuple):
    """The readable images of all sets, N, and the others."""

    samples: pa.Table
    set_of: np.ndarray  # place in the list of sets, N
    probes: pa.Table
    unreadable: pa.Table


def audit(cfg: DictConfig) -> None:
    """Audit the chosen sets and write audit.html, audit.csv, duplicates.csv and audit.json.

    Raises:
        UnfitDataError: a set is not fit to be trusted.
        GenspotError: nothing is chosen or there, no image can be read, or more than
            `max_unreadable` cannot.
    """
    silence_warnings()
    if cfg.protocol != NO_PROTOCOL:
        raise GenspotError(
            f"protocol={cfg.protocol}: task=audit reads the files as they are; write copies with "
            "task=harmonize and audit those"
        )
    run = config.run_settings(cfg)
    datamodule = chosen_sets(cfg)
    content = describe_sets(datamodule)
    save_config(run.folder, run.config_text, run.resume, content=content)
    sources = list(_sources(datamodule))
    probed = _probe(sources, datamodule.loading)
    unreadable = concat([probed.unreadable, *datamodule.skipped.values()])
    write_csv(unreadable, run.folder / UNREADABLE)
    if not len(probed.samples):
        raise GenspotError(f"no image could be read: {run.folder / UNREADABLE} says why")
    found = _audit(sources, probed, cfg.confidence, run.seed)
    write_csv(trait_table(found), run.folder / AUDIT_TRAITS)
    write_csv(pair_table(found), run.folder / AUDIT_DUPLICATES)
    write_text(render_audit(found), run.folder / AUDIT_PAGE)
    write_json(as_json(found), run.folder / AUDIT)
    print_audit(found, run.folder, run.quiet, len(unreadable))
    check_unreadable(run, len(unreadable))
    if unfit := found.judged("decisive"):
        raise UnfitDataError(
            f"not fit to be trusted as {'it is' if len(unfit) == 1 else 'they are'}: "
            f"{listing(one.title for one in unfit)}; {run.folder / AUDIT_PAGE} says why, and what "
            "to do; all results are written, and the exit code is 3"
        )


def _sources(datamodule: ImageDataModule) -> Iterator[Source]:
    """Yield the sets, test sets first."""
    if (table := datamodule.tables.get("test")) is not None:
        skipped = datamodule.skipped["test"]["generator"].to_pylist()
        for one in datamodule.test_sets:
            part = table.filter(pc.equal(table["generator"], one.name))
            where, place = ImageSet(one.name, "test"), _describe_place(one.path)
            yield Source(where, place, part, skipped.count(one.name), one.by_class)
    source = datamodule.training_set
    for split in TRAINING_SPLITS:
        if source and split in datamodule.tables:
            place = _describe_place(source.train if split == "train" else source.val)
            samples, left_out = datamodule.tables[split], len(datamodule.skipped[split])
            yield Source(ImageSet(source.name, split), place, samples, left_out, False)


def _describe_place(place: Place | None) -> str:
    """Return a place in one line; "" for parts of test sets."""
    if place is None or isinstance(place, str):
        return place or ""
    return ", ".join(f"{key}: {value}" for key, value in place.items() if value)


def _probe(sources: list[Source], loading: Loading) -> Probed:
    """Read all images; one that several sets list is read once."""
    samples = concat([source.samples for source in sources])
    numbers = samples["path"].combine_chunks().dictionary_encode().indices.to_numpy()
    _, first = np.unique(numbers, return_index=True)
    different = samples.take(pa.array(first))
    found, failed = probe(different, loading.workers, loading.max_megapixels, "audit")
    place = np.full(len(first), -1)  # in the table of probes
    place[found["row"].to_numpy()] = np.arange(len(found))
    places = place[numbers]
    reasons = dict(zip(failed["row"].to_pylist(), failed["reason"].to_pylist(), strict=True))
    lost = {int(row): reasons[int(numbers[row])] for row in np.flatnonzero(places < 0)}
    rows = np.flatnonzero(places >= 0)
    set_of = np.repeat(np.arange(len(sources)), [len(source.samples) for source in sources])
    return Probed(
        samples.take(pa.array(rows)),
        set_of[rows],
        found.take(pa.array(places[rows])),
        unreadable_table(samples, lost),
    )


def _audit(sources: list[Source], probed: Probed, confidence: float, seed: int) -> Audit:
    """Return the audit of all sets."""
    samples, set_of, probes, _ = probed
    labels = samples["label"].to_numpy().astype(np.int64)
    pairs = find_pairs(probes)
    overlaps = find_overlaps(pairs, [source.where for source in sources], set_of, labels)
    copies = connected(pairs, len(labels))
    sets = []
    for number, source in enumerate(tqdm(sources, desc="judging", unit="set")):
        rows = np.flatnonzero(set_of == number)
        own, part = labels[rows], samples.take(pa.array(rows))
        together: list[Sequence[str] | np.ndarray] = [scene_names(part), copies[rows]]
        if source.by_class:
            together.append(part["class"].to_pylist())
        audited = AuditedSet(
            where=source.where,
            place=source.place,
            rows=rows,
            reals=int((own == 0).sum()),
            fakes=int((own == 1).sum()),
            unreadable=len(source.samples) - len(rows) + source.left_out,
            traits=judge(probes.take(pa.array(rows)), own, joined(*together), confidence, seed),
            overlaps=[one for one in overlaps if one.where == source.where],
        )
        sets.append(audited)
    facts = {
        "audited": ", ".join(one.title for one in sets),
        "command": shlex.join(command_line_overrides()),
        "seed": seed,
        "genspot": version("genspot"),
        "commit": CHECKOUT and commit(CHECKOUT),
        "versions": versions(),
    }
    paths = samples["path"]
    return Audit(sets, paths, labels, set_of, probes, pairs, confidence, facts)
