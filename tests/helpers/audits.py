"""An audit of small sets on the disk, with traits that were not measured but written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from genspot.common.tables import concat
from genspot.data.audit.probe import probe
from genspot.data.layout import SAMPLE_SCHEMA
from genspot.evaluation.duplicates import find_pairs
from genspot.evaluation.overlaps import ImageSet, find_overlaps
from genspot.evaluation.shortcuts import ALL, Judgement, Trait
from genspot.report.audit.findings import Audit, AuditedSet

COLUMNS = {
    "format": ("stored as",),
    "size": ("size", "width", "height"),
    "compression": ("jpeg_quality", "jpeg_tables", "progressive"),
    "colour": ("red_mean", "saturation"),
    ALL: ("stored as", "red_mean"),
}


def make_trait(name: str, judgement: Judgement = "none", images: int = 0) -> Trait:
    """Return a trait; one that is judged "none" is constant."""
    ap = {"none": 0.5, "slight": 0.7, "decisive": 0.98}[judgement]
    half = 0.0 if judgement == "none" else 0.01
    return Trait(
        name=name,
        columns=COLUMNS[name],
        ap=ap,
        interval=[ap - half, ap + half],
        chance=0.5,
        judgement=judgement,
        content=name == "colour",
        text=f"the {name} of <reals> differs",
        fix="" if judgement == "none" else f"`task=harmonize` for the {name}",
        scores=np.linspace(0, 1, images),
    )


def make_audit(
    places: dict[ImageSet, Path], judgements: dict[ImageSet, dict[str, Judgement]]
) -> Audit:
    """Return the audit of sets that have a folder each.

    Args:
        places: their folders, with 0_real/ and 1_fake/, or one of them.
        judgements: of the traits of each set; of one without, no traits.
    """
    tables = [_samples(where, folder) for where, folder in places.items()]
    samples = concat(tables)
    probes, unreadable = probe(samples, 0, 100, "test")
    assert not len(unreadable)
    labels = samples["label"].to_numpy().astype(np.int64)
    set_of = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    pairs = find_pairs(probes)
    overlaps = find_overlaps(pairs, list(places), set_of, labels)
    sets = []
    for number, (where, folder) in enumerate(places.items()):
        rows = np.flatnonzero(set_of == number)
        traits = [
            make_trait(name, judgement, len(rows))
            for name, judgement in judgements.get(where, {}).items()
        ]
        own = [one for one in overlaps if one.where == where]
        reals, fakes = (int((labels[rows] == label).sum()) for label in (0, 1))
        sets.append(AuditedSet(where, str(folder), rows, reals, fakes, 0, traits, own))
    facts = {"command": "task=audit", "seed": 0, "commit": None, "versions": {"numpy": "2"}}
    return Audit(sets, samples["path"], labels, set_of, probes, pairs, 0.95, facts)


def _samples(where: ImageSet, folder: Path) -> pa.Table:
    rows = [
        {"path": str(path), "generator": where.name, "class": "", "label": label}
        for label, name in enumerate(("0_real", "1_fake"))
        for path in sorted((folder / name).glob("*"))
    ]
    return pa.Table.from_pylist(rows, SAMPLE_SCHEMA)
