"""A run's folder: its lock, its configuration, and whether it holds the results."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from genspot.common import run_files
from genspot.common.errors import GenspotError
from genspot.common.files import read_json, write_json, write_text
from genspot.common.ranks import is_rank_zero
from genspot.runtime.changed_settings import (
    SHOWN,
    changed_places,
    changed_settings,
    describe_changes,
    is_moved,
    split_prolonging,
)
from genspot.runtime.content import Content, difference
from genspot.runtime.shutdown import ShutdownRequested

LOCK = ".lock"
LOG = "genspot.log"
CONTENT = "content.json"  # what the run reads, see `genspot.runtime.content`
EXPORTS = ("results.csv", "results.md", "results.tex", "detectors.csv")
CHECKPOINTS = (run_files.LAST_CHECKPOINT, run_files.PREVIOUS_CHECKPOINT)
# A training cannot continue on other images; the results of a checkpoint are not those of another.
# Beginnings of settings: data.train.NAME is of one of several sets.
FIXED_CONTENT = (
    *("data.train", "data.val", "checkpoint", "model.weights", "schedule.teacher"),
    "inputs",  # of standard input
)
WORTHLESS = (LOG, LOCK, CONTENT, run_files.CONFIG)  # in a folder without anything else

_started: set[Path] = set()  # folders of the runs that this process began
_locked: set[Path] = set()  # folders that no other process touches


@contextlib.contextmanager
def lock_run_folder(folder: Path) -> Iterator[None]:
    """Keep other runs out of `folder`; the first process of a run locks it for all.

    An error or a signal within the block removes the folder if nothing in it is of use.

    Raises:
        GenspotError: another run has locked it.
    """
    with contextlib.ExitStack() as stack:
        if is_rank_zero():
            try:
                stack.enter_context(FileLock(folder / LOCK).acquire(timeout=0))
            except Timeout:
                raise GenspotError(
                    f"another run is at work in {folder}; wait for it, or name another folder"
                ) from None
            except OSError:
                pass  # a file system without locks
            else:
                _locked.add(folder)
                stack.callback(_locked.discard, folder)
        try:
            yield
        except (Exception, ShutdownRequested):
            remove_worthless_folders()
            raise


def check_config(folder: Path, config_text: str, resume: str, epochs: int = 0) -> None:
    """Check on the first process whether a run may continue in `folder`, before data are read.

    Args:
        folder: the run's folder.
        config_text: the composed configuration as YAML, without the setting `resume`.
        resume: "auto" keeps the checkpoints of an interrupted training, "never" removes them.
        epochs: that its training has started; 0 if it left no checkpoint.

    Raises:
        GenspotError: `folder` holds results, a prediction or an interrupted training, and settings
            that change its results have changed.
    """
    kept = _kept(folder, resume)
    if not (kept and is_rank_zero()):
        return
    old, new = _configs(folder, config_text)
    changes, fault = split_prolonging(changed_settings(old, new), new, epochs)
    if changes:
        raise _other_settings(folder, kept, describe_changes(changes))
    if fault:
        raise GenspotError(f"{folder} holds {kept}; {fault}")


def save_config(
    folder: Path,
    config_text: str,
    resume: str,
    epochs: int = 0,
    content: Mapping[str, Content] | None = None,
) -> None:
    """Save the configuration as config.yaml and remove stale results, on the first process.

    Args:
        folder: the run's folder; it is made if it does not exist.
        config_text: see `check_config`.
        resume: see `check_config`.
        epochs: see `check_config`.
        content: what lies at the paths that the run reads, by the names of their settings.

    Raises:
        GenspotError: see `check_config`; or other images or another checkpoint lie there now.
    """
    if not is_rank_zero():
        return
    _started.discard(folder)
    check_config(folder, config_text, resume, epochs)
    content = content or {}
    if kept := _kept(folder, resume):
        configs = _configs(folder, config_text)
        if faults := _faults_of_content(*configs, _stored_content(folder), content):
            raise _other_settings(folder, kept, "; ".join(faults[:SHOWN]))
    folder.mkdir(parents=True, exist_ok=True)
    stale = [
        run_files.REPORT,
        run_files.METRICS,
        run_files.SCORES,
        run_files.VALIDATION_SCORES,
        run_files.NOT_FINITE,
        *EXPORTS,
    ]
    if resume == "never":
        stale += [*CHECKPOINTS, run_files.BEST_CHECKPOINT]
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    if content:
        write_json(dict(content), folder / CONTENT)
    write_text(config_text, folder / run_files.CONFIG)
    _started.add(folder)


def load_if_complete(
    folder: Path, config_text: str, resume: str, content: Mapping[str, Content] | None = None
) -> dict[str, Any] | None:
    """Return the content of metrics.json if `folder` holds a complete run of this configuration.

    Args:
        folder: the run's folder.
        config_text: see `check_config`.
        resume: with "never" the result is None, because the run is to be repeated.
        content: see `save_config`, as far as it is known already. Where a path has changed, a run
            counts as complete only if the content is known to be the same.
    """
    content = content or {}
    metrics = folder / run_files.METRICS
    required = [folder / run_files.CONFIG, metrics, folder / run_files.SCORES]
    required.append(folder / run_files.REPORT)
    if "checkpoint" not in content:  # a training, which writes its own
        required.append(folder / run_files.BEST_CHECKPOINT)
    if resume == "never" or not all(file.is_file() for file in required):
        return None
    old, new = _configs(folder, config_text)
    if changed_settings(old, new):
        return None
    stored = _stored_content(folder)
    known = stored or {}
    if any(difference(known.get(setting, {}), found) for setting, found in content.items()):
        return None
    if _faults_of_content(old, new, stored, content):
        return None
    try:
        results: dict[str, Any] = read_json(metrics)
    except ValueError as error:
        raise GenspotError(f"{folder}: {error}; remove the folder to repeat the run") from error
    return results


def has_started(folder: Path) -> bool:
    """Return whether this process began or continued the run in `folder`: its settings fitted."""
    return folder in _started


def can_continue(folder: Path) -> bool:
    """Return whether `folder` holds what the same command continues from."""
    return any(True for pattern in run_files.RESUMABLE for _ in folder.glob(pattern))


def remove_worthless_folders() -> None:
    """Remove the folders that this process has locked and in which nothing is of use."""
    for folder in _locked:
        files = list(folder.iterdir()) if folder.is_dir() else []
        if files and all(file.name in WORTHLESS and file.is_file() for file in files):
            for file in files:
                file.unlink()
            folder.rmdir()


def _kept(folder: Path, resume: str) -> str:
    """Return what `folder` holds that no other run may replace, "" for nothing."""
    contents = {
        run_files.METRICS: "a finished run",
        run_files.PREDICTIONS: "a prediction",
        run_files.AUDIT: "an audit",
    }
    if resume == "auto":
        contents |= dict.fromkeys(CHECKPOINTS, "an interrupted training")
    found = [text for name, text in contents.items() if (folder / name).is_file()]
    return found[0] if found else ""


def _configs(folder: Path, config_text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration that `folder` holds and that of `config_text` as trees.

    Raises:
        GenspotError: that in `folder` is missing or damaged.
    """
    new = yaml.safe_load(config_text) or {}
    try:
        old_text = (folder / run_files.CONFIG).read_text(encoding="utf-8")
        if old_text == config_text:
            return new, new
        old = yaml.safe_load(old_text) or {}
        if not isinstance(old, dict):
            raise ValueError("no settings")
    except FileNotFoundError as error:
        raise GenspotError(
            f"{folder} holds {_kept(folder, 'auto')} without {run_files.CONFIG}, which says how "
            "it was made: put it back, remove the folder, or name another one: hydra.run.dir=PATH"
        ) from error
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise GenspotError(
            f"{folder / run_files.CONFIG} cannot be read ({reason}): remove {folder}, or name "
            "another folder: hydra.run.dir=PATH"
        ) from error
    return old, new


