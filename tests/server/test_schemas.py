"""The API's description of its answers is that of the answers themselves."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from genspot.report.answers import OF_DETECTOR
from genspot.server.schemas import Answer, DetectorAnswer, Document
from helpers.answers import make_answer, make_deliveries, make_detector_answer, make_document

DETECTOR = make_detector_answer(
    deliveries=make_deliveries(("whatsapp", 1.5, "no evidence"), ("signal", None, "too small"))
)
ANSWER = make_answer("a.jpg", DETECTOR, agreement="Both say the same.")


def keys(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (Document, make_document(ANSWER)),
        (Answer, ANSWER),
        (DetectorAnswer, DETECTOR),
        (DetectorAnswer, {**dict.fromkeys(OF_DETECTOR), "deliveries": None}),
    ],
)
def test_model_has_the_keys_of_an_answer(model: type[BaseModel], found: dict[str, Any]) -> None:
    assert keys(model) == found.keys()


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER,
        make_answer("a.jpg", unreadable="torn"),
        make_answer(
            "a.jpg",
            make_detector_answer(
                grade=None, p_value=None, references=None, compared_with=None, threshold=None
            ),
            make_detector_answer(
                fpr=0.01, decision="cannot say", prior=0.5, likelihood_ratio=2.0, crop=None
            ),
        ),
    ],
)
def test_model_takes_answers(answer: dict[str, Any]) -> None:
    document = make_document(answer)
    assert Document.model_validate(document).model_dump(by_alias=True)["photos"]
