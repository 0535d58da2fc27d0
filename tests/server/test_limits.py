"""Limits on what clients send."""

from __future__ import annotations

import pytest

from genspot.server.errors import RequestError
from genspot.server.limits import MAX_CLIENTS, HeldBytes, RateLimiter, client_of


class Clock:
    """Seconds that tests set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_rate_limiter_lets_a_minutes_requests_through_and_then_one_per_share_of_it() -> None:
    clock = Clock()
    rate = RateLimiter(6, clock)
    assert [rate.seconds_to_wait("10.0.0.1") for _ in range(8)] == [0] * 6 + [10, 10]
    clock.now += 9.9
    assert rate.seconds_to_wait("10.0.0.1") == 1
    clock.now += 0.2
    assert [rate.seconds_to_wait("10.0.0.1") for _ in range(2)] == [0, 10]


def test_rate_limiter_saves_no_more_than_a_minutes_requests() -> None:
    clock = Clock()
    rate = RateLimiter(3, clock)
    assert not rate.seconds_to_wait("10.0.0.1")
    clock.now += 86_400
    assert [rate.seconds_to_wait("10.0.0.1") > 0 for _ in range(4)] == [False] * 3 + [True]


def test_rate_limiter_counts_each_client_alone_and_remembers_a_bounded_number() -> None:
    rate = RateLimiter(1, Clock())
    clients = [f"10.{i // 65536}.{i // 256 % 256}.{i % 256}" for i in range(MAX_CLIENTS + 1)]
    assert not any(map(rate.seconds_to_wait, clients))
    assert rate.seconds_to_wait(clients[-1])
    assert not rate.seconds_to_wait(clients[0])  # forgotten, as the one unseen for longest


def test_rate_limiter_without_a_rate_refuses_nothing() -> None:
    rate = RateLimiter(None)
    assert not any(rate.seconds_to_wait("10.0.0.1") for _ in range(10_000))


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
    ],
)
def test_client_is_an_address_or_an_ipv6_network(address: str, client: str) -> None:
    assert client_of(address) == client


def test_held_bytes_are_bounded_and_come_back_after_an_error() -> None:
    held = HeldBytes(100)
    with held.reserve(60):
        with held.reserve(40):
            assert held.held == 100
        with pytest.raises(RequestError, match="no room") as error, held.reserve(41):
            pass
        assert (error.value.status, error.value.retry_after) == (503, 2)
        assert held.held == 60
    with pytest.raises(KeyError), held.reserve(100):
        raise KeyError
    assert held.held == 0
