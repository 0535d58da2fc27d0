"""The HTTP application over a fake examiner, in this process and behind a real socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from genspot.common.uploads import Question, UploadedPhoto
from genspot.report.verdict_page import Pictures, render_verdicts
from genspot.server.app import create_app
from genspot.server.batching import Answer, Batcher
from genspot.server.limits import Limits
from helpers.answers import DIGEST, make_answer, make_detector_answer

HOST = "127.0.0.1:8000"
UNREADABLE = "its content is no image"
READABLE = b"photo"  # how the content of a fake photo begins
LIMITS = Limits(requests_per_minute=None)
LIMIT_S = 20


class FakeExaminer:
    """Answers by the first bytes of a photo; waits for `go` and notes what it is asked."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.asked: list[Question] = []
        self.error: Exception | None = None

    def read(self, question: Question) -> Question:
        assert self.go.wait(LIMIT_S)
        self.asked.append(question)
        if self.error:
            raise self.error
        return question

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        return [_answer(one) for one in questions]


def _answer(question: Question) -> Answer:
    name, content = question.photo
    if content.startswith(READABLE):
        return make_answer(name, make_detector_answer(fpr=question.fpr, prior=question.prior))
    return make_answer(name, unreadable=UNREADABLE)


def render(photos: Sequence[UploadedPhoto], document: dict[str, Any]) -> str:
    """Return the page of photos without pictures."""
    return render_verdicts(document, {photo.name: Pictures("") for photo in photos})


def make_app(examiner: FakeExaminer, max_queue: int = 64, **changes: Any) -> FastAPI:
    """Return an application; `changes` are of `Limits` or arguments of `create_app`."""
    of_limits = {key: changes.pop(key) for key in list(changes) if hasattr(LIMITS, key)}
    batcher = Batcher(examiner.read, examiner.answer, batch_size=4, max_photos=max_queue)
    detectors = changes.pop("detectors", [{"detector": "quickstart", "checkpoint": DIGEST}])
    return create_app(batcher, render, detectors, replace(LIMITS, **of_limits), **changes)


@contextmanager
def client(examiner: FakeExaminer | None = None, **changes: Any) -> Iterator[TestClient]:
    """Yield a client of `make_app`, whose application stops with the block."""
    app = make_app(examiner or FakeExaminer(), **changes)
    with TestClient(app, base_url=f"http://{HOST}", raise_server_exceptions=False) as found:
        yield found


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Yield the address at which `app` listens, by uvicorn, within the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, http="h11", ws="none", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        end = time.monotonic() + LIMIT_S
        while not server.started:
            assert time.monotonic() < end, "the server does not start"
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(LIMIT_S)
            assert not thread.is_alive()


def error_of(response: Any) -> tuple[int, str]:
    """Return the status and the code of a refusal, which has the one form of errors."""
    content = response.json()
    assert content.keys() == {"error"}
    error = content["error"]
    assert {"status", "code", "message", "retry_after"} <= error.keys()
    assert error["status"] == response.status_code
    assert "\n" not in error["message"]
    after = response.headers.get("retry-after")
    assert after == (None if error["retry_after"] is None else str(error["retry_after"]))
    return response.status_code, error["code"]
