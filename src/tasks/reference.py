"""Score real photos and keep their logits and traits as a reference, to grade others by."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.names import NO_REFERENCE
from genspot.detector.embedded_file import ships
from genspot.evaluation.references import is_reference, read_reference
from genspot.report.console import print_line, print_path, print_table
from genspot.report.evidence import reference_rows
from genspot.tasks.grading import reference_path
from genspot.tasks.photos import prepare_photos, score_photos
from genspot.tasks.reference_photos import left_out_words, make_reference
from genspot.tasks.scoring import check_unreadable
from genspot.tasks.scoring_facts import scoring_facts

NOTE = (
    "task=predict with this checkpoint grades photos by them: name this file, reference=FILE, or "
    "leave it beside the checkpoint, where it is found. Photos of a kind, JPEG or not, of which "
    "there are fewer than 99 get no grade."
)


def reference(cfg: DictConfig) -> None:
    """Write the reference of a checkpoint, and print which photos it holds.

    Raises:
        GenspotError: no input, no usable checkpoint, fewer than 99 readable photos, photos below
            folders of fakes, a logit that is not finite, or a file that cannot be written.
    """
    if cfg.reference == NO_REFERENCE:
        raise GenspotError(
            "task=reference writes reference=FILE; reference=none is of task=predict: leave it out"
        )
    (photos,) = prepare_photos(cfg)
    one, run = photos.detector, photos.run
    cfg = one.cfg
    path = reference_path(cfg, one.checkpoint.path)
    if cfg.reference is None and ships(one.checkpoint.path):
        raise GenspotError(
            "checkpoint=embedded ships with its reference, which is not replaced: name the file "
            "of yours, reference=FILE, for task=predict too"
        )
    if not path.parent.is_dir():
        raise GenspotError(f"reference={path}: there is no folder {path.parent}; make it first")
    facts = scoring_facts(cfg, one.checkpoint, one.model)
    if path.exists():
        _refuse_another(path, facts, named=cfg.reference is not None)
    _refuse_fakes(photos.images.tables["predict"]["path"].to_pylist(), cfg)
    found = score_photos([photos])
    if found is None:
        return
    (scores,), unreadable = found
    made = make_reference(cfg, scores, facts, photos.inputs)
    try:
        made.write(path)
    except OSError as error:
        raise GenspotError(
            f"{path} cannot be written: {error.strerror}; give another file, reference=FILE"
        ) from error
    photos.scorer.remove_logs()
    if not run.quiet:
        print_table(("reference photos", "number", "median logit"), reference_rows(made))
        if made.about["left_out"]:
            print_line(f"Left out: {left_out_words(made.about['left_out'])}.")
        print_line(NOTE)
    print_path("reference", path)
    check_unreadable(run, len(unreadable))


def _refuse_another(path: Path, facts: dict[str, Any], named: bool) -> None:
    """Raise GenspotError if the file at `path` must not be replaced.

    Args:
        path: of a file that exists.
        facts: of the reference that is about to be made.
        named: whether the user named the file. One beside its checkpoint may be of an earlier
            training in the same folder.
    """
    there, remedy = f"reference={path} is there already", "it is not replaced; give another file"
    if not is_reference(path):
        raise GenspotError(f"{there}, and no reference: {remedy}")
    if named:
        try:
            read_reference(path, facts)
        except GenspotError as error:
            raise GenspotError(
                f"{there}, and of another detector, or damaged: {remedy}, or remove it ({error})"
            ) from error


def _refuse_fakes(paths: list[str], cfg: DictConfig) -> None:
    """Raise GenspotError if photos lie in folders that have a name of fakes."""
    names = {PurePath(path).parent.name.casefold() for path in paths}
    fakes = names & {name.casefold() for name in cfg.labels.fake}
    reals = names & {name.casefold() for name in cfg.labels.real}
    if fakes:
        what = f"inputs=…/{min(reals)} alone" if reals else "others, or rename the folder"
        raise GenspotError(
            f"a reference is of real photos, and some lie in {min(fakes)}: give {what}"
        )
