"""Which settings of a run have changed since it began, of those that change its results.

Configurations are compared as trees of plain values, as config.yaml holds them. A path is compared
by where it lies below the run's folder, `paths.datasets` or `paths.root`: a folder that was moved
as a whole is the same. Images and a tested checkpoint may lie anywhere; they are compared by their
content (`genspot.runtime.content`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from genspot.common.names import NO_PROTOCOL

# Settings that do not change results, each with the reason.
WITHOUT_EFFECT = {
    "workers": "any number of reading processes gives the same bits",
    "data.format": "packed copies hold the same pixels",
    "schedule.eval_batch_size": "moves logits by rounding alone, and a smaller one saves memory",
    "schedule.max_epochs": "trainer.max_epochs follows it, and counts",
    "schedule.name": "a name; what it stands for is compared",
    "trainer.name": "a name; what it stands for is compared",
    "task.folder": "a name",
    "task.title": "a name",
    "paths.*": "say where things lie; what refers to them is compared",
    "test_set.path*": "generator.folder.path follows it, and counts",
    "test_sets*": "generator.* follows it, and counts",
    "hub.*": "generator.hub follows it, and counts",
    "simulation.super_resolved": "generator.*.train follows it, and counts",
    "random_simulators.*": "generator.random_simulators follows it, and counts",
    "quiet": "is shown",
    "max_unreadable": "the exit code alone",
    "logger.*": "loggers record what happens",
    "trainer.log_every_n_steps": "the points of the curves",
    "trainer.enable_progress_bar": "is shown",
    "trainer.enable_model_summary": "is shown",
    "trainer.default_root_dir": "nothing is written there",
    "objective": "which of the figures a sweeper is handed",
    "task.objective": "objective follows it",
    "runs": "of task=report",
    "format": "what a prediction prints; of an export, which files are written",
    "report.*": "of task=report",
    "allow_mismatch": "permits another model, which is compared itself",
    # Shown beside the figures of a generator.
    "generator.*.title": "a description",
    "generator.*.kind": "a description",
    "generator.*.real": "a description",
    "generator.*.upsampling": "a description",
    "generator.*.year": "a description",
    "generator.*.licence": "a description",
    "generator.*.link": "a description",
    "generator.*.download": "a description",
    "generator.*.unconfirmed*": "a description",
    "generator.*.published*": "of older versions; published figures have files of their own",
}
# Compared by what lies there.
CONTENT_PATHS = (
    *("data.train", "data.val", "checkpoint", "model.weights", "schedule.teacher"),
    *("generator.*.path", "generator.*.train", "generator.*.val"),
)

# Settings that runs of older versions lack, with the value that they had in effect.
ADDED = {
    "protocol": NO_PROTOCOL,
    "labels.real": ["0_real", "real", "nature"],
    "labels.fake": ["1_fake", "fake", "ai"],
    "aug.flip": 0.5,
    "keep_features": True,
    "reference": None,
    "deliveries": False,
    "format": None,
    "fpr": None,
    "combine": False,
    "prior": None,
    "calibration": None,
    "schedule.optimizer.weight_decay": 0,
    "schedule.label_smoothing": 0,
    "schedule.class_weights": None,
    "schedule.contrastive": None,
    "schedule.teacher": None,
    "schedule.balanced": False,
    "schedule.frozen": [],
    "schedule.parameter_groups": None,
    "trainer.accumulate_grad_batches": 1,
    "trainer.gradient_clip_val": None,
}

EPOCHS = "trainer.max_epochs"
ENDLESS_SCHEDULE = "genspot.detector.lr_schedules.step_decay"  # of any number of epochs
MOVABLE = ("output", "datasets", "root")  # below `paths`
SHOWN = 3  # changes that a message names
MAX_CHARS = 100  # of a value in a message
ABSENT = "not set"


class Change(NamedTuple):
    """A setting, with its value when the run began and its value now."""

    setting: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.setting}={_shown(self.old)}, now {_shown(self.new)}"


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return the changes between two configurations that change results.

    `CONTENT_PATHS` are left out, see `changed_places`.
    """
    return [
        change
        for change in _changes(old, new)
        if not _matches(change.setting, [*WITHOUT_EFFECT, *CONTENT_PATHS])
        and not is_moved(change, old, new)
    ]


