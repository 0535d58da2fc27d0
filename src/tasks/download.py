"""Fetch published images, and put them where runs look for them."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.quantities import duration_text, size_text
from genspot.data.packed.sources import packed_folder
from genspot.data.settings import default_workers
from genspot.download import disk, unpack
from genspot.download.client import Client
from genspot.download.directory import Directory
from genspot.download.progress import Progress
from genspot.report.console import print_line, print_path, print_table
from genspot.tasks import config, download_packed
from genspot.tasks.download_archive import ArchiveFiles
from genspot.tasks.download_choice import Choice, Wanted, choose
from genspot.tasks.download_commands import next_command
from genspot.tasks.places import names_weights
from genspot.tasks.schema import plain
from genspot.tasks.weights_by_name import local_file

log = logging.getLogger(__name__)
LINE = 100e6 / 8  # bytes a second, of the time that is named
CONNECTIONS = 4  # at least
SHOWN = 6  # folders that a line names
WEIGHTS = ("checkpoint", "model.weights", "model.backbone.weights", "schedule.teacher")


@dataclass(frozen=True)
class Job:
    """What is to be done for what is wanted of one archive.

    Attributes:
        wanted: see there.
        files: of the archive.
        missing: of what is wanted.
        complete: whether all of the archive is wanted.
        whole: whether its files are fetched whole, and kept.
        disk: bytes that the images will take.
    """

    wanted: Wanted
    files: ArchiveFiles
    missing: unpack.Missing | download_packed.Missing
    complete: bool
    whole: bool
    disk: int

    @property
    def members(self) -> Directory:
        """The missing members."""
        return self.missing.members

    @property
    def fetched(self) -> int:
        """The bytes that a server will send."""
        if self.whole:
            return self.files.bytes_of_whole()
        return self.files.bytes_of(self.members)

    @property
    def place(self) -> Path:
        """The folder that the images go below."""
        root = self.wanted.root
        return packed_folder(root) if self.wanted.packed else root


def download(cfg: DictConfig) -> None:
    """Fetch what is missing of the chosen sets; see `genspot.tasks.download_choice.choose`.

    And the weights that `checkpoint` or another setting names, published/NAME; those that ship
    are there.

    Raises:
        GenspotError: nothing that is published is chosen, a disk has no room, a file cannot be
            had, or something is damaged or in the way. What was fetched stays.
    """
    run = config.run_settings(cfg)
    named = {
        setting: weights
        for setting in WEIGHTS
        if (weights := plain(cfg, setting)) and names_weights(weights)
    }
    choice = choose(cfg, beside_weights=bool(named))
    weights = [local_file(one, cfg.paths.weights, key, run.quiet) for key, one in named.items()]
    with ExitStack() as stack:
        client = stack.enter_context(Client())
        for root, packed in sorted({(one.root, one.packed) for one in choice.wanted}):
            lock = download_packed.lock_copy if packed else unpack.lock_root
            stack.enter_context(lock(root))
        jobs = [_prepare(cfg, one, client, stack) for one in choice.wanted]
        _require_space(jobs)
        if not run.quiet:
            _print_plan(jobs)
        rows = [_carry_out(cfg, job, client, run.quiet) for job in jobs]
        if cfg.archives == "remove":
            _remove(jobs)
    _print_results(cfg, choice, jobs, rows, run.quiet)
    for path in weights:
        print_path("weights", path)


def _prepare(cfg: DictConfig, wanted: Wanted, client: Client, stack: ExitStack) -> Job:
    """Return the job of what is wanted, after reading the archive's directory."""
    folder = Path(cfg.paths.downloads).absolute()
    files = ArchiveFiles(wanted.archive, folder, client, cfg.recheck)
    stack.enter_context(closing(files))
    directory = files.directory()
    chosen = directory.select(wanted.folders) if wanted.folders else directory
    missing: unpack.Missing | download_packed.Missing
    if wanted.packed:
        missing = download_packed.find_missing(
            chosen, wanted.root, config.labels(cfg), cfg.max_megapixels, cfg.recheck
        )
        need = download_packed.need(files.source(), missing)
    else:
        missing = unpack.find_missing(chosen, wanted.root, cfg.recheck)
        need = disk.need(missing.members, wanted.root)
    complete = len(chosen) == len(directory)
    all_missing = complete and len(missing.members) == len(chosen)
    whole = all_missing and cfg.archives != "none" and bool(files.remote)
    return Job(wanted, files, missing, complete, whole, need)


