from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from genspot.common.claims import GENERATED, Claim, FileClaims
from genspot.report.answers import OF_DETECTOR, is_alarm, make_answers, make_document
from genspot.report.predictions import join_predictions, prediction_table, with_facts
from helpers.predictions import FACTS, GRADED

NONE = pa.table({"path": pa.array([], pa.string()), "reason": pa.array([], pa.string())})
KEYS = ["photo", "sentence", "agreement", "combined", "claims", "detectors", "unreadable"]


def graded(name: str, p_values: list[float | None], fpr: float | None = None) -> pa.Table:
    """Return the predictions of b.png and a.png by a detector with 199 references."""
    scores = GRADED.select(["path", "logit", "padded"])
    grades = {None: "cannot say", 0.005: "strong evidence", 0.03: "moderate evidence"}
    words = [grades.get(value, "no evidence") for value in p_values]
    columns: dict[str, Any] = {
        "grade": words,
        "p_value": pa.array(p_values, pa.float64()),
        "references": [0 if value is None else 199 for value in p_values],
        "compared_with": ["" if value is None else "JPEG" for value in p_values],
        "reason": ["it is too small" if value is None else "" for value in p_values],
        # An alarm up to a false-alarm rate of 1%.
        "threshold": pa.array(
            [None if one is None else -9.0 if one < 0.01 else 9.0 for one in p_values],
            pa.float64(),
        ),
    }
    for key, values in columns.items():
        scores = scores.append_column(key, pa.chunked_array([values]))
    return with_facts(prediction_table(scores), FACTS._replace(detector=name), fpr)


def test_answer_of_one_detector_has_all_keys_and_what_is_not_known_is_null() -> None:
    claim = Claim(GENERATED, "PNG text", "parameters", "a cat")
    claims = [FileClaims("a.png", (claim,), ("EXIF could not be read",))]
    second, first = make_answers(graded("own", [None, 0.03]), claims, NONE, None)
    assert list(first) == list(second) == KEYS
    assert (second["photo"], first["photo"]) == ("b.png", "a.png")
    assert first["claims"] == {
        "claims": [
            {"kind": "generated", "source": "PNG text", "field": "parameters", "value": "a cat"}
        ],
        "notes": ["EXIF could not be read"],
    }
    assert (first["agreement"], first["combined"], first["unreadable"]) == (None, None, None)
    (detector,) = first["detectors"]
    assert list(detector) == [*OF_DETECTOR, "deliveries"]
    assert (detector["grade"], detector["reason"]) == ("cannot say", "it is too small")
    assert (detector["p_value"], detector["compared_with"], detector["decision"]) == (None,) * 3
    assert first["sentence"] == "Cannot say whether this photo was generated: it is too small."
    assert second["sentence"] == (
        "Moderate evidence that this photo was generated: of real photos like it, about 3.0% "
        "score as high."
    )
    json.dumps(make_document([first, second]), allow_nan=False)


def test_document_says_that_probabilities_are_not_calibrated_where_they_are_not() -> None:
    plain = with_facts(prediction_table(GRADED.select(["path", "logit", "padded"])), FACTS)
    answers = make_answers(plain, [], NONE, None)
    words = "The probability is not calibrated"
    assert make_document(answers)["about"][0].startswith(words)
    answers[0]["detectors"][0]["calibrated"] = True  # as with a prior
    assert words not in " ".join(make_document(answers)["about"])


def test_answers_of_several_detectors_say_who_disagrees() -> None:
    tables = [graded("one", [0.4, 0.005]), graded("two", [None, 0.3])]
    first, second = make_answers(join_predictions(tables), [], NONE, None)
    assert [one["detector"] for one in first["detectors"]] == ["one", "two"]
    assert first["sentence"] == (
        "Is this photo generated? one: strong evidence; two: no evidence."
    )
    assert first["agreement"] == (
        "The detectors disagree: one finds evidence of generation, two finds none."
    )
    assert second["agreement"] == "one finds no evidence of generation; two cannot say."
    assert second["sentence"].endswith("This does not show that it is real.")
    assert first["combined"] is None


