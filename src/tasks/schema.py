"""What the settings and the files of conf/generator/ may hold: kinds of values, key by key."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genspot.common.errors import GenspotError
from genspot.common.names import NAME_RULE, is_safe_name, shown
from genspot.data.settings import MIN_SIMULATION, SUPER_RESOLUTION_NETWORKS, UPSAMPLERS
from genspot.detector.settings import PRECISIONS, SHORT_PRECISIONS, is_name

MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Kind:
    """A kind of value: in words, for messages, and as a check of plain values."""

    words: str
    accepts: Callable[[Any], bool]

    def check(self, setting: str, value: Any) -> None:
        """Raise GenspotError, naming `setting`, if `value` is of another kind."""
        if not self.accepts(value):
            raise GenspotError(f"{setting}={shown(value)}: give {self.words}")


def optional(kind: Kind) -> Kind:
    """Return `kind` or null."""
    return Kind(f"{kind.words}, or null", lambda value: value is None or kind.accepts(value))


def either(first: Kind, second: Kind) -> Kind:
    """Return the values of both kinds."""
    return Kind(
        f"{first.words} or {second.words}",
        lambda value: first.accepts(value) or second.accepts(value),
    )


def whole(minimum: int, maximum: int = 2**31) -> Kind:
    """Return the whole numbers from `minimum` to `maximum`."""
    limit = "" if maximum == 2**31 else f", at most {maximum}"
    return Kind(
        f"a whole number from {minimum} on{limit}",
        lambda value: type(value) is int and minimum <= value <= maximum,
    )


def number(words: str, accepts: Callable[[float], bool]) -> Kind:
    """Return the finite numbers, and no booleans, that `accepts` takes."""
    return Kind(
        words,
        lambda value: type(value) in (int, float) and math.isfinite(value) and accepts(value),
    )


def one_of(*choices: str) -> Kind:
    """Return the words `choices`."""
    return Kind(" or ".join(choices), lambda value: isinstance(value, str) and value in choices)


def mapping(keys: Mapping[str, Kind]) -> Kind:
    """Return the mappings that have the `keys` and no others, with values of their kinds."""
    return Kind(
        "{" + ", ".join(f"{key}: {kind.words}" for key, kind in keys.items()) + "}",
        lambda value: (
            isinstance(value, dict)
            and value.keys() == keys.keys()
            and all(keys[key].accepts(part) for key, part in value.items())
        ),
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _is_classes(value: Any) -> bool:
    if value is None or value == "any":
        return True
    return (
        isinstance(value, list)
        and bool(value)
        and all(map(_is_text, value))
        and len(set(value)) == len(value)
        and not any(".." in PurePath(name).parts or PurePath(name).is_absolute() for name in value)
    )


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value


def _is_runs(value: Any) -> bool:
    return _is_path(value) or (isinstance(value, list) and all(map(_is_path, value)))


FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TEXT = Kind("a text of one line", _is_text)
NAME = Kind(NAME_RULE, is_safe_name)
COMPONENT = Kind(
    "a text of at most 100 letters, digits and _ . + - that begins with a letter, a digit or _",
    is_name,
)
PATH = Kind("a path as text, such as data/set or ./2024", _is_path)
CLASSES = Kind("a list of class folders, each once; any; or null", _is_classes)
SECTION = Kind("its settings as {key: value, …}", lambda value: isinstance(value, dict))
PROBABILITY = number("a number between 0 and 1", lambda value: 0 < value < 1)
PERCENT = number("a number from 0 to 100", lambda value: 0 <= value <= 100)
SIMULATOR = {"upsampling": one_of(*UPSAMPLERS), "stages": whole(1, 8)}
SUPER_RESOLUTION = {"network": one_of(*SUPER_RESOLUTION_NETWORKS)}

# Figures of one row of a generator's `published`, in percent.
FIGURES: dict[str, Kind] = {
    **dict.fromkeys(("acc", "ap", "acc_uncropped", "ap_uncropped"), PERCENT),
    "unconfirmed": FLAG,
}

# Keys of a generator's file. All but `path` may be left out or null.
GENERATOR: dict[str, Kind] = {
    "path": optional(PATH),  # null until test_set.path names it
    "title": optional(TEXT),
    "name": optional(NAME),
    "classes": CLASSES,
    "images": optional(whole(0)),
    "published": optional(SECTION),  # of FIGURES
    "real_set": optional(TEXT),
    "clusters": optional(one_of("class")),  # the images of a class come from one photograph
    "simulator": optional(either(mapping(SIMULATOR), mapping(SUPER_RESOLUTION))),
    "kind": optional(TEXT),
    "real": optional(TEXT),
    "upsampling": optional(TEXT),
    "year": optional(whole(0)),
    "licence": optional(TEXT),
    "link": optional(TEXT),
}

# Dotted settings, those that hold others before them. What a constructor checks before data are
# read is not repeated: degradations, aug.train, aug.val, model and the further trainer.*.
SETTINGS: dict[str, Kind] = {
    **dict.fromkeys(("task", "data", "aug", "model", "schedule", "trainer", "logger"), SECTION),
    **dict.fromkeys(("test_set", "report", "simulation", "paths"), SECTION),
    "seed": whole(0, MAX_SEED),
    "checkpoint": optional(PATH),
    "allow_mismatch": FLAG,
    "inputs": Kind(
        f"{PATH.words}, or null",
        lambda value: value is None or type(value) is int or _is_path(value),
    ),
    "test_set.path": optional(PATH),
    "test_set.name": NAME,
    "degradations": Kind("none, or blur_SIGMA, jpeg_QUALITY, resize_SCALE joined by +", _is_text),
    "spectra": optional(whole(1)),
    "quiet": FLAG,
    "max_unreadable": optional(whole(0)),
    "runs": Kind("folders of runs or of sweeps, [FOLDER,…]", _is_runs),
    "report.title": optional(TEXT),
    "resume": one_of("auto", "never"),
    "workers": optional(whole(0)),
    "max_megapixels": whole(1, 4000),
    "max_whole_megapixels": whole(1, 4000),
    **{f"paths.{key}": PATH for key in ("root", "datasets", "train", "val", "test")},
    **{f"paths.{key}": PATH for key in ("simulated", "runs", "output")},
    **{f"simulation.{key}": whole(minimum) for key, minimum in MIN_SIMULATION.items()},
    "confidence": PROBABILITY,
    "task.name": TEXT,
    "task.folder": TEXT,
    "task.run": TEXT,
    "task.title": optional(TEXT),
    "data.name": COMPONENT,
    "data.simulator": optional(mapping({"name": COMPONENT, **SIMULATOR})),
    "data.generator": optional(NAME),
    "data.train": optional(PATH),
    "data.val": optional(PATH),
    "data.classes": CLASSES,
    "data.shortcut_baseline": optional(FLAG),
    "data.num_classes": optional(whole(1)),
    "data.format": optional(one_of("files", "packed")),
    "aug.name": COMPONENT,
    "model.name": COMPONENT,
    "schedule.name": COMPONENT,
    "schedule.batch_size": whole(1),
    "schedule.eval_batch_size": whole(1),
    "schedule.max_epochs": whole(1),
    "schedule.optimizer": SECTION,
    "schedule.optimizer.lr": PROBABILITY,
    "schedule.lr_scheduler": optional(SECTION),
    "logger.name": COMPONENT,
    "logger.logger": SECTION,
    "trainer.name": COMPONENT,
    "trainer.max_epochs": whole(1),
    "trainer.precision": Kind(
        f"auto, {', '.join(PRECISIONS)} (GPUs alone)",
        lambda value: str(value) in ("auto", *PRECISIONS, *SHORT_PRECISIONS),
    ),
    "trainer.num_sanity_val_steps": whole(-1),
    "trainer.log_every_n_steps": whole(0),
    "trainer.accumulate_grad_batches": optional(whole(1)),
    "trainer.gradient_clip_val": optional(number("a number from 0 on", lambda value: value >= 0)),
    **{f"trainer.{key}": FLAG for key in ("channels_last", "compile", "sync_batchnorm")},
    **{f"trainer.{key}": FLAG for key in ("use_distributed_sampler", "enable_model_summary")},
}

# Sections in which only the keys above are settings.
CLOSED = ("data", "schedule", "simulation", "test_set", "report")


def check_values(cfg: DictConfig) -> None:
    """Check the kind of each of `SETTINGS`, and the keys of the `CLOSED` sections.

    Raises:
        GenspotError: a value is of another kind, or a key is no setting.
    """
    for setting, kind in SETTINGS.items():
        kind.check(setting, plain(cfg, setting, resolve=kind is not SECTION))
    for section in CLOSED:
        known = [key.partition(".")[2] for key in SETTINGS if key.startswith(f"{section}.")]
        check_keys(section, OmegaConf.select(cfg, section), known)


def check_keys(setting: str, values: Mapping[Any, Any], known: list[str]) -> None:
    """Raise GenspotError if `values`, found at `setting`, has a key that is not in `known`."""
    for key in values:
        if key not in known:
            raise GenspotError(f"no setting {setting}.{shown(key)}; there are: {', '.join(known)}")


def plain(cfg: DictConfig, setting: str, resolve: bool = True) -> Any:
    """Return the value of a dotted setting as plain Python values, None where there is none."""
    node = OmegaConf.select(cfg, setting)
    return OmegaConf.to_container(node, resolve=resolve) if OmegaConf.is_config(node) else node
