"""data=sets: which of the chosen sets are trained on, and which are left out of the training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.tasks.generators import generator_specs
from genspot.tasks.schema import plain


def trains_on_sets(cfg: DictConfig) -> bool:
    """Return whether `data` trains on the training parts of the test sets, as data=sets does."""
    return "hold_out" in cfg.data


def is_divided(cfg: DictConfig, spec: Mapping[str, Any]) -> bool:
    """Return whether a part of a test set's images may have trained the detector.

    Then only its test part is tested. A training's run says which sets were trained on or left
    out; where nothing says it, each set may have been.

    Args:
        cfg: of a training, or of a test with what `training_config.record` adds.
        spec: of the set, see `generator_specs`.
    """
    if not trains_on_sets(cfg) or spec["train"]:
        return False
    known = plain(cfg, "data.generator")
    if cfg.task.name == "train" or known is None:
        return True
    return spec["name"] in {*known, *(plain(cfg, "data.hold_out") or [])}


def divide_sets(cfg: DictConfig) -> tuple[list[str], list[str]]:
    """Return the names of the sets that are trained on, and of those that are left out.

    Raises:
        GenspotError: a set to leave out is not chosen, a set has no year where `data.until` asks
            for it, or no set is left.
    """
    specs = {spec["name"]: spec for spec in generator_specs(cfg).values()}
    hold_out = plain(cfg, "data.hold_out") or []
    left_out = set([hold_out] if isinstance(hold_out, str) else hold_out)
    if unknown := sorted(left_out - specs.keys()):
        raise GenspotError(
            f"data.hold_out={','.join(unknown)}: no such set is chosen; there are: "
            f"{', '.join(specs) or 'none, name them with generator=[…] or test_sets={…}'}"
        )
    until = plain(cfg, "data.until")
    if until is not None:
        years = _years(cfg, specs, left_out)
        left_out |= {name for name, year in years.items() if year > until}
    trained = [name for name in specs if name not in left_out]
    if specs and not trained:
        settings = [f"data.until={until}"] * (until is not None)
        settings += [f"data.hold_out={','.join(sorted(left_out))}"] * bool(hold_out)
        raise GenspotError(f"{' and '.join(settings)} leave no set to train on")
    return trained, [name for name in specs if name in left_out]


def _years(
    cfg: DictConfig, specs: dict[str, dict[str, Any]], left_out: set[str]
) -> dict[str, int]:
    """Return the year of each set that is not left out already."""
    given = plain(cfg, "data.years") or {}
    if unknown := sorted(given.keys() - specs.keys()):
        raise GenspotError(f"data.years: no such sets are chosen: {', '.join(unknown)}")
    years = {
        name: given.get(name, spec["year"]) for name, spec in specs.items() if name not in left_out
    }
    if without := [name for name, year in years.items() if year is None]:
        raise GenspotError(
            f"data.until={cfg.data.until}: no year is known of {', '.join(without)}; give it, "
            f"data.years={{{without[0]}: YEAR}}, or leave it out: data.hold_out=[{without[0]}]"
        )
    return years
