from __future__ import annotations

import socket
import sys
from io import BytesIO
from pathlib import Path

import pytest

from genspot.common import claims
from genspot.data.claims import credentials
from genspot.data.claims.credentials import credential_claims, manifest_claims
from genspot.data.claims.read import read_claims
from helpers.claims import save, sign
from helpers.image_bytes import build_png

FORMATS = ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"]
MANIFEST = {"claim_generator": "some program", "signature_info": None}
REPORT = {"active_manifest": "a", "manifests": {"a": MANIFEST}, "validation_state": "Invalid"}


@pytest.mark.parametrize("kind", FORMATS)
def test_read_claims_of_a_signed_file_has_signer_program_and_actions(
    kind: str, tmp_path: Path
) -> None:
    pytest.importorskip("c2pa")
    path = tmp_path / "signed"
    path.write_bytes(sign(save(kind), kind))
    found = read_claims(str(path), 10)
    assert found.notes == ()
    values = {claim.field: (claim.kind, claim.value) for claim in found.claims}
    assert values["signature"] == (claims.CREDENTIALS, "valid: the file is as it was signed")
    assert values["signer"][1].startswith("Test Press / signer (a name that nobody checked")
    assert values["claim generator"] == (claims.OTHER, "Test Program 1.0")
    action = "c2pa.created, by Paintbot, trainedAlgorithmicMedia"
    assert values["action"] == (claims.GENERATED, action)
    assert found.claims[0].kind == claims.GENERATED


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_read_claims_of_a_file_changed_after_it_was_signed_is_invalid(
    kind: str, tmp_path: Path
) -> None:
    pytest.importorskip("c2pa")
    content = bytearray(sign(save(kind), kind))
    content[-40] ^= 1
    (tmp_path / "changed").write_bytes(content)
    found = read_claims(str(tmp_path / "changed"), 10)
    (signature,) = (claim.value for claim in found.claims if claim.field == "signature")
    assert signature.startswith("invalid: ") and "assertion.dataHash.mismatch" in signature


def test_read_claims_without_the_package_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    credentials._context.cache_clear()
    (tmp_path / "image").write_bytes(build_png([(b"caBX", b""), (b"IEND", b"")]))
    found = read_claims(str(tmp_path / "image"), 10)
    (claim,) = found.claims
    assert (claim.kind, claim.value) == (claims.CREDENTIALS, "present, not read")
    (note,) = found.notes
    assert "pip install 'genspot[c2pa]'" in note and "make c2pa" in note


def test_manifest_claims_of_a_sparse_report_names_what_is_there() -> None:
    found = {claim.field: claim.value for claim in manifest_claims(REPORT)}
    assert found["signer"].startswith("not named")
    assert found["signature"].startswith("invalid")
    assert found["claim generator"] == "some program"


def test_manifest_claims_names_a_camera_and_limits_the_actions() -> None:
    action = {"action": "c2pa.created", "digitalSourceType": "x/digitalCapture"}
    edits = [action] + [{"action": "c2pa.edited", "softwareAgent": "Adobe Firefly"}] * 50
    assertion = {"label": "c2pa.actions.v2", "data": {"actions": edits}}
    report = REPORT | {"manifests": {"a": MANIFEST | {"assertions": [assertion]}}}
    found = [claim for claim in manifest_claims(report) if claim.field == "action"]
    assert len(found) == credentials.MAX_ACTIONS
    assert (found[0].kind, found[0].value) == (claims.CAMERA, "c2pa.created, digitalCapture")
    assert (found[1].kind, found[1].value) == (
        claims.GENERATED,
        "c2pa.edited, by Adobe Firefly",
    )


def test_read_claims_of_a_manifest_elsewhere_names_it_and_fetches_nothing(tmp_path: Path) -> None:
    pytest.importorskip("c2pa")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.c2pa"
        content = sign(save("JPEG"), "JPEG", address)
        (tmp_path / "image").write_bytes(content)
        (found,) = read_claims(str(tmp_path / "image"), 10).claims
        assert (found.kind, found.value) == (claims.CREDENTIALS, address)
        with pytest.raises(Exception, match="must fetch remote manifests"):
            list(credential_claims(BytesIO(content), "JPEG"))
        with pytest.raises(BlockingIOError):  # nobody has asked the server
            server.accept()
