"""Messages between clients: who gets them, and what the server writes into them."""

from typing import Any

import pytest
from livekit.protocol import models

from tests.livekit.fakes import FakeChannel
from tests.livekit.scene import Actor, Scene
from visiomedia.conference.participant import ParticipantKind


def received(actor: Actor, label: str = "_reliable") -> list[models.DataPacket]:
    actor.scene.pump()
    packets = []
    for data in actor.subscriber.channels[label].sent:
        assert isinstance(data, bytes)
        packets.append(models.DataPacket.FromString(data))
    actor.subscriber.channels[label].sent.clear()
    return packets


def send(actor: Actor, label: str = "_reliable", **fields: Any) -> None:
    if not hasattr(actor, "channel"):
        actor.channel = {}  # type: ignore[attr-defined]  # one client's, for this test only
    channels: dict[str, FakeChannel] = actor.channel  # type: ignore[attr-defined]  # see above
    if label not in channels:
        channels[label] = actor.publisher.make_channel(label)
    on_message = channels[label].on_message
    assert on_message is not None
    on_message(models.DataPacket(**fields).SerializeToString())


@pytest.fixture
def people() -> tuple[Actor, Actor, Actor]:
    scene = Scene()
    return scene.join("alice"), scene.join("bob"), scene.join("carol")


def test_a_message_goes_to_all_but_its_sender(people: tuple[Actor, Actor, Actor]) -> None:
    alice, bob, carol = people
    send(alice, user=models.UserPacket(payload=b"hi", topic="t"), sequence=1)
    for other in (bob, carol):
        (packet,) = received(other)
        assert (packet.user.payload, packet.user.topic, packet.sequence) == (b"hi", "t", 1)
    assert received(alice) == []


def test_the_sender_is_written_by_the_server(people: tuple[Actor, Actor, Actor]) -> None:
    alice, bob, _ = people
    forged = models.UserPacket(participant_identity="carol", participant_sid="PA_x", payload=b"hi")
    send(alice, user=forged, participant_identity="carol", participant_sid="PA_x")
    (packet,) = received(bob)
    assert packet.participant_identity == packet.user.participant_identity == "alice"
    assert packet.participant_sid == packet.user.participant_sid == alice.participant.sid


def test_lossy_messages_stay_lossy(people: tuple[Actor, Actor, Actor]) -> None:
    alice, bob, _ = people
    send(alice, "_lossy", user=models.UserPacket(payload=b"hi"), kind=models.DataPacket.RELIABLE)
    assert received(bob) == []
    (packet,) = received(bob, "_lossy")
    assert packet.kind == models.DataPacket.LOSSY


@pytest.mark.parametrize("place", ["packet", "user", "sid"])
def test_receivers_may_be_named_in_several_ways(people: tuple[Actor, Actor, Actor], place: str) -> None:
    alice, bob, carol = people
    user = models.UserPacket(payload=b"hi")
    fields: dict[str, Any] = {"user": user}
    if place == "packet":
        fields["destination_identities"] = ["bob", "nobody"]
    elif place == "user":
        user.destination_identities.extend(["bob", "nobody"])
    else:
        user.destination_sids.append(bob.participant.sid)
    send(alice, **fields)
    (packet,) = received(bob)
    assert list(packet.destination_identities) == list(packet.user.destination_identities)
    assert received(carol) == []


@pytest.mark.parametrize(
    "value",
    [
        {"chat_message": models.ChatMessage(message="m")},
        {"rpc_request": models.RpcRequest(id="i")},
        {"rpc_ack": models.RpcAck(request_id="i")},
        {"rpc_response": models.RpcResponse(request_id="i")},
        {"stream_header": models.DataStream.Header(stream_id="s", topic="lk.chat")},
        {"stream_chunk": models.DataStream.Chunk(stream_id="s", content=b"c")},
        {"stream_trailer": models.DataStream.Trailer(stream_id="s")},
        {"encrypted_packet": models.EncryptedPacket(encrypted_value=b"e")},
        {"sip_dtmf": models.SipDTMF(code=1)},
    ],
)
def test_whatever_clients_speak_is_passed_on(people: tuple[Actor, Actor, Actor], value: dict[str, Any]) -> None:
    alice, bob, _ = people
    send(alice, destination_identities=["bob"], **value)
    (packet,) = received(bob)
    (name,) = value
    assert getattr(packet, name) == value[name]
    assert packet.participant_identity == "alice"


