"""The REST API, asked as a client asks it."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

import genspot
from genspot.common.errors import GenspotError
from genspot.server.service import Service
from helpers.server import LIMIT_S, FakeExaminer, client, error_of, listening, make_app

GOOD, BAD = ("good.jpg", b"photo 1", "image/jpeg"), ("bad.jpg", b"text", "image/jpeg")
PNG = {"Content-Type": "image/png"}


def files(*photos: Any) -> Any:
    return [("photo", photo) for photo in photos]


def wait_for(server: TestClient, url: str) -> dict[str, Any]:
    """Return a job once it is not waiting."""
    end = time.monotonic() + LIMIT_S
    while (job := server.get(url).json())["status"] == "waiting":
        assert time.monotonic() < end
        time.sleep(0.01)
    return dict(job)


def test_predict_answers_each_photo_in_order_and_names_the_unreadable() -> None:
    with client() as server:
        photos = files(GOOD, BAD, ("other.jpg", b"photo 2", "image/jpeg"))
        response = server.post("/v1/predict?fpr=0.01&prior=0.2", files=photos)
    assert response.status_code == 200
    document = response.json()
    assert document["genspot"] == genspot.__version__
    found = {one["photo"]: one["unreadable"] for one in document["photos"]}
    assert list(found.items()) == [
        ("good.jpg", None),
        ("bad.jpg", "its content is no image"),
        ("other.jpg", None),
    ]
    (detector,) = document["photos"][0]["detectors"]
    assert (detector["fpr"], detector["prior"]) == (0.01, 0.2)


def test_predict_passes_content_and_settings_on() -> None:
    examiner, content = FakeExaminer(), b"photo" + bytes(range(256))
    with client(examiner) as server:
        server.post("/v1/predict?deliveries=true&name=x.png", content=content, headers=PNG)
        server.post("/v1/predict", content=content, headers=PNG)
    assert examiner.asked == [
        (("x.png", content), True, None, None),
        (("photo", content), False, None, None),
    ]


def test_request_without_a_readable_photo_is_refused_with_the_reasons() -> None:
    with client() as server:
        response = server.post("/v1/predict", files=files(BAD, ("b", b"", "image/png")))
    assert error_of(response) == (422, "unreadable")
    reason = "its content is no image"
    expected = [{"photo": name, "reason": reason} for name in ("bad.jpg", "b")]
    assert response.json()["error"]["photos"] == expected
    assert "bad.jpg: its content is no image" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "query",
    [
        *("fpr=0", "fpr=1", "fpr=nan", "fpr=-1", "fpr=x", "fpr=inf", "prior=0", "prior=1.5"),
        *("deliveries=perhaps", "unknown=1", f"name={'a' * 201}"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/predict", "/v1/report", "/v1/jobs"])
def test_wrong_settings_are_refused_by_name(query: str, path: str) -> None:
    examiner = FakeExaminer()
    with client(examiner) as server:
        response = server.post(f"{path}?{query}", content=b"photo", headers=PNG)
    assert error_of(response) == (422, "invalid")
    assert response.json()["error"]["message"].startswith(query.partition("=")[0])
    assert not examiner.asked


def test_name_beside_a_form_is_refused() -> None:
    with client() as server:
        response = server.post("/v1/predict?name=x", files=files(GOOD))
    assert error_of(response) == (422, "invalid")


def test_settings_that_no_detector_allows_are_refused_before_photos_are_received() -> None:
    def check(fpr: float | None, prior: float | None) -> None:
        if prior is not None:
            raise GenspotError("a prior needs a scaling")

    with client(check=check) as server:
        refused = server.post("/v1/predict?prior=0.1", content=b"", headers=PNG)
        assert error_of(refused) == (422, "refused")
        assert refused.json()["error"]["message"] == "a prior needs a scaling"
        assert server.post("/v1/predict", content=b"photo", headers=PNG).status_code == 200


def test_notes_on_a_prior_are_in_answers_jobs_and_pages_that_have_one() -> None:
    def notes(prior: float) -> list[str]:
        return [f"Notes on {prior}."]

    with client(prior_notes=notes) as server:
        for query, expected in (("?prior=0.25", ["Notes on 0.25."]), ("", [])):
            found = server.post(f"/v1/predict{query}", files=files(GOOD)).json()
            assert [one for one in found["about"] if "Notes" in one] == expected
            url = server.post(f"/v1/jobs{query}", files=files(GOOD)).json()["url"]
            assert wait_for(server, url)["result"]["about"] == found["about"]
            page = server.post(f"/v1/report{query}", files=files(GOOD)).text
            assert ("Notes on 0.25." in page) == bool(expected)


def test_too_large_or_too_many_photos_are_refused_and_the_next_request_is_answered() -> None:
    with client(max_request_bytes=1000, max_photos=2) as server:
        large = server.post("/v1/predict", content=bytes(1001), headers=PNG)
        assert error_of(large) == (413, "too_large")
        many = server.post("/v1/predict", files=files(("a", b""), ("b", b""), ("c", b"")))
        assert error_of(many) == (413, "too_many_photos")
        kind = server.post("/v1/predict", json={"photo": "x"})
        assert error_of(kind) == (415, "unsupported_type")
        assert server.post("/v1/predict", content=b"photo", headers=PNG).status_code == 200


def test_full_queue_and_full_memory_are_refused_with_the_time_to_wait() -> None:
    examiner = FakeExaminer()
    examiner.go.clear()
    limits = {"max_photos": 2, "max_held_bytes": 100, "max_request_bytes": 100}
    with client(examiner, max_queue=2, **limits) as server:
        first = server.post("/v1/jobs", files=files(), content=b"photo" * 10, headers=PNG)
        assert first.status_code == 202
        memory = server.post("/v1/predict", content=b"photo" * 12, headers=PNG)
        assert error_of(memory) == (503, "busy")
        assert server.post("/v1/jobs", content=b"photo", headers=PNG).status_code == 202
        time.sleep(0.1)  # both are in the queue
        queue = server.post("/v1/predict", content=b"photo", headers=PNG)
        assert error_of(queue) == (503, "busy")
        examiner.go.set()
        wait_for(server, first.json()["url"])
        assert server.post("/v1/predict", content=b"photo", headers=PNG).status_code == 200


def test_fault_of_the_server_is_a_plain_error_and_the_next_request_is_answered() -> None:
    examiner = FakeExaminer()
    with client(examiner) as server:
        examiner.error = RuntimeError("secret /path")
        response = server.post("/v1/predict", content=b"photo", headers=PNG)
        assert error_of(response) == (500, "fault")
        assert "secret" not in response.text
        examiner.error = None
        assert server.post("/v1/predict", content=b"photo", headers=PNG).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/jobs/unknown", 404),
        ("DELETE", "/v1/jobs/unknown", 404),
        ("GET", "/v1/predict", 405),
        ("PUT", "/v1/health", 405),
        ("POST", "/", 405),
        ("GET", "/../etc/passwd", 404),
        ("GET", "/page.js/..%2f..%2fapp.py", 404),
    ],
)
def test_other_addresses_and_methods_have_the_same_form_of_errors(
    method: str, path: str, status: int
) -> None:
    with client() as server:
        response = server.request(method, path)
    assert error_of(response)[0] == status
    assert ("allow" in response.headers) == (status == 405)


def test_job_is_answered_like_a_request_and_forgotten_when_it_is_deleted() -> None:
    with client() as server:
        started = server.post("/v1/jobs?fpr=0.05", files=files(GOOD, BAD))
        assert started.status_code == 202
        url = started.json()["url"]
        assert started.headers["location"] == url
        assert len(url.rpartition("/")[2]) >= 20
        job = wait_for(server, url)
        assert (job["status"], job["photos"], job["error"]) == ("done", 2, None)
        same = server.post("/v1/predict?fpr=0.05", files=files(GOOD, BAD)).json()
        assert job["result"] == same
        assert server.delete(url).status_code == 204
        assert error_of(server.get(url)) == (404, "no_job")


def test_report_is_a_page_that_stands_alone() -> None:
    with client() as server:
        response = server.post("/v1/report", files=files(("<b>.jpg", b"photo", "image/jpeg"), BAD))
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert 'filename="genspot.html"' in response.headers["content-disposition"]
    assert "The sentence on &lt;b&gt;.jpg." in response.text
    assert "<b>.jpg" not in response.text


def test_version_names_detectors_and_limits() -> None:
    with client(max_photos=7) as server:
        version = server.get("/v1/version").json()
    assert version["genspot"] == genspot.__version__
    assert version["detectors"][0]["detector"] == "quickstart"
    assert version["limits"]["max_photos"] == 7


def test_metrics_count_requests_and_photos_and_name_neither_photos_nor_addresses() -> None:
    with client() as server:
        server.post("/v1/predict", files=files(GOOD, BAD))
        for _ in range(3):
            server.get("/secret-address")
        server.get("/v1/jobs/secret-job")
        server.request("BREW", "/v1/health")
        text = server.get("/metrics").text
    families = {one.name: one for one in text_string_to_metric_families(text)}
    photos = {one.labels["outcome"]: one.value for one in families["genspot_photos"].samples}
    assert {key: photos[key] for key in ("examined", "unreadable")} == {
        "examined": 1,
        "unreadable": 1,
    }
    requests = {
        (one.labels["route"], one.labels["method"], one.labels["status"]): one.value
        for one in families["genspot_requests"].samples
        if one.name.endswith("_total")
    }
    assert requests == {
        ("/v1/predict", "POST", "200"): 1,
        ("other", "GET", "404"): 3,
        ("/v1/jobs/{job}", "GET", "404"): 1,
        ("/v1/health", "other", "405"): 1,
    }
    assert families["genspot_photos_held"].samples[0].value == 0
    assert families["genspot_bytes_held"].samples[0].value == 0
    assert "secret" not in text
    assert "good.jpg" not in text


def test_client_that_goes_leaves_the_queue() -> None:
    examiner = FakeExaminer()
    examiner.go.clear()
    app = make_app(examiner)
    with listening(app) as address:
        for _ in range(3):
            connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=LIMIT_S)
            connection.request("POST", "/v1/predict", b"photo", PNG)
            time.sleep(0.1)
            connection.close()
        held = 3.0
        end = time.monotonic() + LIMIT_S
        while held:  # the bytes of requests: those that readers hold end with them
            assert time.monotonic() < end, f"{held} bytes are still held"
            families = text_string_to_metric_families(httpx.get(f"{address}/metrics").text)
            held = (
                next(one for one in families if one.name == "genspot_bytes_held").samples[0].value
            )
            time.sleep(0.05)
        examiner.go.set()
        assert httpx.post(f"{address}/v1/predict", content=b"photo", headers=PNG).is_success


def test_requests_of_many_clients_over_sockets_are_all_answered() -> None:
    outcomes: list[tuple[int, str]] = []

    def ask(address: str, number: int) -> None:
        with httpx.Client(timeout=LIMIT_S) as one:
            for round_ in range(5):
                name = f"{number}-{round_}"
                good = (number + round_) % 4 != 0
                content = b"photo" if good else b"hostile"
                url = f"{address}/v1/predict?name={name}"
                response = one.post(url, content=content, headers=PNG)
                expected = 200 if good else 422
                outcomes.append((response.status_code - expected, name))
                assert name in response.text

    with listening(make_app(FakeExaminer())) as address:
        threads = [threading.Thread(target=ask, args=(address, one)) for one in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
    assert len(outcomes) == 40
    assert {difference for difference, _ in outcomes} == {0}


def test_accepted_requests_are_answered_when_the_server_stops_and_jobs_are_counted() -> None:
    examiner, unfinished, answered = FakeExaminer(), [], []
    examiner.go.clear()
    app = make_app(examiner, on_stop=unfinished.append)

    def ask(address: str) -> None:
        answered.append(
            httpx.post(f"{address}/v1/predict", content=b"photo", headers=PNG, timeout=LIMIT_S)
        )

    with listening(app) as address:
        httpx.post(f"{address}/v1/jobs", content=b"photo", headers=PNG)
        thread = threading.Thread(target=ask, args=(address,))
        thread.start()
        time.sleep(0.3)
        threading.Timer(0.3, examiner.go.set).start()
    thread.join(LIMIT_S)
    assert answered[0].status_code == 200
    assert unfinished in ([0], [1])  # the job's photo may be answered before the stop


def test_unfinished_jobs_are_counted_at_the_stop() -> None:
    unfinished: list[int] = []

    async def never(_: Service, __: Any) -> list[Any]:
        await asyncio.sleep(3600)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Service, "_ask", never)
        with client(on_stop=unfinished.append) as server:
            for _ in range(2):
                server.post("/v1/jobs", content=b"photo", headers=PNG)
    assert unfinished == [2]


def test_openapi_describes_what_there_is() -> None:
    app = make_app(FakeExaminer())
    with TestClient(app, base_url="http://127.0.0.1") as server:
        described = server.get("/openapi.json").json()
    assert described["paths"].keys() == {
        *("/v1/predict", "/v1/report", "/v1/jobs", "/v1/jobs/{job}", "/v1/health", "/v1/version"),
        "/metrics",
    }
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert operation["description"], path
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    schema = response["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ErrorDocument"}
    names = {one["name"] for one in described["paths"]["/v1/predict"]["post"]["parameters"]}
    assert names == {"deliveries", "fpr", "prior", "name"}
    assert json.dumps(described).count("http") == json.dumps(described).count('"http"')
