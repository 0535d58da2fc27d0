"""Answer photos over HTTP."""

from __future__ import annotations

import ipaddress
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from genspot.common.errors import GenspotError
from genspot.common.extras import missing_extra
from genspot.common.uploads import UploadedPhoto
from genspot.evaluation.scaling import Scaling
from genspot.report.console import print_line
from genspot.report.priors import prior_notes
from genspot.report.verdict_page import render_verdicts
from genspot.runtime.run_folder import LOG, remove_worthless_folders
from genspot.tasks.examiner import Examiner
from genspot.tasks.overrides import OF_PHOTOS, refuse_unread
from genspot.tasks.photo_detector import PhotoDetector, load_photo_detectors
from genspot.tasks.photo_views import decode
from genspot.tasks.pictures import make_pictures
from genspot.tasks.schema import SERVER_LIMITS, plain
from genspot.tasks.stopping import SHUTDOWN
from genspot.tasks.warnings_filter import silence_warnings

if TYPE_CHECKING:
    from genspot.server.limits import Limits

EXTRA = ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "starlette")
MIN_TOKEN = 16  # characters: fewer can be guessed
STOP_S = 20  # for the requests that are being answered when the server stops


def serve(cfg: DictConfig) -> None:
    """Answer photos until a signal ends the server; then answer what has been accepted.

    Raises:
        GenspotError: no usable checkpoint, an address that cannot be used, a setting without
            effect, or a missing extra; in one line.
    """
    silence_warnings()
    refuse_unread("serve", (*OF_PHOTOS, "calibration"))
    limits = _limits(cfg)
    with _listener(cfg) as listener:
        local = ipaddress.ip_address(listener.getsockname()[0]).is_loopback
        token, is_new = _token(cfg, local)
        detectors = load_photo_detectors(cfg)
        examiner = Examiner(detectors)
        tell = partial(_print_address, listener, token if is_new else None, local)
        _run(_app(cfg, examiner, limits, token, tell), listener)
    _leave_no_empty_log(Path(cfg.paths.output))


def page_renderer(
    detectors: Sequence[PhotoDetector], max_megapixels: int
) -> Callable[[Sequence[UploadedPhoto], dict[str, Any]], str]:
    """Return what makes the page of photos and the document of their answers."""

    def render(photos: Sequence[UploadedPhoto], document: dict[str, Any]) -> str:
        pictures = {}
        for photo, answer in zip(photos, document["photos"], strict=True):
            pixels = decode(photo, max_megapixels) if answer["detectors"] else ""
            if not isinstance(pixels, str):
                pictures[answer["photo"]] = make_pictures(pixels, detectors)
        return render_verdicts(document, pictures)

    return render


def prior_notes_of(examiner: Examiner, prior: float) -> list[str]:
    """Return what a reader must know of the probabilities of `examiner` at a prior."""
    names = [detector.name for detector in examiner.detectors]
    pairs = zip(names, examiner.scalings, strict=True)
    return prior_notes({name: one for name, one in pairs if isinstance(one, Scaling)}, prior)


def describe_detector(detector: PhotoDetector) -> dict[str, Any]:
    """Return what `GET /v1/version` says of a detector."""
    return {
        "detector": detector.name,
        "checkpoint": detector.sha256,
        "model": detector.model.name,
        "crop": detector.crop,
        "protocol": detector.protocol,
    }


def _app(
    cfg: DictConfig,
    examiner: Examiner,
    limits: Limits,
    token: str | None,
    on_start: Callable[[], None],
) -> Any:
    from genspot.server.app import create_app
    from genspot.server.batching import Batcher

    return create_app(
        Batcher(examiner.read, examiner.answer, examiner.batch_size, cfg.task.max_queue),
        page_renderer(examiner.detectors, cfg.max_megapixels),
        [describe_detector(one) for one in examiner.detectors],
        limits,
        examiner.check,
        partial(prior_notes_of, examiner),
        token=token,
        hosts=list(cfg.task.hosts),
        on_start=on_start,
        on_stop=_print_stop,
    )


def _run(app: Any, listener: socket.socket) -> None:
    """Serve until a signal comes; uvicorn handles the first of them, and a second ends it now."""
    import uvicorn

    settings = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # any client on this machine could name another one in them
        timeout_graceful_shutdown=STOP_S,
    )
    server = uvicorn.Server(settings)
    SHUTDOWN.defer()  # uvicorn repeats a signal at its end, which is this task's end too
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, server.handle_exit)  # a closed terminal
    server.run(sockets=[listener])


