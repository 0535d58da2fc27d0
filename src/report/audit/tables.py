"""An audit as tables and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from genspot.evaluation.duplicates import KINDS, RECOMPRESSED, connected
from genspot.evaluation.overlaps import RULES, SAME_SCENE
from genspot.report.audit.findings import ORDER, Audit, AuditedSet

LABEL_NAMES = pa.array(["real", "fake"])
TRAIT_SCHEMA = pa.schema(
    [
        ("set", pa.string()),
        ("split", pa.string()),
        ("real", pa.int64()),  # readable images
        ("fake", pa.int64()),
        ("trait", pa.string()),
        ("ap", pa.float64()),  # of telling fakes from real images, in [0, 1]
        ("ap_low", pa.float64()),
        ("ap_high", pa.float64()),
        ("chance", pa.float64()),  # AP of a random order
        ("judgement", pa.string()),
        ("content", pa.bool_()),  # whether the generator itself may cause it
        ("text", pa.string()),
        ("fix", pa.string()),
    ]
)


def trait_table(audit: Audit) -> pa.Table:
    """Return a row for each set and trait, and one without a trait for a set that has none."""
    rows = []
    for one in audit.sets:
        name, split = one.where
        start = {"set": name, "split": split, "real": one.reals, "fake": one.fakes}
        for trait in one.traits:
            low, high = trait.interval
            figures = {"ap": trait.ap, "ap_low": low, "ap_high": high, "chance": trait.chance}
            words = {"judgement": trait.judgement, "text": trait.text, "fix": trait.fix}
            rows.append(
                {**start, "trait": trait.name, **figures, "content": trait.content, **words}
            )
        if not one.traits:
            rows.append(start)
    return pa.Table.from_pylist(rows, TRAIT_SCHEMA)


def pair_kinds(audit: Audit) -> pa.Array:
    """Return the kind of each pair: one of `KINDS`, or `SAME_SCENE` of a real image and a fake."""
    pairs = audit.pairs
    scene = audit.labels[pairs.first] != audit.labels[pairs.second]
    kind = np.where(scene & (pairs.kind >= RECOMPRESSED), len(KINDS), pairs.kind)
    return pa.array([*KINDS, SAME_SCENE]).take(pa.array(kind))


def pair_table(audit: Audit) -> pa.Table:
    """Return the pairs of duplicates: of which kind, and where both images are.

    `group` is one number for all images that pairs connect. `bits` is the number of bits, of 64,
    in which the perceptual hashes differ.
    """
    pairs = audit.pairs
    first, second = pairs.first, pairs.second
    names, splits = (
        pa.array([one.where[part] for one in audit.sets], pa.string()) for part in (0, 1)
    )
    columns = {
        "group": pa.array(connected(pairs, len(audit.labels))[first]),
        "kind": pair_kinds(audit),
        "bits": pa.array(pairs.bits),
    }
    for prefix, rows in (("", first), ("other_", second)):
        sets = pa.array(audit.set_of[rows])
        columns |= {
            f"{prefix}path": audit.paths.take(pa.array(rows)),
            f"{prefix}set": names.take(sets),
            f"{prefix}split": splits.take(sets),
            f"{prefix}label": LABEL_NAMES.take(pa.array(audit.labels[rows])),
        }
    return pa.table(columns)


def as_json(audit: Audit) -> dict[str, Any]:
    """Return the whole audit but for the pairs as plain values."""
    kinds = Counter(pair_kinds(audit).to_pylist())
    return {
        **audit.facts,
        "confidence": audit.confidence,
        "judgement": min((one.judgement for one in audit.sets), key=ORDER.index),
        "sets": [_set_as_json(one) for one in audit.sets],
        "duplicates": {
            "pairs": {kind: kinds[kind] for kind in (*KINDS, SAME_SCENE)},
            "complete": audit.pairs.complete,
            "nearly_uniform_images": audit.pairs.flat,
            "rules": {
                name: {"slight_above": rule.slight, "decisive_above": rule.decisive}
                for name, rule in RULES.items()
            },
        },
    }


def _set_as_json(one: AuditedSet) -> dict[str, Any]:
    traits = []
    for trait in one.traits:
        values = asdict(trait)
        del values["scores"]
        traits.append(values)
    overlaps = []
    for overlap in one.overlaps:
        values = {"rule": overlap.rule, "equal": overlap.equal, "near": overlap.near}
        values |= {"total": overlap.total, "judgement": overlap.judgement, "text": overlap.text}
        values |= {"others": [other._asdict() for other in overlap.others], "fix": overlap.fix}
        overlaps.append(values)
    return {
        **one.where._asdict(),
        "place": one.place,
        "real": one.reals,
        "fake": one.fakes,
        "unreadable": one.unreadable,
        "judgement": one.judgement,
        "traits": traits,
        "overlaps": overlaps,
    }