@pytest.mark.parametrize(
    ("p_values", "fpr", "expected"),
    [
        ([0.005, 0.3], None, {"grade": "strong evidence", "p_value": 0.01, "decision": None}),
        ([0.005, 0.3], 0.01, {"grade": "strong evidence", "p_value": 0.01, "decision": "alarm"}),
        ([0.03, 0.3], 0.02, {"grade": "weak evidence", "p_value": 0.06, "decision": "no alarm"}),
        ([0.9, 0.8], 0.02, {"grade": "no evidence", "p_value": 1.0, "decision": "no alarm"}),
        # 199 references of one of two detectors cannot show less than 2 × 0.005.
        (
            [0.005, 0.3],
            0.005,
            {"grade": "strong evidence", "p_value": 0.01, "decision": "cannot say"},
        ),
    ],
)
def test_combined_false_alarm_rate_is_the_least_times_the_number_of_detectors(
    p_values: list[float], fpr: float | None, expected: dict[str, Any]
) -> None:
    tables = [graded(name, [None, one], fpr) for name, one in zip("ab", p_values, strict=True)]
    first, second = make_answers(join_predictions(tables), [], NONE, None, combine=True)
    assert first["combined"] == expected | {"detectors": 2}
    assert second["combined"] is None  # neither can say anything
    assert is_alarm(first) == (expected["decision"] == "alarm")


def test_alarm_of_any_detector_is_an_alarm_of_the_photo() -> None:
    tables = [graded("one", [0.4, 0.3], 0.01), graded("two", [None, 0.005], 0.01)]
    first, second = make_answers(join_predictions(tables), [], NONE, None)
    assert (is_alarm(first), is_alarm(second)) == (True, False)
    assert first["sentence"].endswith("Alarm at a false-alarm rate of 1% each: two.")
    assert second["sentence"].endswith("Alarm at a false-alarm rate of 1% each: of no detector.")


def test_agreement_of_detectors_without_a_reference_says_what_is_not_known() -> None:
    plain = GRADED.select(["path", "logit", "padded"])
    tables = [
        with_facts(prediction_table(plain), FACTS._replace(detector="one")),
        graded("two", [0.005, 0.3]),
    ]
    for answer in make_answers(join_predictions(tables), [], NONE, None):
        assert answer["agreement"].endswith(
            ". How often one would say this of real photos is not known."
        )


def test_photo_that_cannot_be_read_has_its_reason_and_no_detector() -> None:
    torn = pa.table({"path": ["torn.png"], "reason": ["truncated"]})
    lost = make_answers(graded("own", [None, 0.03]), [], torn, None)[-1]
    assert (lost["photo"], lost["unreadable"], lost["detectors"]) == ("torn.png", "truncated", [])
    assert lost["sentence"] == "This photo could not be scored: truncated."
    some = torn.append_column("detector", pa.array(["two"])).set_column(
        0, "path", pa.array(["b.png"])
    )
    first, _ = make_answers(graded("own", [None, 0.03]), [], some, None)
    assert (first["unreadable"], len(first["detectors"])) == ("two: truncated", 1)


def test_deliveries_are_those_of_the_detector_and_the_photo() -> None:
    delivered = pa.table(
        {
            "path": ["b.png"] * 2 + ["a.png"] * 2,
            "delivery": ["mail", "chat"] * 2,
            "logit": pa.array([2.0, -4.0, None, None]),
            "verdict": pa.array(["looks generated", "no traces found", None, None]),
            "reason": pa.array([None, None, "too small", "too small"]),
            "detector": ["own"] * 4,
        }
    )
    plain = with_facts(prediction_table(GRADED.select(["path", "logit", "padded"])), FACTS)
    first, second = make_answers(plain, [], NONE, delivered)
    found = first["detectors"][0]["deliveries"]
    other = second["detectors"][0]["deliveries"]
    assert [*found] == [*other] == ["word", "low", "high", "kept", "total", "each"]
    assert {key: found[key] for key in ("word", "low", "high", "kept", "total")} == (
        {"word": "unstable", "low": -4.0, "high": 2.0, "kept": 1, "total": 2}
    )
    assert [one["delivery"] for one in found["each"]] == ["mail", "chat"]
    lost = second["detectors"][0]["deliveries"]
    assert (lost["word"], lost["low"], lost["each"][0]["reason"]) == (None, None, "too small")


def test_document_says_its_version_and_the_limits_of_grades() -> None:
    document = make_document(make_answers(graded("own", [None, 0.03]), [], NONE, None))
    assert (document["schema"], len(document["photos"])) == (1, 2)
    assert "No grade says that a photo is real" in document["about"][0]
    plain = with_facts(prediction_table(GRADED.select(["path", "logit", "padded"])), FACTS)
    assert "not calibrated" in make_document(make_answers(plain, [], NONE, None))["about"][0]
