"""The forms of the API's responses, for its OpenAPI description.

The answers are those of `genspot.report.answers`; tests hold the two together.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class Claims(BaseModel):
    """What the file of a photo says of itself. Anybody can write or remove it."""

    claims: list[Any]
    notes: list[str]


class Delivery(BaseModel):
    """A photo as a service delivers it, and its score."""

    delivery: str
    logit: float | None = None
    grade: str | None = None
    verdict: str | None = None
    reason: str | None = None


class Deliveries(BaseModel):
    """How the score of a photo moves where services deliver it."""

    word: str
    low: float | None
    high: float | None
    kept: int
    total: int
    each: list[Delivery]


class DetectorAnswer(BaseModel):
    """What one detector says of a photo."""

    detector: str
    checkpoint: str = Field(description="SHA-256 of its file, in hexadecimal digits")
    version: str = Field(description="of genspot")
    crop: int | None = Field(description="side of the central part that is scored, in pixels")
    protocol: str
    logit: float
    probability: float
    calibrated: bool
    verdict: str
    grade: str | None
    p_value: float | None
    references: int | None = Field(description="real photos that it is compared with")
    compared_with: str | None
    reason: str | None
    threshold: float | None = Field(description="the logit from which the photo is an alarm")
    fpr: float | None
    decision: Literal["alarm", "no alarm", "cannot say"] | None
    likelihood_ratio: float | None
    prior: float | None
    padded: bool
    deliveries: Deliveries | None


class Answer(BaseModel):
    """What is found of one photo."""

    photo: str = Field(description="its name")
    sentence: str = Field(description="the answer in words")
    agreement: str | None = Field(description="of several detectors")
    combined: dict[str, Any] | None = Field(description="null: no detectors are joined here")
    claims: Claims
    detectors: list[DetectorAnswer]
    unreadable: str | None = Field(description="why the photo could not be read")


class Document(BaseModel):
    """The answers for the photos of a request, in order."""

    genspot: str = Field(description="version")
    schema_version: int = Field(alias="schema", description="version of this form")
    about: list[str] = Field(description="what grades mean, and their limits")
    photos: list[Answer]


class JobDocument(BaseModel):
    """A job."""

    job: str
    status: Literal["waiting", "done", "failed"]
    photos: int
    created: str
    url: str
    error: str | None
    result: Document | None


class ErrorContent(BaseModel):
    """Why a request is refused."""

    status: int
    code: str = Field(description="the reason, for programs")
    message: str = Field(description="what is wrong and what to do, in one line")
    retry_after: int | None = Field(description="seconds")


class ErrorDocument(BaseModel):
    """The one form of all errors."""

    error: ErrorContent


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"]


class Version(BaseModel):
    """What answers."""

    genspot: str
    api: int
    detectors: list[dict[str, Any]]
    limits: dict[str, int | None]