def _limits(cfg: DictConfig) -> Limits:
    """Return the limits of the configuration.

    Raises:
        GenspotError: one of them does not fit another, or the extra is missing.
    """
    try:
        import uvicorn  # noqa: F401

        import genspot.server.app  # noqa: F401 (all that the extra holds)
    except ModuleNotFoundError as error:
        name = str(error.name).partition(".")[0]
        if name not in EXTRA:
            raise
        raise missing_extra("task=serve", name.replace("_", "-"), "serve") from error
    from genspot.server.limits import MEGABYTE, Limits

    task = cfg.task
    for key in ("host", "port", "hosts", *SERVER_LIMITS):
        if task[key] is None:
            raise GenspotError(f"task.{key}=null: give a value, or leave it out")
    for smaller, larger in (("max_photos", "max_queue"), ("max_request_mb", "max_held_mb")):
        if task[smaller] > task[larger]:
            raise GenspotError(
                f"task.{smaller}={task[smaller]} is more than task.{larger}={task[larger]}, so "
                f"that the largest request would always be refused: raise task.{larger}"
            )
    return Limits(
        max_photos=task.max_photos,
        max_request_bytes=task.max_request_mb * MEGABYTE,
        max_held_bytes=task.max_held_mb * MEGABYTE,
        requests_per_minute=task.requests_per_minute,
        upload_seconds=task.upload_seconds,
        max_jobs=task.max_jobs,
        job_seconds=60 * task.job_minutes,
    )


def _listener(cfg: DictConfig) -> socket.socket:
    """Return a socket that listens at the address of the configuration.

    Raises:
        GenspotError: it cannot be bound.
    """
    host, port = cfg.task.host, cfg.task.port
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
    except OSError as error:
        raise GenspotError(f"task.host={host}: {error.strerror}; give an IP address") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # now: another may be bound to the same port and not yet listen
    except OSError as error:
        listener.close()
        raise GenspotError(
            f"task.host={host} task.port={port}: {error.strerror}; give another task.port, or "
            "task.port=0 for any that is free"
        ) from error
    return listener


def _token(cfg: DictConfig, local: bool) -> tuple[str | None, bool]:
    """Return the token that the API needs, None for none; and whether it was made here.

    Raises:
        GenspotError: one is given that is short or cannot be sent.
    """
    given = plain(cfg, "task.token")
    if given is None:
        return (None, False) if local else (secrets.token_urlsafe(24), True)
    given = str(given)
    # The message does not repeat it: messages are logged.
    if len(given) < MIN_TOKEN or not given.isascii() or not given.isprintable() or " " in given:
        raise GenspotError(
            f"task.token (GENSPOT_TOKEN): give at least {MIN_TOKEN} ASCII letters, digits and "
            "signs without spaces, or none: the server makes one where it needs it"
        )
    return given, False


def _print_address(listener: socket.socket, new_token: str | None, local: bool) -> None:
    host, port = listener.getsockname()[:2]
    anywhere = ipaddress.ip_address(host).is_unspecified
    shown = "127.0.0.1" if anywhere else f"[{host}]" if ":" in host else host
    fragment = f"#token={new_token}" if new_token else ""
    print_line(f"genspot serves at http://{shown}:{port}/{fragment}")
    if new_token:
        print_line(f"token, not shown again: {new_token}")
    if anywhere:
        print_line("from elsewhere: by an IP address of this machine, or a name of task.hosts")
    if not local:
        print_line("the connection is not encrypted: put a proxy with TLS before it (docs/server)")
    print_line("Ctrl-C ends it")
    sys.stdout.flush()  # a log or a pipe has it now, not at the end


def _print_stop(unfinished: int) -> None:
    lost = f"; {unfinished} jobs were not finished" if unfinished else ""
    print_line(f"stopped: all accepted requests were answered{lost}")
    sys.stdout.flush()


def _leave_no_empty_log(folder: Path) -> None:
    """Remove the folder of this run unless it holds a log of faults."""
    log = folder / LOG
    if log.is_file() and not log.stat().st_size:
        remove_worthless_folders()
