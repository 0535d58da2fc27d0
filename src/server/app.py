"""The application: the REST API, the web page, and the rules around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

import genspot
from genspot.server.access import AccessRules
from genspot.server.api import Api
from genspot.server.batching import Batcher
from genspot.server.errors import add_error_handlers
from genspot.server.limits import Limits, RateLimiter
from genspot.server.middleware import Guard
from genspot.server.service import OptionsCheck, PageRenderer, PriorNotes, Service
from genspot.server.web import Web

DESCRIPTION = (
    "Ask detectors of generated images about photos. Photos stay in memory while they are "
    "examined; none is kept or written to disk."
)


def create_app(
    batcher: Batcher,
    render_page: PageRenderer,
    detectors: Sequence[dict[str, Any]],
    limits: Limits,
    check: OptionsCheck = lambda fpr, prior: None,
    prior_notes: PriorNotes = lambda prior: (),
    token: str | None = None,
    hosts: Collection[str] = (),
    on_start: Callable[[], None] = lambda: None,
    on_stop: Callable[[int], None] = lambda unfinished: None,
) -> FastAPI:
    """Return the application.

    Args:
        batcher: answers questions; it is closed when the application stops.
        render_page: photos and the document of their answers to a page for readers; called by one
            thread at once.
        detectors: descriptions of those that answer, for `GET /v1/version`.
        limits: on requests.
        check: raises GenspotError where no photo can be answered with a false-alarm rate and a
            prior; called before photos are received.
        prior_notes: what a reader must know of probabilities at a prior.
        token: that the API needs; None where it needs none.
        hosts: names of the server, beside localhost and IP addresses.
        on_start: is called when requests are about to be answered, and signals end the server.
        on_stop: is called at the end with the number of jobs that were not finished.
    """
    service = Service(batcher, render_page, limits, check, prior_notes)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        on_start()
        yield
        on_stop(await service.close())

    app = FastAPI(
        title="genspot",
        version=genspot.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's pages load their scripts from elsewhere
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    rules = AccessRules(token, hosts, RateLimiter(limits.requests_per_minute))
    app.add_middleware(Guard, rules=rules, metrics=service.metrics)
    add_error_handlers(app)
    app.include_router(Api(service, detectors).router())
    app.include_router(Web(app, detectors, limits, needs_token=token is not None).router())
    return app
