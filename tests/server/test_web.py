"""The web page, without a browser."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from helpers.server import FakeExaminer, client, make_app

# Addresses in links and in what a page loads; the example commands of /docs are neither.
REFERENCE = re.compile(r"""(?:src|href|action|data|poster)\s*=\s*["']?([^"'\s>]+)""")


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_page_loads_nothing_from_elsewhere_and_has_no_inline_script_or_style(path: str) -> None:
    with client() as server:
        page = server.get(path).text
    assert all(re.match(r"/(?!/)|#|data:,$", one) for one in REFERENCE.findall(page))
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", page)


def test_style_sheet_and_script_load_nothing_from_elsewhere() -> None:
    with client() as server:
        styles, script = server.get("/page.css"), server.get("/page.js")
    assert styles.headers["content-type"].startswith("text/css")
    assert script.headers["content-type"].startswith("text/javascript")
    assert not re.search(r"@import|url\(", styles.text)
    assert not re.search(r"https?://|innerHTML|\beval\(|document\.write", script.text)


def test_page_has_a_name_for_each_control_and_the_limits_for_the_script() -> None:
    with client(max_photos=5, max_request_bytes=7_000_000, token="x" * 16) as server:
        page = server.get("/").text
    controls = set(re.findall(r'<input id="(\w+)"', page))
    assert controls == {"photos", "deliveries", "token"}
    assert controls == set(re.findall(r'<label for="(\w+)"', page))
    assert 'data-max-photos="5" data-max-bytes="7000000" data-needs-token="yes"' in page
    assert "Up to 5 photos, 7 MB" in page


def test_page_escapes_names_of_detectors() -> None:
    detectors = [{"detector": "<img src=x>", "checkpoint": "ab" * 32}]
    page = make_app(FakeExaminer(), detectors=detectors)
    with TestClient(page, base_url="http://127.0.0.1") as server:
        text = server.get("/").text
    assert "&lt;img src=x&gt;" in text
    assert "<img" not in text


def test_docs_describe_every_operation_and_form() -> None:
    with client() as server:
        page = server.get("/docs").text
        described = server.get("/openapi.json").json()
    for path, operations in described["paths"].items():
        for method in operations:
            assert f'aria-label="{method.upper()} {path}"' in page
    anchors = set(re.findall(r'id="(\w+)"', page))
    assert set(described["components"]["schemas"]) <= anchors
    assert set(re.findall(r'href="#(\w+)"', page)) <= anchors
    assert "http://127.0.0.1:8000/v1/predict" in page
