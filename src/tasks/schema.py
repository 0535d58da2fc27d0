"""What the settings and the files of conf/generator/ may hold: kinds of values, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from genspot.common.errors import GenspotError
from genspot.common.names import shown
from genspot.data.settings import (
    DISCRIMINATOR_CHOICES,
    MIN_SIMULATION,
    SUPER_RESOLUTION_NETWORKS,
    UPSAMPLERS,
)
from genspot.detector.settings import PRECISIONS, SHORT_PRECISIONS
from genspot.tasks.kinds import (
    CLASSES,
    COLUMNS,
    COMPONENT,
    EACH_PATH,
    FLAG,
    HOSTS,
    INPUTS,
    LABEL_NAMES,
    NAME,
    NAME_OR_NAMES,
    PARAMETER_GROUPS,
    PATH,
    PATTERNS,
    PLACE,
    PROBABILITY,
    RUNS,
    SECTION,
    SHARE,
    TEST_SETS,
    TEXT,
    WEIGHTS,
    YEARS,
    Kind,
    either,
    mapping,
    number,
    one_of,
    optional,
    whole,
)

MAX_SEED = 2**32 - 1
SIMULATOR = {"upsampling": one_of(*UPSAMPLERS), "stages": whole(1, 8)}
AUTOGAN = {"width": whole(1, 1024), "blocks": whole(0, 64), "side": whole(32), "steps": whole(1)}
LEFT_OUT = Kind(
    f"a list of {', '.join(UPSAMPLERS)}, but not of all",
    lambda value: isinstance(value, list) and set(map(str, value)) < set(UPSAMPLERS),
)
RANDOM_SIMULATORS = {
    "count": whole(2, 10_000),
    "steps": whole(1),
    "leave_out": LEFT_OUT,
    "discriminator": one_of(*DISCRIMINATOR_CHOICES),
}
SUPER_RESOLUTION = {"network": one_of(*SUPER_RESOLUTION_NETWORKS)}

# Keys of a generator's file. All but `path` may be left out or null.
GENERATOR: dict[str, Kind] = {
    "path": optional(PLACE),  # null until test_set.path names it
    "title": optional(TEXT),
    "name": optional(NAME),
    "classes": CLASSES,
    "images": optional(whole(0)),
    "train": optional(PLACE),  # data=sets: training images; null: a part of those of `path`
    "val": optional(PLACE),  # and validation images; null: a tenth of those of `train`
    "real_set": optional(TEXT),
    "clusters": optional(one_of("class")),  # the images of a class come from one photograph
    "simulator": optional(
        either(mapping(SIMULATOR), mapping(RANDOM_SIMULATORS), mapping(SUPER_RESOLUTION))
    ),
    "kind": optional(TEXT),
    "real": optional(TEXT),
    "upsampling": optional(TEXT),
    "year": optional(whole(0)),
    "licence": optional(TEXT),
    "link": optional(TEXT),
    "download": optional(TEXT),  # the page of the release; null: not said
    "unconfirmed": optional(
        Kind(
            "a list of the keys whose values have one source or none, such as [images]",
            lambda value: isinstance(value, list) and all(key in list(GENERATOR) for key in value),
        )
    ),
}

CHANGES = Kind(
    "none, or blur_SIGMA, jpeg_QUALITY, resize_SCALE, fit_SIDE joined by +", TEXT.accepts
)
PROTOCOL = Kind(
    f"{CHANGES.words}; in a test, own, or the same after matched_ or fakes_", TEXT.accepts
)

EXPORTS = ("onnx", "onnx_int8", "openvino", "safetensors")
EXPORT_FORMATS = Kind(
    f"a list of formats, {', '.join(EXPORTS)}, such as [onnx]",
    lambda value: isinstance(value, list) and value != [] and all(one in EXPORTS for one in value),
)

SERVER_LIMITS = (
    *("max_photos", "max_request_mb", "max_held_mb", "max_queue", "upload_seconds", "max_jobs"),
    "job_minutes",
)
SEVERAL = ("checkpoint", "reference", "calibration")  # of each detector, where there are several

# Dotted settings, those that hold others before them. What a constructor checks before data are
# read is not repeated: degradations, protocol, aug.train, aug.val, model, the further trainer.*.
SETTINGS: dict[str, Kind] = {
    **dict.fromkeys(("task", "data", "aug", "model", "schedule", "trainer", "logger"), SECTION),
    **dict.fromkeys(
        ("test_set", "report", "simulation", "autogan", "random_simulators", "paths"), SECTION
    ),
    "seed": whole(0, MAX_SEED),
    "checkpoint": optional(PATH),
    "fpr": optional(PROBABILITY),
    "combine": FLAG,
    "allow_mismatch": FLAG,
    "inputs": optional(INPUTS),
    "reference": optional(PATH),
    "prior": optional(PROBABILITY),
    "calibration": optional(EACH_PATH),
    "test_sets": optional(TEST_SETS),
    "labels": SECTION,
    **{f"labels.{kind}": LABEL_NAMES for kind in ("real", "fake")},
    "hub": SECTION,
    "hub.id": optional(TEXT),
    "hub.name": NAME,
    "hub.split": TEXT,
    **{f"hub.{key}": optional(TEXT) for key in ("config", "revision", *COLUMNS)},
    "hub.streaming": FLAG,
    "hub.limit": optional(whole(1)),
    "test_set.path": optional(PLACE),
    "test_set.name": NAME,
    "degradations": CHANGES,
    "protocol": PROTOCOL,
    "spectra": optional(whole(1)),
    "deliveries": FLAG,
    "quiet": FLAG,
    "keep_features": FLAG,
    "max_unreadable": optional(whole(0)),
    "objective": optional(TEXT),
    "all": FLAG,
    "archives": one_of("keep", "remove", "none"),
    "recheck": FLAG,
    "format": optional(EXPORT_FORMATS),
    "repo": optional(TEXT),
    "runs": RUNS,
    "report.title": optional(TEXT),
    "resume": one_of("auto", "never"),
    "workers": optional(whole(0)),
    "max_megapixels": whole(1, 4000),
    "max_whole_megapixels": whole(1, 4000),
    **{f"paths.{key}": PATH for key in ("root", "datasets", "train", "val", "test")},
    **{
        f"paths.{key}": PATH
        for key in ("simulated", "features", "downloads", "weights", "runs", "output")
    },
    **{f"simulation.{key}": whole(minimum) for key, minimum in MIN_SIMULATION.items()},
    "autogan.photos": optional(PATH),
    **{f"autogan.{key}": kind for key, kind in AUTOGAN.items()},
    **{f"random_simulators.{key}": kind for key, kind in RANDOM_SIMULATORS.items()},
    "confidence": PROBABILITY,
    "task.name": TEXT,
    "task.folder": TEXT,
    "task.run": TEXT,
    "task.title": optional(TEXT),
    "task.output": optional(PATH),
    "task.licence": optional(TEXT),
    "task.private": optional(FLAG),
    "task.host": optional(TEXT),
    "task.port": optional(whole(0, 65535)),
    "task.hosts": optional(HOSTS),
    "task.requests_per_minute": optional(whole(1)),
    **{f"task.{key}": optional(whole(1)) for key in SERVER_LIMITS},
    "data.name": COMPONENT,
    "data.photos": optional(PATH),
    "data.simulator": optional(
        either(
            mapping({"name": COMPONENT, **SIMULATOR}),
            mapping({"name": COMPONENT, "photos": optional(PATH), **AUTOGAN}),
        )
    ),
    "data.generator": optional(NAME_OR_NAMES),
    "data.hold_out": optional(NAME_OR_NAMES),
    "data.until": optional(whole(0)),
    "data.years": optional(YEARS),
    "data.train": optional(PLACE),
    "data.val": optional(PLACE),
    "data.classes": CLASSES,
    "data.shortcut_baseline": optional(FLAG),
    "data.num_classes": optional(whole(1)),
    "data.format": optional(one_of("files", "packed")),
    "aug.name": COMPONENT,
    "aug.flip": optional(SHARE),
    "model.name": COMPONENT,
    "model.weights": optional(PATH),
    "schedule.name": COMPONENT,
    "schedule.batch_size": whole(1),
    "schedule.eval_batch_size": whole(1),
    "schedule.max_epochs": whole(1),
    "schedule.optimizer": SECTION,
    "schedule.optimizer.lr": PROBABILITY,
    "schedule.lr_scheduler": optional(SECTION),
    "schedule.label_smoothing": optional(
        number("a number from 0 to below 1", lambda value: 0 <= value < 1)
    ),
    "schedule.class_weights": optional(WEIGHTS),
    "schedule.contrastive": optional(number("a number above 0", lambda value: value > 0)),
    "schedule.teacher": optional(
        Kind(PATH.words, lambda value: value == "" or PATH.accepts(value))  # "": still to be given
    ),
    "schedule.balanced": optional(FLAG),
    "schedule.frozen": optional(PATTERNS),
    "schedule.parameter_groups": optional(PARAMETER_GROUPS),
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
    "trainer.gradient_clip_algorithm": optional(one_of("norm", "value")),
    **{f"trainer.{key}": FLAG for key in ("channels_last", "compile", "sync_batchnorm")},
    **{f"trainer.{key}": FLAG for key in ("use_distributed_sampler", "enable_model_summary")},
}

# Settings that these tasks take in another form than the others.
OF_TASK: dict[str, dict[str, Kind]] = {
    "predict": {"format": one_of("json"), **dict.fromkeys(SEVERAL, EACH_PATH)},
    "serve": dict.fromkeys(SEVERAL, EACH_PATH),
}

# Sections in which only the keys above are settings.
CLOSED = (
    "labels",
    "data",
    "schedule",
    "simulation",
    "autogan",
    "random_simulators",
    "test_set",
    "hub",
    "report",
)


def check_values(cfg: DictConfig) -> None:
    """Check the kind of each of `SETTINGS`, and the keys of the `CLOSED` sections.

    Raises:
        GenspotError: a value is of another kind, or a key is no setting.
    """
    own = {key: optional(kind) for key, kind in OF_TASK.get(cfg.task.name, {}).items()}
    for setting, kind in (SETTINGS | own).items():
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