def _require_space(jobs: list[Job]) -> None:
    """Raise GenspotError if a disk lacks space for the archives and the images."""
    needs: Counter[Path] = Counter()
    for job in jobs:
        needs[job.place] += job.disk
    images = dict(needs)
    for job in jobs:
        if job.whole:
            needs[job.files.folder] += job.fetched
    try:
        disk.require_space(needs)
    except GenspotError as error:
        if not _has_space(images):
            raise
        kept = sum(needs.values()) - sum(images.values())
        raise GenspotError(
            f"{error}; archives=none keeps no archive, and needs {size_text(kept)} less"
        ) from None


def _has_space(needs: Mapping[Path, int]) -> bool:
    try:
        disk.require_space(needs)
    except GenspotError:
        return False
    return True


def _print_plan(jobs: list[Job]) -> None:
    """Print what will be fetched, and what it takes."""
    jobs = [job for job in jobs if len(job.members)]
    if not jobs:
        return
    rows = [
        [
            _title(job.wanted),
            f"{len(job.members):,}",
            size_text(job.fetched),
            size_text(job.disk + job.fetched * job.whole),
            size_text(disk.free_space(job.place)),
        ]
        for job in jobs
    ]
    print_table(("missing", "images", "to fetch", "on disk", "free there"), rows)
    total = sum(job.fetched for job in jobs)
    print_line(
        f"{size_text(total)} to fetch, {duration_text(total / LINE)} at 100 Mbit/s. "
        + " ".join(_about_archives(jobs))
    )


def _about_archives(jobs: list[Job]) -> Iterable[str]:
    if whole := [job.wanted.archive.title for job in jobs if job.whole]:
        yield f"Fetched as whole archives: {', '.join(whole)}."
    licences = {(job.wanted.archive.licence, job.wanted.archive.source) for job in jobs}
    for licence, source in sorted(licences):
        yield f"Licence: {licence} ({source})."


def _title(wanted: Wanted) -> str:
    names = wanted.folders
    if not names or len(names) == len(wanted.archive.classes):
        return wanted.archive.title
    shown = ", ".join(names) if len(names) <= SHOWN else f"{len(names)} folders"
    return f"{wanted.archive.title}: {shown}"


def _carry_out(cfg: DictConfig, job: Job, client: Client, quiet: bool) -> list[str]:
    """Fetch and unpack what is missing; return a row of the table of results."""
    title = job.wanted.archive.title
    if job.whole:
        with Progress(f"fetching {title}", job.fetched, quiet) as progress:
            job.files.fetch(progress)
    threads = max(CONNECTIONS, cfg.workers or default_workers())
    verb = "packing" if job.wanted.packed else "unpacking"
    with Progress(f"{verb} {title}", job.members.stored, quiet) as progress:
        source, cancel = job.files.source(progress), client.cancel
        done: unpack.Unpacked | download_packed.Packed
        if isinstance(job.missing, unpack.Missing):
            done = unpacked = unpack.unpack(source, job.missing, threads, progress, cancel)
            notes = [f"{unpacked.extra} files of other origin"] * bool(unpacked.extra)
        else:
            done = packed = download_packed.pack(source, job.missing, threads, progress, cancel)
            notes = [f"{packed.unreadable} unreadable"] * bool(packed.unreadable)
    return [_title(job.wanted), f"{done.written:,}", f"{done.present:,}", ", ".join(notes)]


def _remove(jobs: list[Job]) -> None:
    """Remove the archives of which all is unpacked; say which are kept."""
    done = {job.wanted.archive.name for job in jobs if job.complete}
    for job in {job.wanted.archive.name: job for job in jobs}.values():
        there = len(job.files.remote) < len(job.wanted.archive.files)
        if job.wanted.archive.name in done:
            job.files.remove()
        elif there:
            log.warning(
                "%s: kept in %s, because not all of it was wanted",
                *(job.wanted.archive.title, job.files.folder),
            )


def _print_results(
    cfg: DictConfig, choice: Choice, jobs: list[Job], rows: list[list[str]], quiet: bool
) -> None:
    """Print what is there now, and the command that uses it."""
    if not quiet and jobs:
        print_table(("complete", "new images", "there before", "notes"), rows)
        for name, page in choice.elsewhere.items():
            print_line(f"Not in the table of downloads, and missing: {name} ({page}).")
    for place in dict.fromkeys(job.place for job in jobs):
        print_path("images", place)
    training = any(job.wanted.archive.split == "train" for job in jobs)
    if not quiet and jobs and (command := next_command(cfg, training)):
        print_path("next", shlex.join(command))
