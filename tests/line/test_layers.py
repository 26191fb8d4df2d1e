"""Simulcast: which layer a subscription gets, when it moves, and that a decoder notices nothing but the picture."""

from visiomedia.routing.router import Subscription
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.rtcp import Nack, PictureLoss
from visiomedia.simulation.line import KEY_FRAME, MS, Endpoint, VirtualLine, sequence_numbers

FRAME_MS = 30
RTT_MS = 100
"""From a request to the first packet that answers it."""


class Camera:
    """A publisher of several layers, as a browser is one: it answers requests for key frames after a round trip."""

    def __init__(self, layers: int = 3) -> None:
        self.line = VirtualLine(seed=layers)
        self.publisher = self.line.endpoint()
        self.layers = self.publisher.publish(layers=layers)
        self.running: set[int] = set(range(layers))
        self.reports = False
        self._frames = 0
        self._due: dict[int, int] = {}
        self.line.turn()

    def watch(self) -> tuple[Endpoint, Subscription]:
        receiver = self.line.endpoint()
        return receiver, receiver.subscribe(self.layers[0])

    def key_frame_comes_next(self, layer: int) -> None:
        """Unasked."""
        self._due[layer] = 0

    def run(self, seconds: float) -> None:
        self.line.pass_time(seconds, self._step)

    def _step(self) -> None:
        ms = self.line.now // MS
        if ms % 1000 == 0 and self.reports:
            for layer in self.running:
                self.publisher.send_rtcp(self.layers[layer].report())
        for number, stream in enumerate(self.layers):
            if number in self.running and stream.is_key_frame_due():
                self._due.setdefault(number, ms + (RTT_MS if stream.packets else 0))
        if ms % FRAME_MS == 0:
            self._frames += 1
            for number in sorted(self.running):
                self._film(number, ms)

    def _film(self, number: int, ms: int) -> None:
        stream = self.layers[number]
        is_key = ms >= self._due.get(number, ms + 1)
        if is_key:
            del self._due[number]
        packets = stream.frame(b"%d-%d-" % (number, self._frames), key=is_key, packets=number + 2)
        for packet in packets:
            self.publisher.arrive(packet)

    def shown(self, receiver: Endpoint, subscription: Subscription) -> list[int]:
        """The layer of each packet that came."""
        return [layer_of(packet) for packet in receiver.media(subscription)]

    def check_decodable(self, receiver: Endpoint, subscription: Subscription) -> None:
        """It begins with a key frame, so does each new layer; numbers have no gap, time never stands or runs back."""
        packets = receiver.media(subscription)
        layers = [layer_of(packet) for packet in packets]
        for number, packet in enumerate(packets):
            if number == 0 or layers[number] != layers[number - 1]:
                assert packet.payload.startswith(KEY_FRAME)
            if number:
                before = packets[number - 1]
                assert (packet.sequence_number - before.sequence_number) & 0xFFFF == 1
                step = (packet.timestamp - before.timestamp + (1 << 31)) % (1 << 32) - (1 << 31)
                assert step > 0 if before.marker else step == 0
        assert packets[-1].marker, "the last frame is whole"


def layer_of(packet: RtpPacket) -> int:
    return int(packet.payload[2:].split(b"-")[0])


def changes(layers: list[int]) -> list[int]:
    """Each layer once while it lasts."""
    return [layer for number, layer in enumerate(layers) if number == 0 or layer != layers[number - 1]]


def test_a_new_subscription_gets_the_highest_layer_that_arrives_and_nothing_before_its_key_frame() -> None:
    camera = Camera()
    camera.run(1)
    receiver, subscription = camera.watch()
    camera.key_frame_comes_next(0)  # not of the layer that is chosen
    camera.run(1)
    assert changes(camera.shown(receiver, subscription)) == [2]
    camera.check_decodable(receiver, subscription)
    assert camera.line.subscription_row(subscription).switches == 0


def test_the_highest_layer_that_arrives_need_not_be_the_highest_there_is() -> None:
    camera = Camera()
    camera.running = {0, 1}
    camera.run(1)
    receiver, subscription = camera.watch()
    camera.run(1)
    assert changes(camera.shown(receiver, subscription)) == [1]
    camera.check_decodable(receiver, subscription)


def test_a_subscription_that_waits_from_the_start_takes_the_first_frame_that_comes() -> None:
    camera = Camera(layers=1)
    receiver, subscription = camera.watch()
    camera.run(0.06)
    assert len(receiver.media(subscription)) > 0
    assert camera.publisher.feedback(PictureLoss) == []


