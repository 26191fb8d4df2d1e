"""Clients that say what no client says: each ends itself at most."""

import json
import random

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

from tests.livekit.scene import CAMERA, VECTORS, Scene
from visiomedia.errors import ParseError
from visiomedia.livekit.data import LOSSY, RELIABLE


def recorded(direction: str) -> list[bytes]:
    """What clients have really sent."""
    found = []
    for name in ("chromium_call.jsonl", "python_call.jsonl", "resume.jsonl"):
        with (VECTORS / name).open() as lines:
            for row in map(json.loads, lines):
                if row["dir"] == "C>S" == direction:
                    found.append(json_format.ParseDict(row["m"], rtc.SignalRequest()).SerializeToString())
                elif row["dir"] == "dc>" == direction:
                    found.append(json_format.ParseDict(row["packet"], models.DataPacket()).SerializeToString())
    return found


def spoiled(message: bytes, chance: random.Random) -> bytes:
    data = bytearray(message)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        match chance.randrange(10):
            case 0:
                del data[start:]
            case 1:
                data[start:start] = data[start : start + chance.randrange(40)]
            case 2:
                del data[start : start + chance.randrange(9)]
            case _:
                data[start : start + 1] = bytes([chance.randrange(256)])
    return bytes(data)


def spoiled_request(message: bytes, chance: random.Random) -> rtc.SignalRequest:
    """Raises DecodeError where nothing can be read of it."""
    request = rtc.SignalRequest.FromString(message)
    if request.WhichOneof("message") == "offer" and chance.random() < 0.5:
        lines = request.offer.sdp.split("\r\n")
        for _ in range(chance.randint(1, 3)):
            number = chance.randrange(len(lines))
            lines[number] = chance.choice(["", lines[number][:7], chance.choice(lines), lines[number] + " 1"])
        request.offer.sdp = "\r\n".join(lines)
        return request
    return rtc.SignalRequest.FromString(spoiled(message, chance))


def test_spoiled_requests_raise_nothing_but_parse_errors_and_touch_nobody_else() -> None:
    chance = random.Random(1)
    messages = recorded("C>S")
    scene = Scene()
    alice = scene.join("alice")
    alice.publish(CAMERA)
    mallory = scene.join("mallory")
    understood = refused = 0
    for _ in range(3000):
        if not mallory.participant.is_present:
            mallory = scene.join("mallory")
        try:
            request = spoiled_request(chance.choice(messages), chance)
            mallory.session.receive(request, scene.now)
            understood += 1
        except (DecodeError, ParseError):
            refused += 1
        scene.advance(0.05)
        mallory.hear()
        alice.answer()
    assert understood > 400 and refused > 400
    assert alice.participant.is_present and len(alice.participant.tracks) == 1
    assert len(scene.room.participants) <= 2 and len(mallory.participant.announced) <= 64


def test_spoiled_packets_are_passed_on_under_their_senders_name_or_not_at_all() -> None:
    chance = random.Random(2)
    messages = recorded("dc>")
    scene = Scene()
    mallory, bob = scene.join("mallory"), scene.join("bob")
    channels = [mallory.publisher.make_channel(label) for label in (RELIABLE, LOSSY)]
    for _ in range(3000):
        on_message = chance.choice(channels).on_message
        assert on_message is not None
        on_message(spoiled(chance.choice(messages), chance))
    scene.pump()
    received = [data for channel in bob.subscriber.channels.values() for data in channel.sent]
    assert len(received) > 100 and scene.counters["data_malformed"] > 100
    for data in received:
        assert isinstance(data, bytes)
        packet = models.DataPacket.FromString(data)
        assert (packet.participant_identity, packet.participant_sid) == ("mallory", mallory.participant.sid)
