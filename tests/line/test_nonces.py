"""A GCM nonce is never used twice: whatever arrives, is lost, is asked for again or is subscribed to again."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visiomedia.line import Capacities
from visiomedia.routing.router import Subscription
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.rtcp import Nack, PictureLoss, RtcpPacket
from visiomedia.simulation.line import RTX, SMALL, Endpoint, VirtualLine

TINY = Capacities(**{**vars(SMALL), "history_mb": 1})
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("frame"), st.integers(0, 2), st.integers(1, 5), st.integers(0, 31)),
        st.tuples(st.just("jump"), st.integers(0, 2), st.sampled_from([1, 300, 3000, 20_000])),
        st.tuples(st.just("late"), st.integers(0, 400)),
        st.tuples(st.just("repair"), st.integers(0, 400)),
        st.tuples(st.just("nack"), st.integers(0, 1), st.integers(0, 2100), st.integers(1, 20)),
        st.tuples(st.just("pli"), st.integers(0, 1)),
        st.tuples(st.just("subscribe"), st.integers(0, 1)),
        st.tuples(st.just("republish"), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.sampled_from([1, 10, 50, 500, 2500])),
    ),
    min_size=10,
    max_size=80,
)


class Hostile:
    """A publisher of two layers and a voice, two watchers, and any order of events."""

    def __init__(self) -> None:
        self.line = VirtualLine(TINY)
        self.publisher = self.line.endpoint()
        self.watchers = [self.line.endpoint(), self.line.endpoint()]
        self.streams = [*self.publisher.publish(layers=2), *self.publisher.publish(is_audio=True)]
        self.repairs = {stream.ssrc: self.publisher.stream() for stream in self.streams[:2]}
        for layer in range(2):
            self.bind_repair(layer)
        self.subscriptions: dict[Endpoint, list[Subscription]] = {watcher: [] for watcher in self.watchers}
        for watcher in range(len(self.watchers)):
            self.subscribe(watcher)
        self.clear: list[RtpPacket] = []
        self.sealed: list[bytes] = []
        self.line.turn()

    def bind_repair(self, layer: int) -> None:
        stream = self.streams[layer]
        assert stream.track is not None
        repair = self.repairs[stream.ssrc]
        repair.payload_type = RTX
        self.line.router.add_repair_source(stream.track, repair.ssrc, stream.track.sources[layer])

    def frame(self, number: int, packets: int, fate: int) -> None:
        """Bit i of ``fate``: packet i is lost on its way, or comes late, or never."""
        stream = self.streams[number]
        for i, sealed in enumerate(stream.frame(b"%d" % number, key=fate % 3 == 0, packets=packets)):
            self.sealed.append(sealed)
            if not fate >> i & 1:
                self.publisher.arrive(sealed)
        for i in range(packets):
            sequence_number = (stream.sequence_number - packets + i) & 0xFFFF
            self.clear.append(RtpPacket(stream.payload_type, sequence_number, 0, stream.ssrc, b"\x10\x00again"))
        self.line.turn()

    def jump(self, number: int, packets: int) -> None:
        self.streams[number].sequence_number = (self.streams[number].sequence_number + packets) & 0xFFFF

    def late(self, back: int) -> None:
        if self.sealed:
            self.publisher.arrive(self.sealed[-1 - back % len(self.sealed)])

    def send_again(self, back: int) -> None:
        """A retransmission, of other bytes than the first time: only a hostile publisher does that."""
        if self.clear:
            packet = self.clear[-1 - back % len(self.clear)]
            repair = self.repairs.get(packet.ssrc)
            if repair is not None:
                repair.send(packet.sequence_number.to_bytes(2, "big") + packet.payload)

    def feedback(self, number: int, make: type[Nack] | type[PictureLoss], back: int = 0, count: int = 0) -> None:
        watcher = self.watchers[number]
        for subscription in self.subscriptions[watcher]:
            highest = int(self.line.subscription_row(subscription).highest)
            numbers = tuple((highest - back + i) & 0xFFFF for i in range(count))
            ssrc = subscription.ssrc
            packet: RtcpPacket = Nack(1, ssrc, numbers) if make is Nack else PictureLoss(1, ssrc)
            watcher.send_rtcp(packet)
        self.line.turn()

    def subscribe(self, number: int) -> None:
        watcher = self.watchers[number]
        for subscription in self.subscriptions[watcher]:
            self.line.router.unsubscribe(subscription)
        self.subscriptions[watcher] = [watcher.subscribe(self.streams[0]), watcher.subscribe(self.streams[2])]

    def wait(self, milliseconds: int) -> None:
        self.line.network.run(milliseconds / 1000)
        self.line.turn()

    def republish(self, number: int) -> None:
        """The layer's SSRC is bound anew, as after a goodbye: its index starts over as far as the line can tell."""
        stream = self.streams[number]
        assert stream.track is not None
        self.line.router.add_source(stream.track, stream.ssrc, 1 if number == 1 else 0)
        if number < 2:
            self.bind_repair(number)
        self.line.turn()


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_no_nonce_is_used_twice_whatever_happens(steps: list[tuple[str, *tuple[int, ...]]]) -> None:
    hostile = Hostile()
    for name, *arguments in steps:
        match name:
            case "frame":
                hostile.frame(*arguments)
            case "jump":
                hostile.jump(*arguments)
            case "late":
                hostile.late(*arguments)
            case "repair":
                hostile.send_again(*arguments)
            case "nack":
                hostile.feedback(arguments[0], Nack, *arguments[1:])
            case "pli":
                hostile.feedback(arguments[0], PictureLoss)
            case "subscribe":
                hostile.subscribe(*arguments)
            case "republish":
                hostile.republish(*arguments)
            case "wait":
                hostile.wait(*arguments)
    hostile.line.turn()
    used_twice = [nonce for nonce, times in hostile.line.sealed.items() if times > 1]
    assert used_twice == []