def _faults_of_content(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    stored: Mapping[str, Content] | None,
    content: Mapping[str, Content],
) -> list[str]:
    """Return which paths do not hold, or are not known to hold, what a run has read.

    Args:
        old: its configuration.
        new: that of this run.
        stored: what it has read; None if that is not known.
        content: see `save_config`.
    """
    changes = {change.setting: change for change in changed_places(old, new)}
    if stored is None:
        return [str(one) for one in changes.values() if not is_moved(one, old, new)]
    faults = []
    for setting, before in stored.items():
        change, found = changes.get(setting), content.get(setting)
        if change and found is None:
            faults.append(str(change))
        elif found is not None and (different := difference(before, found)):
            if change:
                faults.append(f"{change} ({different})")
            elif setting.startswith(FIXED_CONTENT):
                faults.append(f"{setting} holds {different}")
    # Where the run had none, as of a setting that it did without.
    added = [setting for setting in content if setting in changes and setting not in stored]
    return faults + [str(changes[setting]) for setting in added]


def _stored_content(folder: Path) -> dict[str, Content] | None:
    try:
        content = json.loads((folder / CONTENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _other_settings(folder: Path, kept: str, changes: str) -> GenspotError:
    return GenspotError(
        f"{folder} holds {kept} with other settings: {changes}. Give the old ones, remove the "
        "folder, or name another one: hydra.run.dir=PATH"
    )
