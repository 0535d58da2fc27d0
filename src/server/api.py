"""The REST API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.security import HTTPBearer
from starlette.responses import HTMLResponse, JSONResponse, Response

import genspot
from genspot.server.jobs import DONE, Job
from genspot.server.schemas import Document, ErrorDocument, Health, JobDocument, Version
from genspot.server.service import AskedOptions, Service

REPORT_NAME = "genspot.html"  # of the page, as a file
TOKEN = HTTPBearer(auto_error=False, description="the server's token, where it has one")
PHOTO = {"type": "string", "format": "binary"}
PHOTOS = {
    "type": "object",
    "properties": {"photo": {"type": "array", "items": PHOTO}},
    "required": ["photo"],
}
BODY = {
    "requestBody": {
        "required": True,
        "description": "a photo as it is, or photos as files of a form, in fields of any name",
        "content": {
            "multipart/form-data": {"schema": PHOTOS},
            "image/*": {"schema": PHOTO},
            "application/octet-stream": {"schema": PHOTO},
        },
    }
}
REASONS = {
    400: "not HTTP, or the photos did not arrive whole",
    401: "the token is missing or wrong",
    403: "a page of another site, or an unknown name of the server",
    408: "the photos took too long to arrive",
    413: "too many bytes or photos",
    415: "the body is neither a photo nor a form",
    422: "a setting is wrong, or no photo can be read",
    429: "too many requests of this client; Retry-After says when to try again",
    503: "no room for the photos or the job now; Retry-After says when to try again",
}
HTML = {"text/html": {"schema": {"type": "string"}}}


class Api:
    """The routes of the API.

    Args:
        service: answers.
        detectors: what `GET /v1/version` says of them.
    """

    def __init__(self, service: Service, detectors: Sequence[dict[str, Any]]) -> None:
        self.service, self.detectors = service, list(detectors)

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(default_response_class=JSONResponse)
        guarded: dict[str, Any] = {"dependencies": [Depends(TOKEN)]}
        photos: dict[str, Any] = guarded | {"methods": ["POST"], "openapi_extra": BODY}
        router.add_api_route(
            "/v1/predict", self.predict, responses=_responses(200, Document), **photos
        )
        router.add_api_route(
            "/v1/report",
            self.report,
            response_class=HTMLResponse,
            responses={200: {"content": HTML, "description": "the page"}, **_json_refusals()},
            **photos,
        )
        router.add_api_route(
            "/v1/jobs",
            self.start_job,
            status_code=202,
            responses=_responses(202, JobDocument),
            **photos,
        )
        job: dict[str, Any] = {
            "responses": _responses(200, JobDocument, (401, 403, 404, 422, 429)),
            **guarded,
        }
        router.add_api_route("/v1/jobs/{job}", self.show_job, methods=["GET"], **job)
        gone: dict[str, Any] = {
            "responses": _refusals((401, 403, 404, 422, 429)),
            "status_code": 204,
            **guarded,
        }
        router.add_api_route("/v1/jobs/{job}", self.remove_job, methods=["DELETE"], **gone)
        health: dict[int | str, Any] = _responses(200, Health, ())
        router.add_api_route("/v1/health", self.health, methods=["GET"], responses=health)
        version: dict[str, Any] = {
            "responses": _responses(200, Version, (401, 403, 429)),
            **guarded,
        }
        router.add_api_route("/v1/version", self.version, methods=["GET"], **version)
        metrics: dict[str, Any] = {"content": {"text/plain": {"schema": {"type": "string"}}}}
        router.add_api_route(
            "/metrics", self.metrics, responses={200: metrics, **_refusals((401, 403))}, **guarded
        )
        return router

    async def predict(self, request: Request, options: AskedOptions) -> JSONResponse:
        """Answer one photo or several, each in turn; those that cannot be read have a reason."""
        return JSONResponse(await self.service.answer(request, options))

    async def report(self, request: Request, options: AskedOptions) -> HTMLResponse:
        """Answer with a page for readers, which needs nothing beside it and can be sent on."""
        page = await self.service.page(request, options)
        return HTMLResponse(
            page, headers={"Content-Disposition": f'attachment; filename="{REPORT_NAME}"'}
        )

    async def start_job(self, request: Request, options: AskedOptions) -> JSONResponse:
        """Accept photos, and answer them later: ask for the job until its status is done."""
        job = self._describe(await self.service.start_job(request, options))
        return JSONResponse(job, 202, {"Location": job["url"]})

    async def show_job(self, job: str) -> JSONResponse:
        """Return a job, and once it is done its result, the document of /v1/predict."""
        return JSONResponse(self._describe(self.service.jobs.find(job)))

    async def remove_job(self, job: str) -> Response:
        """Forget a job and its result; cancel one that is not finished."""
        self.service.jobs.remove(job)
        return Response(status_code=204)

    async def health(self) -> JSONResponse:
        """Say that the server answers. Needs no token."""
        return JSONResponse({"status": "ok"})

    async def version(self) -> JSONResponse:
        """Return the versions of genspot and of the API, the detectors and the limits."""
        limits = vars(self.service.limits)
        return JSONResponse(
            {
                "genspot": genspot.__version__,
                "api": 1,
                "detectors": self.detectors,
                "limits": limits,
            }
        )

    async def metrics(self) -> Response:
        """Return figures of the server for Prometheus."""
        text, content_type = self.service.metrics.text()
        return Response(text, headers={"Content-Type": content_type})

    def _describe(self, job: Job) -> dict[str, Any]:
        """Return a job in the form of `JobDocument`."""
        done = job.status == DONE
        return {
            "job": job.id,
            "status": job.status,
            "photos": job.photos,
            "created": job.created.isoformat(timespec="seconds"),
            "url": f"/v1/jobs/{job.id}",
            "error": job.error,
            "result": self.service.document(job.answers, job.prior) if done else None,
        }


def _responses(
    status: int, model: type, refusals: Sequence[int] = tuple(REASONS)
) -> dict[int | str, dict[str, Any]]:
    """Return the responses of a route for OpenAPI."""
    return {status: {"model": model}} | _refusals(refusals)


def _refusals(statuses: Sequence[int] = tuple(REASONS)) -> dict[int | str, dict[str, Any]]:
    reasons = REASONS | {404: "there is no such job"}
    return {one: {"model": ErrorDocument, "description": reasons[one]} for one in statuses}


def _json_refusals() -> dict[int | str, dict[str, Any]]:
    """Return the refusals of a route whose other responses are not JSON, as FastAPI assumes."""
    schema = {"$ref": f"#/components/schemas/{ErrorDocument.__name__}"}
    content = {"application/json": {"schema": schema}}
    return {one: {"content": content, "description": text} for one, text in REASONS.items()}
