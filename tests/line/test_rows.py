"""Rows: what a handle finds after its row was given away, full tables, and that nothing is left of what has gone."""

import pytest

from visiomedia.batch import Drop
from visiomedia.commands import Operation
from visiomedia.errors import CapacityError, InvalidStateError
from visiomedia.line import Capacities
from visiomedia.routing.router import Track
from visiomedia.rtp.packet import RtpPacket
from visiomedia.simulation.line import (
    AUDIO,
    DELTA_FRAME,
    KEY_FRAME,
    OPUS,
    RTX,
    SMALL,
    VP8,
    Stream,
    VirtualLine,
    rows_in_use,
)


def history_in_use(line: VirtualLine) -> tuple[int, int, int]:
    """Large chunks, small chunks and index blocks that are taken."""
    history = line.tables.routing.history
    stacks = (history.free_large, history.free_small, history.free_blocks)
    large, small, blocks = (len(stack) - 1 - int(stack[0]) for stack in stacks)
    return large, small, blocks


def test_ten_thousand_publishers_and_subscriptions_come_and_go_and_leave_nothing() -> None:
    line = VirtualLine(Capacities(**{**vars(SMALL), "batch_rows": 512, "out_rows": 512}))
    publisher, receiver = line.endpoint(), line.endpoint()
    for number in range(2_500):
        streams = [*publisher.publish(layers=2), *publisher.publish(is_audio=True), *publisher.publish()]
        repair = publisher.stream()
        first = _track(streams[0])
        line.router.add_repair_source(first, repair.ssrc, first.sources[0])
        subscriptions = [receiver.subscribe(stream) for stream in streams[1:]]
        line.network.run(0.001)
        for stream in streams:
            stream.send(b"\x10\x00" + bytes(20))
        publisher.stream().send_frame(b"nobody's", key=True)
        line.turn()
        if number % 3 == 0:
            line.router.unsubscribe(subscriptions[0])
        for track in {stream.track for stream in streams}:
            assert track is not None
            line.router.remove_track(track)
    line.pass_time(2)
    own = {"transports": 2, "paths": 2, "flows": 2, "keys": 2}
    assert rows_in_use(line.tables) == dict.fromkeys(rows_in_use(line.tables), 0) | own
    assert history_in_use(line) == (0, 0, 0)
    assert len(receiver.rtp) == 3 * 2_500


def test_an_idle_source_holds_no_history() -> None:
    line = VirtualLine()
    publisher = line.endpoint()
    (camera,), (microphone,) = publisher.publish(), publisher.publish(is_audio=True)
    line.turn()
    camera.send_frame(b"a", key=True)
    microphone.send(b"voice")
    line.turn()
    assert history_in_use(line) == (1, 1, 2)
    line.pass_time(2.3)
    assert history_in_use(line) == (0, 0, 0)


def test_a_stale_handle_finds_nothing() -> None:
    line = VirtualLine()
    publisher, receiver = line.endpoint(), line.endpoint()
    (old,) = publisher.publish()
    gone = receiver.subscribe(old)
    line.turn()
    assert old.track is not None
    source, track = old.track.sources[0], old.track
    line.router.remove_track(track)
    line.turn()
    # Go once round the free rows, so that the old ones are used again.
    again = None
    while again is None or again.handle.row != gone.handle.row:
        if again is not None:
            line.router.unsubscribe(again)
        if again is None or again.track.handle.row != track.handle.row:
            (new,) = publisher.publish()
        again = receiver.subscribe(new)
        line.turn()
        if new.track is not None and new.track.handle.row != track.handle.row:
            line.router.remove_track(new.track)
    before = rows_in_use(line.tables)
    for operation, handle in (
        (Operation.UNSUBSCRIBE, gone.handle),
        (Operation.REMOVE_TRACK, track.handle),
        (Operation.REMOVE_SOURCE, source),
        (Operation.REQUEST_KEY_FRAME, track.handle),
    ):
        line.commands.append(operation, *handle)
    line.router.unsubscribe(gone)
    line.router.remove_track(track)
    line.router.remove_source(track, source)
    line.turn()
    assert rows_in_use(line.tables) == before
    with pytest.raises(InvalidStateError):
        receiver.subscribe(old)
    with pytest.raises(InvalidStateError):
        line.router.add_source(track, 5)


def test_retransmissions_of_one_who_said_goodbye_reach_nobody_elses_track() -> None:
    line = VirtualLine(Capacities(**{**vars(SMALL), "sources": 4}))
    victim, attacker, receiver = line.endpoint(), line.endpoint(), line.endpoint()
    (stolen,) = attacker.publish()
    assert stolen.track is not None
    source = stolen.track.sources[0]
    line.turn()
    line.router.remove_source(stolen.track, source)  # a goodbye
    line.turn()
    while True:
        (camera,) = victim.publish()
        assert camera.track is not None
        line.turn()
        if camera.track.sources[0].row == source.row:
            break
        line.router.remove_track(camera.track)
    subscription = receiver.subscribe(camera)
    with pytest.raises(InvalidStateError):
        line.router.add_repair_source(stolen.track, 77, source)
    line.turn()
    camera.send_frame(b"true", key=True)
    line.turn()
    attacker.send(RtpPacket(RTX, 1, 2, 77, camera.sequence_number.to_bytes(2, "big") + b"\x10\x01false").serialize())
    line.turn()
    assert not any(b"false" in packet.payload for packet in receiver.media(subscription))


