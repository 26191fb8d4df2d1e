"""What a turn that has used up its time leaves to the next one: fan-out, audio first, and nothing else."""

from visiomedia.batch import Drop
from visiomedia.line import WAITING_BATCHES, Capacities
from visiomedia.routing.router import Subscription
from visiomedia.routing.tables import ADDED, DONE
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.rtcp import TransportFeedback
from visiomedia.simulation.line import SMALL, Endpoint, Stream, VirtualLine

OUT_ROWS = 4
CAPACITIES = Capacities(**{**vars(SMALL), "out_rows": OUT_ROWS})
WAITING = WAITING_BATCHES * CAPACITIES.batch_rows

Watcher = tuple[Endpoint, Subscription]


def room(watchers: int = 6) -> tuple[VirtualLine, Stream, Stream, list[Watcher], list[Watcher]]:
    """A camera and a microphone, and those who see and hear them."""
    line = VirtualLine(CAPACITIES)
    publisher = line.endpoint()
    (camera,), (microphone,) = publisher.publish(), publisher.publish(is_audio=True)
    endpoints = [line.endpoint() for _ in range(watchers)]
    line.turn()
    seen = [(endpoint, endpoint.subscribe(camera)) for endpoint in endpoints]
    heard = [(endpoint, endpoint.subscribe(microphone)) for endpoint in endpoints]
    line.turn()
    camera.send_frame(b"first", key=True)
    line.turn()
    return line, camera, microphone, seen, heard


def payloads(watchers: list[Watcher]) -> list[list[bytes]]:
    return [[packet.payload for packet in endpoint.media(subscription)] for endpoint, subscription in watchers]


def waiting(line: VirtualLine) -> int:
    state = line.tables.routing.queue.state
    return int((state[:, ADDED] - state[:, DONE]).sum())


def test_what_is_left_over_is_sent_by_the_next_turn_and_audio_that_came_since_before_it() -> None:
    line, camera, microphone, seen, heard = room()
    before = len(payloads(seen)[0])
    camera.send_frame(b"second")
    line.turn(fills=1)
    assert sum(len(got) - before for got in payloads(seen)) == OUT_ROWS
    assert waiting(line) == 2
    microphone.send(b"word")
    line.turn(fills=2)
    assert payloads(heard) == [[b"word"]] * 6, "all of the audio, before the rest of the picture"
    assert sum(len(got) - before for got in payloads(seen)) == OUT_ROWS + 2 * OUT_ROWS - 6
    while waiting(line):
        line.turn(fills=1)
    got = payloads(seen)
    assert all(each == got[0] for each in got)
    assert len(got[0]) == before + 2


def test_packets_that_come_while_others_wait_reach_everybody() -> None:
    line, camera, _, seen, _ = room()
    for number in range(40):
        camera.send_frame(b"%d" % number)
        line.turn(fills=1)
    while waiting(line):
        line.turn(fills=1)
    for endpoint, subscription in seen:
        packets = endpoint.media(subscription)
        first = packets[0].sequence_number
        assert [(packet.sequence_number - first) & 0xFFFF for packet in packets] == list(range(2 + 80))


def test_who_leaves_while_being_served_is_passed_over_and_nobody_else() -> None:
    line, camera, _, seen, _ = room()
    before = len(payloads(seen)[0])
    camera.send_frame(b"second")
    line.turn(fills=1)
    served = [watcher for watcher, got in zip(seen, payloads(seen), strict=True) if len(got) > before]
    state = line.tables.routing.queue.state[1]
    at = next(watcher for watcher in seen if watcher[1].handle.row == state[3])
    assert at not in served
    line.router.unsubscribe(at[1])
    while waiting(line) or line.commands.waiting:
        line.turn(fills=1)
    for watcher, got in zip(seen, payloads(seen), strict=True):
        assert len(got) == before + (0 if watcher is at else 2)


def test_a_track_that_ends_while_its_packets_wait_ends_them() -> None:
    line, camera, _, seen, _ = room()
    before = sum(map(len, payloads(seen)))
    camera.send_frame(b"second")
    line.turn(fills=1)
    assert camera.track is not None
    line.router.remove_track(camera.track)
    line.turn()
    assert waiting(line) == 0
    assert sum(map(len, payloads(seen))) == before + OUT_ROWS


def test_timers_do_not_wait_behind_fan_out() -> None:
    line, camera, _, _, _ = room()
    publisher = camera.endpoint
    publisher.rtcp.clear()
    for number in range(30):
        line.network.run(0.01)
        elements = [(3, number.to_bytes(2, "big"))]
        for _ in range(3):
            publisher.send(camera.make(b"\x10\x01more", elements=elements))
        line.turn(fills=1)
    assert waiting(line) > 50
    assert len(publisher.feedback(TransportFeedback)) >= 2


def test_a_flood_costs_its_own_packets_once_much_waits() -> None:
    line, camera, _, _, _ = room()
    other = line.endpoint()
    (quiet,) = other.publish()
    watcher = line.endpoint()
    line.turn()
    subscription = watcher.subscribe(quiet)
    line.turn()
    for _ in range(2 * WAITING // 32):
        for _ in range(32):
            camera.send(b"\x10\x01flood")
        line.turn(fills=1)
    assert waiting(line) <= WAITING // 2 + 32
    assert line.drops(Drop.FULL) > WAITING // 2
    quiet.send_frame(b"calm", key=True)
    line.turn()
    assert [packet.payload[-5:] for packet in watcher.media(subscription)] == [b"calm\0", b"calm\1"]
    assert isinstance(watcher.media(subscription)[0], RtpPacket)
