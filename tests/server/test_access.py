"""Who may ask what."""

from __future__ import annotations

import pytest

from helpers.server import HOST, client, error_of

TOKEN = "a-token-of-the-tests"
PHOTO = {"content": b"photo", "headers": {"Content-Type": "image/png"}}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8000",
        "127.0.0.1",
        "localhost:9",
        "LOCALHOST",
        "localhost.",
        "[::1]:8000",
        "192.0.2.7:80",
        "photos.example.org",
        "Photos.Example.org:443",
    ],
)
def test_names_of_the_server_are_answered(host: str) -> None:
    with client(hosts=["photos.example.org"]) as server:
        assert server.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example:127.0.0.1",
        "xphotos.example.org",
        "photos.example.org.evil.example",
        "2130706433",  # 127.0.0.1 as one number
        "0x7f.1",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/v1/health", "/v1/predict", "/docs", "/metrics"])
def test_other_names_are_refused_whatever_is_asked(host: str, path: str) -> None:
    with client(hosts=["photos.example.org"]) as server:
        assert error_of(server.get(path, headers={"Host": host})) == (403, "unknown_host")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},  # another page of this machine
        {"Origin": f"http://{HOST}.evil.example"},
        {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/predict"), ("DELETE", "/v1/jobs/x")])
def test_pages_of_other_sites_cannot_send(headers: dict[str, str], method: str, path: str) -> None:
    with client() as server:
        response = server.request(method, path, content=b"photo", headers=headers)
        assert error_of(response) == (403, "other_origin")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_the_own_page_and_programs_can_send(headers: dict[str, str]) -> None:
    with client() as server:
        own = {"Content-Type": "image/png", **headers}
        assert server.post("/v1/predict", content=b"photo", headers=own).status_code == 200


def test_no_response_lets_other_sites_read_it() -> None:
    with client() as server:
        response = server.get("/v1/version", headers={"Origin": "https://evil.example"})
        assert not [name for name in response.headers if name.startswith("access-control-")]
        assert response.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer",
        "Bearer \xe4",
        f"Bearer {TOKEN.upper()}",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/predict"),
        ("POST", "/v1/report"),
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs/x"),
        ("DELETE", "/v1/jobs/x"),
        ("GET", "/v1/version"),
        ("GET", "/metrics"),
        ("GET", "/v1/unknown"),
    ],
)
def test_api_refuses_a_wrong_token(authorization: str | None, method: str, path: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    with client(token=TOKEN) as server:
        response = server.request(method, path, headers=headers)
        assert error_of(response) == (401, "token")
        assert response.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in response.text


def test_api_takes_the_token_and_the_page_and_health_need_none() -> None:
    with client(token=TOKEN) as server:
        for path in ("/", "/page.js", "/page.css", "/docs", "/openapi.json", "/v1/health"):
            response = server.get(path)
            assert response.status_code == 200
            assert TOKEN not in response.text
        for scheme in ("Bearer", "bearer"):
            own = {"Authorization": f"{scheme} {TOKEN}"}
            assert server.get("/v1/version", headers=own).status_code == 200
            assert server.get("/metrics", headers=own).status_code == 200


def test_rate_counts_tries_of_the_token_and_not_the_health() -> None:
    with client(token=TOKEN, requests_per_minute=3) as server:
        found = [error_of(server.get("/v1/version")) for _ in range(4)]
        assert found == [(401, "token")] * 3 + [(429, "too_many_requests")]
        own = {"Authorization": f"Bearer {TOKEN}"}
        limited = server.get("/metrics", headers=own)
        assert error_of(limited) == (429, "too_many_requests")
        assert limited.headers["retry-after"] == "20"
        assert server.get("/v1/health").status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/nowhere"])
def test_rate_counts_what_needs_no_token(path: str) -> None:
    with client(requests_per_minute=1) as server:
        server.get(path)
        assert error_of(server.get(path)) == (429, "too_many_requests")


@pytest.mark.parametrize("path", ["/", "/v1/health", "/nowhere", "/v1/predict", "/page.js"])
def test_every_response_has_the_headers_of_security(path: str) -> None:
    with client() as server:
        headers = server.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers
