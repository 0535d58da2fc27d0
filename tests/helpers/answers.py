"""Answers on photos, the form of `genspot.report.answers`."""

from __future__ import annotations

from typing import Any

DIGEST = "3f1c9a5e" * 8


def make_detector_answer(detector: str = "quickstart", **changes: Any) -> dict[str, Any]:
    """Return what a detector with 296 references found in a photo, a moderate grade."""
    answer: dict[str, Any] = {
        "detector": detector,
        "checkpoint": DIGEST,
        "version": "0.9.0",
        "crop": 224,
        "protocol": "none",
        "logit": 2.5,
        "probability": 0.924,
        "calibrated": False,
        "verdict": "looks generated",
        "grade": "moderate evidence",
        "p_value": 10 / 297,
        "references": 296,
        "compared_with": "no traces of JPEG",
        "reason": None,
        "threshold": 3.25,
        "fpr": None,
        "decision": None,
        "likelihood_ratio": None,
        "prior": None,
        "padded": False,
        "deliveries": None,
    }
    assert not changes.keys() - answer.keys(), changes
    return answer | changes


def make_answer(photo: str, *detectors: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the answer on a photo of what detectors found."""
    answer: dict[str, Any] = {
        "photo": photo,
        "sentence": f"The sentence on {photo}.",
        "agreement": None,
        "combined": None,
        "claims": {"claims": [], "notes": []},
        "detectors": list(detectors),
        "unreadable": None,
    }
    assert not changes.keys() - answer.keys(), changes
    return answer | changes


def make_document(*answers: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON document of answers."""
    return {"genspot": "0.9.0", "schema": 1, "about": ["The limits."], "photos": list(answers)}


def make_deliveries(
    *each: tuple[str, float | None, str], word: str = "unstable"
) -> dict[str, Any]:
    """Return deliveries of the form (name, logit, grade; without a logit the reason)."""
    rows = [
        {
            "delivery": name,
            "logit": logit,
            "grade": None if logit is None else text,
            "reason": text if logit is None else None,
        }
        for name, logit, text in each
    ]
    logits = [logit for _, logit, _ in each if logit is not None]
    ends = {"low": min(logits), "high": max(logits)}
    return {"word": word, **ends, "kept": 1, "total": len(logits), "each": rows}
