"""Real photos made into a reference of a detector, without copies of each other."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.protocols import FAKES, split_condition
from genspot.detector.checkpoint import Checkpoint
from genspot.detector.settings import ModelSettings
from genspot.evaluation.conformal import MIN_REFERENCES
from genspot.evaluation.evidence import is_graphic
from genspot.evaluation.references import COLUMNS, Reference, beside, check_number
from genspot.evaluation.scores import read_validation
from genspot.tasks.generators import generator_specs
from genspot.tasks.grading import read_photo_traits
from genspot.tasks.scoring_facts import scoring_facts
from genspot.tasks.training_sets import divide_sets, trains_on_sets

log = logging.getLogger(__name__)

VALIDATION = "validation images of {}"  # what `inputs` of a training's reference says


def make_reference(
    cfg: DictConfig, scores: pa.Table, facts: Mapping[str, Any], inputs: list[str]
) -> Reference:
    """Return the reference of scored real photos.

    Of photos that are copies of each other, the first is kept. Photos that are smaller than the
    crop are left out, as those that grades are asked of. `about["left_out"]` has why and how many.

    Args:
        cfg: with what photos are read with.
        scores: with the columns path, logit and padded.
        facts: see `scoring_facts`.
        inputs: where the photos are from.

    Raises:
        GenspotError: fewer than 99 photos are kept.
    """
    kept = scores.filter(pc.invert(scores["padded"]))
    left_out = {"smaller than the crop": len(scores) - len(kept)}
    traits = read_photo_traits(cfg, kept)
    readable = traits["width"].is_valid()
    left_out["no longer readable"] = traits["width"].null_count
    kept, traits = kept.filter(readable), traits.filter(readable)
    graphics = [is_graphic(row) for row in traits.to_pylist()]
    left_out["screenshots or drawings"] = sum(graphics)
    photos = pa.array([not one for one in graphics], pa.bool_())
    kept, traits = kept.filter(photos), traits.filter(photos)
    first = _first_of_copies(cfg, kept)
    left_out["copies of others"] = int((~first).sum())
    left_out = {reason: count for reason, count in left_out.items() if count}
    table = traits.append_column("logit", kept["logit"]).filter(pa.array(first))
    check_number(len(table), left_out_words(left_out))
    about = {**facts, "inputs": inputs, "left_out": left_out}
    return Reference(table.select(list(COLUMNS)), about)


def left_out_words(left_out: Mapping[str, int]) -> str:
    """Return how many photos were left out and why: "3 copies of others"; "" if none were."""
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items())


def _first_of_copies(cfg: DictConfig, photos: pa.Table) -> np.ndarray:
    """Return whether each photo is the first of those that it is a copy of, exact or near."""
    from genspot.data.audit.probe import probe
    from genspot.evaluation.duplicates import connected, find_pairs

    first = np.ones(len(photos), bool)
    if len(photos) > 1:
        probes, _ = probe(photos, cfg.workers, cfg.max_megapixels, "Looking for copies")
        groups = connected(find_pairs(probes), len(probes))
        first[:] = False
        first[probes["row"].to_numpy()[np.unique(groups, return_index=True)[1]]] = True
    return first


def leave_reference(
    cfg: DictConfig, checkpoint: Checkpoint, model: ModelSettings, crop: int | None
) -> None:
    """Write the reference of a trained checkpoint beside it, from its real validation images.

    Where there are fewer than 99, or they are parts of fewer photographs, no false-alarm rate can
    be promised: none is written, and the log says why.

    Args:
        cfg: of the training.
        checkpoint: best.ckpt in the training's folder.
        model: which it was scored as.
        crop: of the scores of the validation images.
    """
    validation = read_validation(checkpoint.path.parent, crop)
    if validation is None or split_condition(str(cfg.protocol))[0] == FAKES:
        return
    reals = validation.filter(pc.equal(validation["label"], 0))
    path = beside(checkpoint.path)
    try:
        _check_photographs(cfg, reals)
        facts = scoring_facts(cfg, checkpoint.as_file(), model)
        make_reference(cfg, reals, facts, [VALIDATION.format(cfg.data.name)]).write(path)
    except GenspotError as error:
        log.info("no reference for grades of photos (docs/verdict.md): %s", error)
    except OSError as error:
        log.warning("%s could not be written: %s", path, error.strerror)
    else:
        log.info("reference for grades of photos: %s", path)


def _check_photographs(cfg: DictConfig, reals: pa.Table) -> None:
    """Raise GenspotError if images are parts of too few photographs.

    The classes of a data set that is built here are its photographs, each cut into many images.
    """
    names = {name for name in reals["class"].to_pylist() if name}
    if _is_built_here(cfg) and names and len(names) < MIN_REFERENCES:
        raise GenspotError(
            f"the {len(reals)} real validation images are parts of {len(names)} photographs, and "
            f"{MIN_REFERENCES} photographs are needed; task=reference inputs=REAL_PHOTOS makes one"
        )


def _is_built_here(cfg: DictConfig) -> bool:
    """Return whether the images of a training are all of data sets that are built here."""
    if not trains_on_sets(cfg):
        return bool(cfg.data.get("simulator"))
    trained = divide_sets(cfg)[0]
    specs = generator_specs(cfg).values()
    return all(spec["simulator"] for spec in specs if spec["name"] in trained)
