"""Who may ask what: names of the server, origins of pages, the token, requests a minute."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers

from genspot.server.errors import RequestError
from genspot.server.limits import RateLimiter

API = "/v1/"
OPEN = ("/v1/health",)  # without a token: orchestrators have none
METRICS = "/metrics"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Nothing from elsewhere, no script or style within the page, no page around it. Pictures of a
# result are data: URIs; the page's own copy of a photo and its saved file are blob: URIs.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class AccessRules:
    """The rules that each request must keep.

    Args:
        token: that the API needs; None where it needs none.
        hosts: names of the server, beside localhost and IP addresses.
        rate: counts the requests.
    """

    def __init__(self, token: str | None, hosts: Collection[str], rate: RateLimiter) -> None:
        self.digest = _digest(token.encode()) if token else None
        self.hosts = {name.lower().rstrip(".") for name in hosts}
        self.rate = rate

    def check(self, method: str, path: str, headers: Headers, address: str) -> None:
        """Check a request before its body is read.

        Raises:
            RequestError: it breaks a rule.
        """
        self._check_host(headers)
        _check_origin(method, headers)
        if path not in OPEN:
            self._check_rate(address)
            if path.startswith(API) or path == METRICS:
                self._check_token(headers)

    def _check_host(self, headers: Headers) -> None:
        """Refuse a name that is not the server's.

        A page elsewhere whose name is made to lead here (DNS rebinding) sends its own name. An IP
        address cannot be made to lead elsewhere.
        """
        host = headers.get("host", "")
        name = _host_name(host)
        if name == "localhost" or name in self.hosts or _is_address(name):
            return
        raise RequestError(
            403,
            "unknown_host",
            f"Host: {host[:200]} is no name of this server: ask it by its IP address, or start "
            "it with task.hosts=[NAME]",
        )

    def _check_rate(self, address: str) -> None:
        if seconds := self.rate.seconds_to_wait(address):
            raise RequestError(
                429,
                "too_many_requests",
                f"more than {self.rate.per_minute} requests a minute (task.requests_per_minute): "
                f"try again in {seconds} s",
                seconds,
            )

    def _check_token(self, headers: Headers) -> None:
        if self.digest is None:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Digests have one length, so that the time of the comparison says nothing of the token.
        same = hmac.compare_digest(_digest(given.strip().encode("latin-1")), self.digest)
        if scheme.lower() != "bearer" or not same:
            raise RequestError(
                401,
                "token",
                "the token is missing or wrong: send Authorization: Bearer TOKEN; the server "
                "printed it when it started, unless one was given to it",
            )


def _check_origin(method: str, headers: Headers) -> None:
    """Refuse what a page of another site sends, which a browser marks; other programs do not."""
    if method in SAFE_METHODS:
        return
    origin = headers.get("origin")
    same = origin is None or origin.partition("://")[2] == headers.get("host", "")
    if not same or headers.get("sec-fetch-site", "") in ("cross-site", "same-site"):
        raise RequestError(
            403, "other_origin", "a page of another site sent this: use the page of this server"
        )


def _host_name(host: str) -> str:
    """Return the name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