def test_it_moves_up_once_with_a_higher_layers_first_key_frame() -> None:
    camera = Camera()
    camera.running = {0}
    receiver, subscription = camera.watch()
    camera.run(1)
    camera.running = {0, 2}
    before = camera.line.now
    camera.run(1)
    assert changes(camera.shown(receiver, subscription)) == [0, 2]
    first = next(each for each in receiver.rtp if layer_of(each.packet) == 2)
    assert first.at - before <= FRAME_MS * MS
    camera.check_decodable(receiver, subscription)


def test_it_moves_down_within_a_second_when_its_layer_stops_and_up_again_when_it_returns() -> None:
    camera = Camera()
    receiver, subscription = camera.watch()
    camera.run(2)
    camera.running = {0, 1}
    stopped = camera.line.now
    camera.run(2)
    assert changes(camera.shown(receiver, subscription))[-2:] == [2, 1]
    first = next(each for each in receiver.rtp if each.at > stopped and layer_of(each.packet) == 1)
    assert first.at - stopped <= 1_000 * MS
    camera.running = {0, 1, 2}
    camera.run(3)
    assert camera.shown(receiver, subscription)[-1] == 2
    assert camera.line.subscription_row(subscription).switches <= 4
    camera.check_decodable(receiver, subscription)


def test_a_layer_that_flickers_does_not_drag_its_watchers_up_and_down() -> None:
    camera = Camera(layers=2)
    receiver, subscription = camera.watch()
    camera.run(1)
    switches = int(camera.line.subscription_row(subscription).switches)
    for _ in range(6):
        camera.running = {0}
        camera.run(0.5)
        camera.running = {0, 1}
        camera.key_frame_comes_next(1)
        camera.run(0.5)
    assert int(camera.line.subscription_row(subscription).switches) - switches <= 5
    camera.check_decodable(receiver, subscription)


def test_with_reports_time_goes_on_across_a_switch_as_the_publishers_clock_does() -> None:
    camera = Camera()
    camera.reports = True
    receiver, subscription = camera.watch()
    camera.run(3)
    camera.running = {0}
    camera.run(2)
    camera.check_decodable(receiver, subscription)
    packets = receiver.media(subscription)
    assert set(changes([layer_of(packet) for packet in packets])[-2:]) == {2, 0}
    frames = [int(packet.payload.split(b"-")[1]) for packet in packets]
    ticks = [(packet.timestamp - packets[0].timestamp) & 0xFFFFFFFF for packet in packets]
    start = next(number for number, packet in enumerate(packets) if layer_of(packet) == 2)
    for frame, tick in zip(frames[start:], ticks[start:], strict=True):
        assert abs((tick - ticks[start]) - (frame - frames[start]) * FRAME_MS * 90) <= 2


def test_what_was_sent_before_a_switch_is_repaired_after_it_as_it_was() -> None:
    camera = Camera(layers=2)
    camera.reports = True
    receiver, subscription = camera.watch()
    camera.run(1.5)
    camera.running = {0}
    camera.run(1)
    packets = receiver.media(subscription)
    layers = [layer_of(packet) for packet in packets]
    switch = max(number for number in range(1, len(layers)) if layers[number] != layers[number - 1])
    around = packets[switch - 3 : switch + 3]
    assert [layer_of(packet) for packet in around] == [1, 1, 1, 0, 0, 0]
    receiver.send_rtcp(Nack(1, subscription.ssrc, tuple(sequence_numbers(around))))
    camera.line.turn()
    repaired = [each.packet for each in receiver.rtp if each.packet.ssrc == subscription.rtx_ssrc]
    assert [(packet.timestamp, packet.payload[2:]) for packet in repaired] == [
        (packet.timestamp, packet.payload) for packet in around
    ]


def test_a_source_that_comes_back_under_another_ssrc_goes_on_in_the_same_numbers() -> None:
    camera = Camera(layers=1)
    receiver, subscription = camera.watch()
    camera.run(1)
    (old,) = camera.layers
    assert old.track is not None
    new = camera.publisher.stream(track=old.track)
    camera.line.router.add_source(old.track, new.ssrc, 0)
    camera.line.turn()
    camera.layers[0] = new
    camera.run(1)
    camera.check_decodable(receiver, subscription)
    assert len({packet.timestamp for packet in receiver.media(subscription)}) >= 60
