"""Engines on the simulated network: they meet, lose nothing that is reliable, and repeat themselves to the byte."""

from functools import partial

import pytest

from examples.simulated_transfer import run
from visiomedia.engine import Address
from visiomedia.sctp import Association, MessageReceived
from visiomedia.simulation import Conditions, GilbertElliott, Host, Network, connect
from visiomedia.simulation.network import NothingHappensError

A, B = Address(0, "192.0.2.1", 1), Address(0, "192.0.2.2", 2)
BAD = Conditions(
    delay=0.05, jitter=0.02, loss=GilbertElliott.bursts(0.1, 3), duplicated=0.02, reordered=0.05, rate=5e6, queue=30_000
)


def hosts(network: Network) -> tuple[Host[Association], Host[Association]]:
    a, b = (
        Host(
            network,
            Association(is_client=each is A, remote_maximum_message=0, entropy=network.random(each).randbytes),
            each,
        )
        for each in (A, B)
    )
    return a, b


def transfer(seed: int) -> tuple[list[bytes], float, list[bytes]]:
    """Messages that came, when the last did, and every datagram on its way there."""
    network = Network(seed)
    a, b = hosts(network)
    there, _ = connect(a, b, BAD)
    wire: list[bytes] = []
    usual = there.send
    a.add_link(B, there)

    class Tap:
        def send(self, data: bytes) -> None:
            wire.append(data)
            usual(data)

    a.add_link(B, Tap())  # type: ignore[arg-type]  # all that a host asks of a link
    sender = a.engine
    sender.associate(B, network.now)
    b.engine.associate(A, network.now)
    channel = sender.open_channel("messages", network.now)
    for number in range(50):
        sender.send(channel, number.to_bytes(2, "big") * 2000, network.now)
    a.pump()
    b.pump()

    def messages() -> list[bytes]:
        return [event.data for event in b.events if isinstance(event, MessageReceived)]

    network.run_until(lambda: len(messages()) == 50, 300)
    return messages(), network.now, wire


def test_what_is_reliable_arrives_whole_and_in_order_through_a_bad_network() -> None:
    messages, _, _ = transfer(1)
    assert messages == [number.to_bytes(2, "big") * 2000 for number in range(50)]


def test_the_same_seed_gives_the_same_bytes_at_the_same_time() -> None:
    first, again, other = transfer(5), transfer(5), transfer(6)
    assert first == again
    assert first[2] != other[2]


def test_what_has_nowhere_to_go_is_counted() -> None:
    network = Network()
    a, _ = hosts(network)
    a.engine.associate(B, network.now)
    a.pump()
    network.run(10)
    assert a.unroutable >= 2, "the first INIT, and its repetitions by the engine's timer"


def test_waiting_for_what_never_comes_ends() -> None:
    network = Network()
    with pytest.raises(NothingHappensError, match="3"):
        network.run_until(lambda: False, 3)
    network.call_at(network.now + 5, lambda: None)
    with pytest.raises(NothingHappensError):
        network.run_until(lambda: False, 3)


def _append(to: list[int], number: int) -> None:
    to.append(number)


def test_a_timer_that_was_cancelled_does_nothing() -> None:
    network = Network()
    happened: list[int] = []
    timers = [network.call_at(network.now + number, partial(_append, happened, number)) for number in range(3)]
    timers[1].cancel()
    network.run(1.5)
    assert happened == [0], "what is due later does not come early in its place"
    network.run(5)
    assert happened == [0, 2]


def test_the_example_fills_its_link_whatever_the_link_becomes() -> None:
    seconds = run(1)
    good, narrow, lossy = ([rate for rate, _ in seconds[begin : begin + 15]] for begin in (4, 24, 44))
    assert 8 < sum(good) / 15 < 10
    assert 1.6 < sum(narrow) / 15 < 2
    assert 1 < sum(lossy) / 15 < 10
    assert max(wait for _, wait in seconds[25:40]) < 300, "64 kB take so long at 2 Mbit/s"
    assert run(1) == seconds