def test_a_kind_of_message_that_is_not_known_yet_is_passed_on(people: tuple[Actor, Actor, Actor]) -> None:
    alice, bob, _ = people
    channel = alice.publisher.make_channel("_reliable")
    unknown = bytes([0xFA, 0x3F, 2, 1, 2])  # field 1023, two bytes
    assert channel.on_message is not None
    channel.on_message(unknown)
    (packet,) = received(bob)
    assert unknown in packet.SerializeToString()


def test_only_agents_write_for_others() -> None:
    scene = Scene()
    agent, alice, bob = scene.join("agent", kind=ParticipantKind.AGENT), scene.join("alice"), scene.join("bob")
    said = models.Transcription(transcribed_participant_identity="alice")
    header = models.DataStream.Header(stream_id="s", topic="lk.transcription")
    send(agent, transcription=said)
    send(agent, stream_header=header, participant_identity="alice")
    send(agent, user=models.UserPacket(), participant_identity="alice")
    assert [packet.participant_identity for packet in received(bob)] == ["agent", "alice", "agent"]
    send(alice, transcription=said)
    send(alice, stream_header=header, participant_identity="bob")
    assert [packet.participant_identity for packet in received(bob)] == ["alice"]


def test_the_hidden_send_without_a_name() -> None:
    scene = Scene()
    ghost, bob = scene.join("ghost", hidden=True), scene.join("bob")
    send(ghost, user=models.UserPacket(payload=b"boo", participant_identity="ghost"))
    (packet,) = received(bob)
    assert (packet.participant_identity, packet.participant_sid, packet.user.participant_identity) == ("", "", "")


def test_sending_needs_a_grant() -> None:
    scene = Scene()
    alice, bob = scene.join("alice", can_publish_data=False), scene.join("bob")
    send(alice, user=models.UserPacket())
    assert received(bob) == []
    assert scene.counters["data_refused"] == 1


def test_who_may_not_subscribe_receives_by_the_channels_it_has_made() -> None:
    scene = Scene()
    alice, bob = scene.join("alice"), scene.join("bob", can_subscribe=False)
    channel = bob.publisher.make_channel("_reliable")
    send(alice, user=models.UserPacket(payload=b"hi"))
    scene.pump()
    assert len(channel.sent) == 1


def test_a_receiver_that_is_behind_loses_messages_and_they_are_counted(people: tuple[Actor, Actor, Actor]) -> None:
    alice, bob, carol = people
    bob.subscriber.channels["_lossy"].buffered_amount = 64 * 1024
    bob.subscriber.channels["_reliable"].is_open = False
    send(alice, "_lossy", user=models.UserPacket(payload=b"hi"))
    send(alice, user=models.UserPacket(payload=b"hi"))
    assert received(bob, "_lossy") == received(bob) == []
    assert len(received(carol, "_lossy")) == 1
    assert alice.scene.counters["data_overflow"] == 1
    assert alice.scene.counters["data_without_channel"] == 1


def test_a_receiver_whose_association_is_full_stays_and_what_it_misses_is_counted(
    people: tuple[Actor, Actor, Actor],
) -> None:
    alice, bob, carol = people
    bob.subscriber.channels["_reliable"].is_full = True
    send(alice, user=models.UserPacket(payload=b"hi"))
    assert len(received(carol)) == 1
    assert bob.participant.is_present
    assert alice.scene.counters["data_overflow"] == 1


@pytest.mark.parametrize("data", ["text", b"\xff\xff\xff"])
def test_what_is_no_packet_is_dropped_and_counted(people: tuple[Actor, Actor, Actor], data: bytes | str) -> None:
    alice, bob, _ = people
    channel = alice.publisher.make_channel("_reliable")
    assert channel.on_message is not None
    channel.on_message(data)
    assert received(bob) == []
    assert alice.scene.counters["data_malformed"] == 1


def test_other_channels_are_left_alone(people: tuple[Actor, Actor, Actor]) -> None:
    assert people[0].publisher.make_channel("_data_track").on_message is None
