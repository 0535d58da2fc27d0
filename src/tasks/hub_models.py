"""Models of the Hugging Face Hub: hub/OWNER/NAME[@REVISION] as a checkpoint, and shared ones."""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from genspot.common.errors import GenspotError
from genspot.common.extras import missing_extra
from genspot.common.names import shown
from genspot.common.text import safe_repr

log = logging.getLogger(__name__)

HUB = "hub/"  # a checkpoint that begins so is a model of the Hub
NAME = re.compile(rf"{HUB}([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", re.ASCII)
WEIGHTS, CARD, SETTINGS = "model.safetensors", "README.md", "config.json"  # of a shared model
GIT_ATTRIBUTES = ".gitattributes"  # the Hub puts it into each repository
MAX_REASON = 300  # characters of a message of the library
LOGIN = "hf auth login, or the environment variable HF_TOKEN, gives a token"

# Status of an answer → what is wrong and what to do.
REASONS = {
    401: f"the token is not valid; {LOGIN}",
    403: "the token has no right to write there; give one that has, or name a repository of your "
    "own",
    409: "the name is taken, by a repository that the token does not open; name another",
    412: "somebody else changed the repository meanwhile; look at it, then give the same command",
    429: "too many requests; give the same command later",
}


def hub_file(name: str, setting: str) -> Path:
    """Return the weights of a model of the Hugging Face Hub, fetched where they are not there yet.

    They lie in the cache of huggingface_hub, which HF_HOME places. The log names the commit.

    Args:
        name: hub/OWNER/NAME, or hub/OWNER/NAME@REVISION: a branch, a tag or a commit.
        setting: that gave the name, for messages.

    Raises:
        GenspotError: no such name, model or revision, no weights in it, no right to read it, no
            network and no copy, a damaged copy, or huggingface_hub is not installed.
    """
    what = f"{setting}={safe_repr(name)}"
    found = NAME.fullmatch(name)
    if not found:
        raise GenspotError(f"{what}: give hub/OWNER/NAME, or hub/OWNER/NAME@REVISION")
    repo, revision = found.groups()
    library = hub_library(what)
    page = f"{library.HfApi().endpoint}/{repo}"
    log.info("%s: asking Hugging Face for it; its card, with the licence: %s", name, page)
    with explained(what):
        file = Path(library.hf_hub_download(repo, WEIGHTS, revision=revision))
    _check_digest(file, what)
    log.info("%s is commit %s", name, file.parent.name)
    return file


def _check_digest(file: Path, what: str) -> None:
    """Check a cached file against its SHA-256, which the cache names large files by.

    Raises:
        GenspotError: it has another one.
    """
    if not file.is_symlink():  # a file system without links
        return
    expected = os.path.basename(os.readlink(file))
    if not re.fullmatch("[0-9a-f]{64}", expected):  # a small file, by the digest of Git
        return
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != expected:
        raise GenspotError(
            f"{what}: {file.resolve()} has the SHA-256 {found}, and not {expected}: remove this "
            "file, and the same command fetches it again"
        )


def hub_library(what: str) -> Any:
    """Return huggingface_hub.

    Raises:
        GenspotError: it is not installed; `what` needs it.
    """
    try:
        library, utils = map(importlib.import_module, ("huggingface_hub", "huggingface_hub.utils"))
    except ModuleNotFoundError:
        raise missing_extra(what, "huggingface_hub", "hub") from None
    utils.logging.set_verbosity_error()  # it logs each of its attempts
    for name in ("httpx", "httpx2"):  # which log each request
        logging.getLogger(name).setLevel(logging.WARNING)
    if os.environ.get("TQDM_DISABLE") == "1":
        utils.disable_progress_bars()
    return library


class Upload(NamedTuple):
    """What an upload has left."""

    page: str  # of the model
    commit: str
    before: str | None  # the commit before, where the repository held a model of genspot already


def check_repository_name(repo: str | None) -> str:
    """Return `repo`.

    Raises:
        GenspotError: it is no OWNER/NAME that the Hub takes, or huggingface_hub is not installed.
    """
    if not re.fullmatch(r"[^/]+/[^/]+", repo or ""):
        raise GenspotError(f"repo={shown(repo)}: give repo=OWNER/NAME, of a model at Hugging Face")
    hub_library("task=share")
    with explained(f"repo={repo}"):
        importlib.import_module("huggingface_hub.utils").validate_repo_id(repo)
    return str(repo)


