"""The congestion window and the retransmission timeout, step by step by the RFC's rules."""

import pytest

from visiomedia.sctp.congestion import CongestionWindow, RetransmissionTimeout

PACKET = 1000


def grown(window: CongestionWindow, acknowledged: int = PACKET, **changes: bool) -> int:
    """By how much an acknowledgement lets it grow."""
    before = window.size
    facts = {"is_fully_used": True, "is_advanced": True, "is_all": False} | changes
    window.acknowledge(acknowledged, **facts)
    return window.size - before


@pytest.mark.parametrize(("packet", "size"), [(512, 2048), (1000, 4000), (1132, 4404), (1500, 4404), (9000, 18000)])
def test_initial_window(packet: int, size: int) -> None:
    assert CongestionWindow(packet).size == size


def test_slow_start_grows_by_what_is_acknowledged_and_a_packet_at_most() -> None:
    window = CongestionWindow(PACKET)
    assert grown(window, 300) == 300
    assert grown(window, 5000) == PACKET
    assert grown(window, is_fully_used=False) == 0
    assert grown(window, is_advanced=False) == 0


def test_avoidance_grows_by_a_packet_a_window() -> None:
    window = CongestionWindow(PACKET)
    window.size, window.threshold = 10_000, 8000
    assert [grown(window) for _ in range(20)] == [0] * 9 + [PACKET] + [0] * 10
    window.acknowledge(PACKET, is_fully_used=True, is_advanced=True, is_all=True)
    assert [grown(window) for _ in range(12)] == [0] * 11 + [PACKET]


def test_fast_recovery_halves_once_and_holds_until_its_end() -> None:
    window = CongestionWindow(PACKET)
    window.size = 20_000
    window.begin_recovery(50)
    assert (window.size, window.threshold) == (10_000, 10_000)
    window.begin_recovery(60)
    assert window.size == 10_000
    assert grown(window) == 0
    window.end_recovery(49)
    assert grown(window) == 0
    window.end_recovery(50)
    assert grown(window) == PACKET


def test_a_timeout_leaves_one_packet() -> None:
    window = CongestionWindow(PACKET)
    window.size = 20_000
    window.time_out()
    assert (window.size, window.threshold) == (PACKET, 10_000)
    window.time_out()
    assert window.threshold == 4 * PACKET


def test_idle_time_halves_down_to_four_packets() -> None:
    window = CongestionWindow(PACKET)
    window.size = 20_000
    window.idle(1)
    assert window.size == 10_000
    window.idle(1000)
    assert window.size == 4 * PACKET
    window.time_out()
    window.idle(3)
    assert window.size == PACKET


def test_timeout_follows_round_trips_within_its_bounds() -> None:
    rto = RetransmissionTimeout(0.5, 0.4, 10.0)
    assert rto.seconds == 0.5
    rto.sample(1.0)
    assert rto.seconds == pytest.approx(1.0 + 4 * 0.5)
    rto.sample(2.0)
    # RTTVAR = 3/4 * 0.5 + 1/4 * 1, SRTT = 7/8 * 1 + 1/8 * 2
    assert rto.seconds == pytest.approx(1.125 + 4 * 0.625)
    for _ in range(100):
        rto.sample(0.01)
    assert rto.seconds == 0.4
    for _ in range(10):
        rto.back_off()
    assert rto.seconds == 10.0
    rto.forget_back_off()
    assert rto.seconds == 0.4


def test_back_off_is_forgotten_before_anything_was_measured() -> None:
    rto = RetransmissionTimeout(0.5, 0.4, 10.0)
    rto.back_off()
    assert rto.seconds == 1.0
    rto.forget_back_off()
    assert rto.seconds == 0.5
