"""Links in virtual time: what they lose, delay, double, reorder and throttle, and that a seed decides it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.errors import ConfigurationError
from visiomedia.simulation import Bernoulli, Conditions, GilbertElliott, Link, Network

Arrivals = list[tuple[float, bytes]]


def carried(
    conditions: Conditions | None = None,
    *,
    seed: int = 1,
    count: int = 1000,
    gap: float = 0.01,
    size: int = 100,
    script: tuple[tuple[float, Conditions], ...] = (),
) -> tuple[Arrivals, Link]:
    """What came, when, of so many numbered datagrams that were sent a gap apart; times since the beginning."""
    network = Network(seed)
    begin = network.now
    arrivals: Arrivals = []
    link = network.link(lambda data: arrivals.append((network.now - begin, data)), conditions, script=script)
    for number in range(count):
        network.call_at(begin + number * gap, partial(link.send, number.to_bytes(4, "big").ljust(size)))
    network.run(count * gap + 1000)
    assert network.now == pytest.approx(begin + count * gap + 1000)
    return arrivals, link


def numbers(arrivals: Arrivals) -> list[int]:
    return [int.from_bytes(data[:4], "big") for _, data in arrivals]


def test_without_conditions_all_arrives_at_once_and_in_order() -> None:
    arrivals, _ = carried()
    assert numbers(arrivals) == list(range(1000))
    assert [when for when, _ in arrivals] == pytest.approx([number * 0.01 for number in range(1000)])


def test_delay_and_jitter_keep_the_order_and_their_bounds() -> None:
    arrivals, _ = carried(Conditions(delay=0.05, jitter=0.03))
    assert numbers(arrivals) == list(range(1000))
    late = [when - number * 0.01 for number, (when, _) in enumerate(arrivals)]
    assert 0.05 <= min(late) < 0.055
    assert 0.075 < max(late) <= 0.0801
    assert sum(late) / len(late) == pytest.approx(0.068, abs=0.004), "what has to wait for the one before is later"


def test_what_is_reordered_arrives_behind_others() -> None:
    arrivals, link = carried(Conditions(reordered=0.1, reordering_delay=0.025))
    came = numbers(arrivals)
    assert sorted(came) == list(range(1000))
    out_of_order = sum(number < max(came[:place], default=-1) for place, number in enumerate(came))
    assert out_of_order == link.counts.reordered == pytest.approx(100, abs=30)


def test_what_is_doubled_comes_twice() -> None:
    arrivals, link = carried(Conditions(duplicated=0.2))
    assert set(numbers(arrivals)) == set(range(1000))
    assert len(arrivals) == 1000 + link.counts.duplicated
    assert link.counts.duplicated == pytest.approx(200, abs=40)


def test_independent_loss_has_its_share_and_no_memory() -> None:
    arrivals, link = carried(Conditions(loss=Bernoulli(0.2)), count=5000)
    assert link.counts.lost == 5000 - len(arrivals) == pytest.approx(1000, abs=120)
    lost = sorted(set(range(5000)) - set(numbers(arrivals)))
    after_a_loss = sum(number + 1 in set(lost) for number in lost)
    assert after_a_loss / len(lost) == pytest.approx(0.2, abs=0.05)


def test_loss_in_bursts_has_its_share_and_its_length() -> None:
    arrivals, _ = carried(Conditions(loss=GilbertElliott.bursts(0.1, 4)), count=20_000)
    lost = sorted(set(range(20_000)) - set(numbers(arrivals)))
    assert len(lost) / 20_000 == pytest.approx(0.1, abs=0.02)
    bursts = sum(number - 1 not in set(lost) for number in lost)
    assert len(lost) / bursts == pytest.approx(4, abs=0.6)


def test_a_rate_spaces_datagrams_and_its_queue_loses_what_is_too_much() -> None:
    # 100 bytes and 28 of headers, at 128 a ms.
    burst, link = carried(Conditions(rate=1_024_000, queue=1280), gap=0.0, count=30)
    assert numbers(burst) == list(range(10))
    assert [when for when, _ in burst] == pytest.approx([0.001 * number for number in range(1, 11)])
    assert link.counts.overflowed == 20
    steady, link = carried(Conditions(rate=1_024_000, queue=1280), gap=0.0012)
    assert (len(steady), link.counts.overflowed) == (1000, 0)
    too_fast, _ = carried(Conditions(rate=1_024_000, queue=1280), gap=0.0005, count=4000)
    assert len(too_fast) == pytest.approx(2000, abs=15), "half is twice too much"
    assert max(when - number * 0.0005 for number, (when, _) in zip(numbers(too_fast), too_fast, strict=True)) < 0.0105


def test_a_large_datagram_passes_an_empty_queue_that_is_smaller() -> None:
    arrivals, _ = carried(Conditions(rate=8000, queue=0), count=1, size=1000)
    assert arrivals[0][0] == pytest.approx(1.028)


def test_a_script_changes_conditions_when_it_says() -> None:
    script = ((2.0, Conditions(loss=Bernoulli(1.0))), (4.0, Conditions(delay=0.5)))
    arrivals, _ = carried(Conditions(), script=script, gap=0.01)
    assert numbers(arrivals) == [*range(201), *range(401, 1000)] or numbers(arrivals) == [
        *range(200),
        *range(400, 1000),
    ]
    assert [when for when, _ in arrivals][-1] == pytest.approx(9.99 + 0.5)


CONDITIONS = Conditions(
    delay=0.03,
    jitter=0.02,
    loss=GilbertElliott.bursts(0.1, 3),
    duplicated=0.05,
    reordered=0.1,
    rate=300_000,
    queue=3000,
)


def test_a_seed_decides_every_byte_and_every_ns() -> None:
    assert carried(CONDITIONS, seed=7)[0] == carried(CONDITIONS, seed=7)[0]
    assert carried(CONDITIONS, seed=7)[0] != carried(CONDITIONS, seed=8)[0]


def test_what_one_link_carries_changes_nothing_on_another() -> None:
    def second(busy: bool) -> Arrivals:
        network = Network(3)
        arrivals: Arrivals = []
        first = network.link(lambda _: None, CONDITIONS)
        link = network.link(lambda data: arrivals.append((network.now, data)), CONDITIONS)
        for number in range(500):
            network.call_at(network.now + number * 0.01, partial(link.send, bytes([number % 256])))
            if busy:
                network.call_at(network.now + number * 0.007, lambda: first.send(b"beside"))
        network.run(60)
        return arrivals

    assert second(busy=True) == second(busy=False)


@given(
    delay=st.floats(0, 1),
    jitter=st.floats(0, 1),
    loss=st.floats(0, 1),
    duplicated=st.floats(0, 1),
    reordered=st.floats(0, 1),
    rate=st.none() | st.floats(1000, 1e9),
    seed=st.integers(0, 1 << 32),
)
def test_every_datagram_is_accounted_for(seed: int, loss: float, **conditions: Any) -> None:
    arrivals, link = carried(Conditions(loss=Bernoulli(loss), **conditions), seed=seed, count=100)
    counts = link.counts
    assert counts.sent + counts.duplicated == counts.lost + counts.overflowed + counts.delivered
    assert counts.delivered == len(arrivals)
    assert counts.delivered_bytes == 100 * len(arrivals)
    assert [when for when, _ in arrivals] == sorted(when for when, _ in arrivals)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Bernoulli(1.5), "share"),
        (lambda: GilbertElliott(0.5, -1), "to_good"),
        (lambda: GilbertElliott.bursts(0.1, 0.5), "length"),
        (lambda: Conditions(duplicated=2), "duplicated"),
        (lambda: Conditions(delay=-0.1), "delay"),
        (lambda: Conditions(rate=0), "rate"),
    ],
)
def test_conditions_that_make_no_sense_are_named(make: Callable[[], object], name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        make()