def test_a_full_table_refuses_and_names_its_setting() -> None:
    line = VirtualLine(Capacities(**{**vars(SMALL), "sources": 2, "tracks": 3, "subscriptions": 2}))
    publisher, receiver = line.endpoint(), line.endpoint()
    camera, _ = publisher.publish(layers=2)
    for _ in range(2):
        receiver.subscribe(camera)
    refused = []
    for add in (
        lambda: line.router.add_source(_track(camera), 5, 2),
        lambda: line.router.add_repair_source(_track(camera), 5, _track(camera).sources[0]),
        lambda: receiver.subscribe(camera),
        lambda: [line.router.add_track(publisher.handle, format=VP8, is_audio=False, cname="c") for _ in range(3)],
    ):
        with pytest.raises(CapacityError) as error:
            add()
        refused.append((error.value.table, error.value.capacity))
    assert refused == [("sources", 2), ("sources", 2), ("subscriptions", 2), ("tracks", 3)]
    assert {table for table, _ in refused} <= vars(SMALL).keys()
    # The turn that frees a row gives it back; before that it is nobody's.
    line.router.remove_track(_track(camera))
    with pytest.raises(CapacityError):
        line.router.add_track(publisher.handle, format=OPUS, is_audio=True, cname="c")
    line.turn()
    (microphone,) = publisher.publish(is_audio=True)
    voice = receiver.subscribe(microphone)
    line.turn()
    microphone.send(b"voice")
    line.turn()
    assert [packet.payload_type for packet in receiver.media(voice)] == [AUDIO]


def _track(stream: Stream) -> Track:
    assert stream.track is not None
    return stream.track


def test_an_ssrc_that_moves_to_another_track_is_not_lost_when_its_first_ends() -> None:
    line = VirtualLine()
    publisher, receiver = line.endpoint(), line.endpoint()
    (first,), (second,) = publisher.publish(), publisher.publish()
    subscription = receiver.subscribe(second)
    line.turn()
    line.router.add_source(_track(second), first.ssrc, 0)
    line.turn()
    line.router.remove_track(_track(first))
    line.turn()
    first.send_frame(b"moved", key=True)
    line.turn()
    assert len(receiver.media(subscription)) == 2


# --- a full history -----------------------------------------------------------------------------------------------


def test_a_full_history_forwards_no_other_bytes_than_those_that_came() -> None:
    line = VirtualLine(Capacities(**{**vars(SMALL), "history_mb": 1, "batch_rows": 512, "out_rows": 64}))
    receiver = line.endpoint()
    (greedy,), (other,) = line.endpoint().publish(), line.endpoint().publish()
    subscriptions = {stream: receiver.subscribe(stream) for stream in (greedy, other)}
    line.turn()
    sent: dict[Stream, list[bytes]] = {greedy: [], other: []}
    for stream, packets in ((other, 1), (greedy, 400), (greedy, 400), (other, 400)):
        for _ in range(packets):
            frame = KEY_FRAME if not sent[stream] else DELTA_FRAME
            payload = frame + stream.ssrc.to_bytes(4, "big") + len(sent[stream]).to_bytes(2, "big") * 597
            sent[stream].append(payload)
            stream.send(payload)
        line.network.run(0.01)
        line.turn()
    for stream, subscription in subscriptions.items():
        got = [packet.payload for packet in receiver.media(subscription)]
        assert len(got) > 50, "each keeps what it has of the pool"
        assert [payload for payload in sent[stream] if payload in set(got)] == got
    assert len(receiver.rtp) + line.drops(Drop.FULL) == 1201
    assert line.tables.transport.unsent[Drop.NONCE_REFUSED] == 0


@pytest.mark.parametrize("is_audio", [True, False])
def test_a_packet_too_late_for_history_takes_no_newer_ones_place(is_audio: bool) -> None:
    line = VirtualLine(Capacities(**{**vars(SMALL), "batch_rows": 512}))
    publisher, receiver = line.endpoint(), line.endpoint()
    (stream,) = publisher.publish(is_audio=is_audio)
    subscription = receiver.subscribe(stream)
    line.turn()
    depth = 256 if is_audio else 2048
    sealed = [
        publisher.session.protect(stream.make(b"\x10\x00" + number.to_bytes(4, "big"))) for number in range(depth)
    ]
    newest = publisher.session.protect(stream.make(b"\x10\x01newest"))
    publisher.arrive(sealed[1])
    line.turn()
    for data in sealed[2:]:
        publisher.arrive(data)
    line.turn()
    publisher.arrive(newest)
    publisher.arrive(sealed[0])  # its place in the index is the newest's
    line.turn()
    assert receiver.media(subscription)[-1].payload == b"\x10\x01newest"
    assert line.drops(Drop.TOO_OLD) == 1
    assert line.tables.transport.unsent[Drop.NONCE_REFUSED] == 0


def test_endpoints_rows_return_with_their_transport() -> None:
    line = VirtualLine()
    for _ in range(100):
        endpoint = line.endpoint()
        (camera,) = endpoint.publish()
        line.turn()
        camera.send(b"\x10\x00x")
        line.turn()
        line.router.remove_track(_track(camera))
        line.remove(endpoint)
        line.turn()
        line.endpoints.remove(endpoint)
    assert line.transports.used == 0
    assert set(rows_in_use(line.tables).values()) == {0}
