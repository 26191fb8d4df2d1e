"""The cap on handshakes in progress."""

import pytest

from visiomedia.errors import ConfigurationError
from visiomedia.srtp.handshake_limiter import HandshakeLimiter


def test_one_host_cannot_take_every_place() -> None:
    limiter = HandshakeLimiter(capacity=4, per_host=2)
    assert [limiter.acquire("a") for _ in range(3)] == [True, True, False]
    assert limiter.acquire("b")
    assert limiter.refused == 1
    limiter.release("a")
    assert limiter.acquire("a")


def test_all_hosts_together_are_capped() -> None:
    limiter = HandshakeLimiter(capacity=3, per_host=2)
    assert [limiter.acquire(host) for host in "aabbc"] == [True, True, True, False, False]
    assert limiter.in_progress == 3
    limiter.release("b")
    assert limiter.acquire("c")


def test_hosts_leave_nothing_behind() -> None:
    limiter = HandshakeLimiter(capacity=2, per_host=1)
    for number in range(1000):
        host = str(number)
        assert limiter.acquire(host)
        assert not limiter.acquire(host)
        limiter.release(host)
    limiter.acquire("x")
    limiter.acquire("y")
    assert not limiter.acquire("z")
    assert set(limiter._by_host) == {"x", "y"}


@pytest.mark.parametrize("bad", [{"capacity": 0}, {"per_host": 0}])
def test_a_cap_below_one_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        HandshakeLimiter(**bad)
