"""Claims in a C2PA manifest, by the package c2pa-python (extra `c2pa`).

Nothing is fetched: a manifest elsewhere, the state of a certificate and identities are left alone.
The signature is checked against the bytes of the file. Who signed is not checked against a list of
trusted signers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, BinaryIO

from genspot.common import claims
from genspot.common.claims import Claim
from genspot.common.extras import missing_extra
from genspot.data.claims import terms
from genspot.data.claims.fields import clean

SOURCE = "C2PA"
MAX_REPORT = 2**24  # characters of what the package says of a file
MAX_ACTIONS = 20

# No network, and no trust in names that nobody has checked.
SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": False},
    "core": {"decode_identity_assertions": False, "allowed_network_hosts": []},
}


def credential_claims(file: BinaryIO, image_format: str) -> Iterator[Claim]:
    """Yield the claims of the C2PA manifest of a file.

    Args:
        file: the whole file, of which the presence of a manifest is known.
        image_format: JPEG, PNG, WEBP, AVIF or TIFF.

    Raises:
        GenspotError: the package is not installed; one claim says that a manifest is there.
        Exception: whatever the package raises for a manifest that it cannot read.
    """
    try:
        context = _context()
    except ImportError:
        yield Claim(claims.CREDENTIALS, SOURCE, "manifest", "present, not read")
        raise missing_extra("reading it", "c2pa-python", "c2pa") from None
    from c2pa import Reader

    file.seek(0)
    with Reader(f"image/{image_format.lower()}", file, context=context) as reader:
        text = reader.json()
    if len(text) > MAX_REPORT:
        raise ValueError(f"the manifest has more than {MAX_REPORT} characters")
    yield from manifest_claims(json.loads(text))


@cache
def _context() -> Any:
    from c2pa import Context

    return Context.from_dict(SETTINGS)


def manifest_claims(report: dict[str, Any]) -> Iterator[Claim]:
    """Yield the claims of the active manifest in a report of c2pa-python, made of JSON."""
    manifest = report["manifests"][report["active_manifest"]]
    yield Claim(claims.CREDENTIALS, SOURCE, "signature", _signature(report))
    signer = manifest.get("signature_info") or {}
    names = [signer[key] for key in ("issuer", "common_name") if signer.get(key)]
    who = " / ".join(map(clean, names)) or "not named"
    yield Claim(claims.CREDENTIALS, SOURCE, "signer", f"{who} (a name that nobody checked)")
    if signer.get("time"):
        yield Claim(claims.CREDENTIALS, SOURCE, "time", clean(signer["time"]))
    if program := _program(manifest):
        yield Claim(terms.program_kind(program), SOURCE, "claim generator", program)
    for action in _actions(manifest)[:MAX_ACTIONS]:
        yield _action_claim(action)


def _signature(report: dict[str, Any]) -> str:
    """Return in words whether the file is as it was signed."""
    if report.get("validation_state") in ("Valid", "Trusted"):
        return "valid: the file is as it was signed"
    active = (report.get("validation_results") or {}).get("activeManifest") or {}
    codes = sorted({str(one.get("code")) for one in active.get("failure", [])})
    return clean(f"invalid: the file or its manifest was changed ({', '.join(codes)})")


def _program(manifest: dict[str, Any]) -> str:
    """Return the program that wrote a manifest."""
    for one in manifest.get("claim_generator_info") or []:
        return clean(f"{one.get('name', '')} {one.get('version', '')}")
    return clean(manifest.get("claim_generator") or "")


def _actions(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the actions that a manifest lists."""
    return [
        action
        for one in manifest.get("assertions") or []
        if str(one.get("label")).startswith("c2pa.actions")
        for action in one["data"]["actions"]
    ]


def _action_claim(action: dict[str, Any]) -> Claim:
    agent = action.get("softwareAgent") or ""
    agent = agent.get("name", "") if isinstance(agent, dict) else agent
    term = str(action.get("digitalSourceType") or "")
    parts = [str(action.get("action")), f"by {agent}" if agent else "", term.rpartition("/")[2]]
    kind = terms.source_type_kind(term)
    if kind == claims.OTHER:
        kind = terms.program_kind(str(agent))
    return Claim(kind, SOURCE, "action", clean(", ".join(part for part in parts if part)))