def changed_places(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return the changes of `CONTENT_PATHS`, where another path may hold the same."""
    return [change for change in _changes(old, new) if _matches(change.setting, CONTENT_PATHS)]


def is_moved(change: Change, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether a path of `change` only follows a folder that was moved as a whole."""
    return bool(_placed(change.old, old) == _placed(change.new, new))


def describe_changes(changes: Sequence[Change]) -> str:
    """Return the first few `changes` in words, and how many there are besides."""
    shown = "; ".join(map(str, changes[:SHOWN]))
    more = len(changes) - SHOWN
    return shown if more <= 0 else f"{shown}; and {more} more"


def split_prolonging(
    changes: Sequence[Change], new: Mapping[str, Any], epochs: int
) -> tuple[list[Change], str]:
    """Return the `changes` that do not merely prolong a training, and why it cannot be prolonged.

    More epochs, and more patience of Lightning's EarlyStopping, prolong a training: up to its end
    it was the same with the old values.

    Args:
        changes: see `changed_settings`.
        new: the configuration.
        epochs: that the training has started; 0 if it left no checkpoint.

    Returns:
        The other changes; and one line, empty if nothing forbids it.
    """
    others, fault = [], ""
    for change in changes:
        if change.setting == EPOCHS:
            fault = _fault_of_epochs(change, new, epochs)
        elif not _is_more_patience(change, new):
            others.append(change)
    return others, fault


def _fault_of_epochs(change: Change, new: Mapping[str, Any], epochs: int) -> str:
    schedule = new.get("schedule") or {}
    name = "schedule.max_epochs" if schedule.get("max_epochs") == change.new else EPOCHS
    values = str(change._replace(setting=name))
    scheduler = schedule.get("lr_scheduler")
    if scheduler and scheduler.get("_target_") != ENDLESS_SCHEDULE:
        return (
            f"{values}: the learning rate of schedule={schedule.get('name')} is laid out over the "
            f"number of epochs; keep {name}={_shown(change.old)}, or start over in another folder"
        )
    if type(change.new) is int and 0 <= change.new < epochs:
        return f"{values}: {epochs} epochs have started already; give {name}={epochs} or more"
    return ""


def _is_more_patience(change: Change, new: Mapping[str, Any]) -> bool:
    group, _, rest = change.setting.partition(".")
    callback, _, key = rest.partition(".")
    numbers = type(change.old) is type(change.new) is int  # set before and now
    if (group, key) != ("callbacks", "patience") or not numbers:
        return False
    target = str(new[group][callback].get("_target_", ""))
    return target.endswith(".EarlyStopping") and bool(change.new > change.old)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    before, now = (ADDED | dict(_leaves(settings)) for settings in (old, new))
    for setting in dict.fromkeys([*before, *now]):
        change = Change(setting, before.get(setting, ABSENT), now.get(setting, ABSENT))
        if change.old != change.new:
            yield change


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted name and value of all settings.

    A list of plain values is one value, and so is a place of images.
    """
    if isinstance(tree, list) and any(isinstance(item, dict | list) for item in tree):
        tree = dict(enumerate(tree))
    if isinstance(tree, dict) and tree and not _matches(prefix[:-1], CONTENT_PATHS):
        for key, value in tree.items():
            yield from _leaves(value, f"{prefix}{key}.")
    else:
        yield prefix[:-1], tree


def _placed(value: Any, config: Mapping[str, Any]) -> Any:
    """Return a path as (name of the folder in `MOVABLE`, path below it), other values as is."""
    if isinstance(value, dict):
        return {key: _placed(part, config) for key, part in value.items()}
    if not isinstance(value, str):
        return value
    paths = config.get("paths") or {}
    folders = {name: str(paths[name]).rstrip("/") for name in MOVABLE if paths.get(name)}
    for name in sorted(folders, key=lambda name: -len(folders[name])):
        if value == folders[name] or value.startswith(folders[name] + "/"):
            return name, value[len(folders[name]) :]
    return value


def _matches(setting: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(setting, pattern) for pattern in patterns)


def _shown(value: Any) -> str:
    text = "null" if value is None else " ".join(str(value).split())
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"