def upload(folder: Path, repo: str, private: bool | None) -> Upload:
    """Upload the files of a model from `folder` in one commit; make the repository if need be.

    Args:
        folder: with `WEIGHTS`, `CARD` and `SETTINGS`.
        repo: OWNER/NAME.
        private: whether a repository that is made is private; None: as its owner has set it.

    Raises:
        GenspotError: no token, no right to write, a repository with other content or of the other
            visibility, a card that the Hub refuses, or no network.
    """
    what = f"repo={repo}"
    library = hub_library("task=share")
    if library.get_token() is None:
        raise GenspotError(f"{what}: to write there, Hugging Face wants a token; {LOGIN}")
    api = library.HfApi()
    with explained(what):
        library.ModelCard.load(folder / CARD).validate()  # before a repository is made for it
        before = _existing(api, repo, private)
        if before is None:
            api.create_repo(repo, private=private)
        names = (WEIGHTS, CARD, SETTINGS)
        done = api.create_commit(
            repo,
            [library.CommitOperationAdd(name, folder / name) for name in names],
            commit_message="A model shared by genspot",
            parent_commit=before and before.sha,
        )
    held_model = before and WEIGHTS in _names(before)
    former = before.sha if held_model and before.sha != done.oid else None
    return Upload(f"{api.endpoint}/{repo}", done.oid, former)


def _existing(api: Any, repo: str, private: bool | None) -> Any:
    """Return what the Hub knows of a repository that may be written to; None: there is none."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = api.model_info(repo)
    except RepositoryNotFoundError:
        return None
    names = _names(info)
    others = [name for name in names if name not in (WEIGHTS, CARD, SETTINGS, GIT_ATTRIBUTES)]
    if others or (WEIGHTS in names and info.library_name != "genspot"):
        held = ", ".join(map(safe_repr, (others or names)[:3]))
        raise GenspotError(
            f"repo={repo} holds something else already ({held}); name another repository"
        )
    if private is not None and private != info.private:
        state = "private" if info.private else "public"
        raise GenspotError(
            f"repo={repo} is {state} already: leave task.private out; its page has the setting"
        )
    return info


def _names(info: Any) -> Sequence[str]:
    return [one.rfilename for one in info.siblings or ()]


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Raise the library's errors in the block as GenspotError of one line, after `what`.

    An error of this machine's files, such as a full disk, is raised as it is.
    """
    try:
        yield
    except (GenspotError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise GenspotError(f"{what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return what is wrong and what to do."""
    from huggingface_hub import constants, errors

    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        return _reason(error.__cause__)  # of one file's upload
    if isinstance(error, errors.GatedRepoError):
        return "its owner has to grant access: ask for it on the model's page, and give a token"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no such model, or it is private and needs a token ({LOGIN})"
    if isinstance(error, errors.RevisionNotFoundError):
        return "the model has no such revision; give a branch, a tag or a whole commit"
    if isinstance(error, errors.LocalEntryNotFoundError):
        why = _one_line(error.__cause__ or error)
        return (
            f"{constants.ENDPOINT} cannot be reached ({why}), and {constants.HF_HUB_CACHE} has no "
            f"copy; by hand: save {WEIGHTS} of the model's page, and give its path"
        )
    if isinstance(error, errors.EntryNotFoundError):
        return (
            f"it has no {WEIGHTS}, as task=share leaves; save its file by hand, and give its path"
        )
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        return REASONS.get(status) or f"{constants.ENDPOINT} answers: {_one_line(error)}"
    if isinstance(error, ValueError):  # a name that is not valid, or a card
        return f"Hugging Face refuses it: {_one_line(error)}"
    return f"{constants.ENDPOINT} cannot be reached ({_one_line(error)})"


def _one_line(error: BaseException) -> str:
    text = str(error)
    with suppress(ValueError, LookupError, TypeError):  # the answer on a card that is refused
        text = json.loads(text)["errors"][0]["message"]
    return safe_repr(" ".join(text.split()) or type(error).__name__, MAX_REASON)
