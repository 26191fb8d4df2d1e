"""The client's side of recorded dialogues, replayed: what it gets has every field that LiveKit's server filled."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from livekit.protocol import models, rtc

from tests.livekit.fakes import FakeChannel
from tests.livekit.scene import EPOCH, SECRET, VECTORS, Actor, Scene, answer_to, as_json, kind_of
from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import Arrival
from visiomedia.livekit.client import parse_client
from visiomedia.livekit.tokens import sign, verify

DIFFERENCES = {
    "join.room.turnPassword": "a secret that no client needs",
    "join.iceServers": "none are told of that the operator has not chosen",
    "join.iceServers.urls": "the same",
    "reconnect.iceServers": "the same",
    "roomUpdate.room.turnPassword": "a secret that no client needs",
    "subscribedQualityUpdate": "layers are not paused: without it publishers send all of them",
    "trackPublished.track.backupCodecPolicy": "what the client asked for stands there, not a default of the server's",
    "trackPublished.track.codecs.mimeType": "known when the media come",
}
LAYER_FIELDS = ("ssrc", "repairSsrc", "rid")
"""Of the publisher's streams; clients read them from the SDP."""


def differs(path: str) -> bool:
    return (
        path in DIFFERENCES
        or path.split(".")[0] in DIFFERENCES
        or path.endswith(LAYER_FIELDS)
        or path.endswith("backupCodecPolicy")
    )


def paths(value: Any, prefix: str = "") -> Iterator[str]:
    """Names of all fields that are filled."""
    if isinstance(value, list):
        for one in value:
            yield from paths(one, prefix)
    elif isinstance(value, dict) and not prefix.endswith(("attributes", "midToTrackId")):
        for key, one in value.items():
            name = f"{prefix}.{key}" if prefix else key
            yield name
            yield from paths(one, name)


def completed(sdp: str) -> str:
    """With formats, where the recording was shortened."""
    if "a=rtpmap" in sdp:
        return sdp
    formats = {"m=video": "a=rtpmap:96 VP8/90000", "m=audio": "a=rtpmap:111 opus/48000/2"}
    lines = [[line, formats[line[:7]]] if line[:7] in formats else [line] for line in sdp.split("\r\n")]
    return "\r\n".join(line for pair in lines for line in pair)


class Replay:
    """Plays the clients of one recording, and keeps what both servers told them."""

    def __init__(self, name: str) -> None:
        self.scene = Scene()
        self.actors: dict[str, Actor] = {}
        self.channels: dict[tuple[str, str], FakeChannel] = {}
        self.sids: dict[str, str] = {}
        self.theirs: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.ours: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.their_packets: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._open_requests: dict[str, list[dict[str, Any]]] = defaultdict(list)
        with (VECTORS / name).open() as lines:
            for line in lines:
                self.step(json.loads(line))
        self.wait()

    def step(self, row: dict[str, Any]) -> None:
        identity = row.get("c", "").partition("#")[0]
        match row["dir"]:
            case "note":
                self.wait()
            case "open":
                self.open(identity, row)
            case "C>S":
                self.say(identity, row["m"])
            case "S>C":
                self.theirs[identity].append(row["m"])
                self.learn(identity, row["m"])
            case "dc>":
                self.send(identity, row)
            case "dc<":
                self.their_packets[identity].append({"label": row["label"], "packet": row["packet"]})
            case "close" if identity in self.actors:
                self.actors[identity].session.detach(self.scene.now)
        self.collect()

    def wait(self) -> None:
        self.scene.advance(2)
        self.scene.pump()
        self.collect()

    def collect(self) -> None:
        for identity, actor in self.actors.items():
            self.ours[identity] += [as_json(message) for message in actor.hear()]

    def open(self, identity: str, row: dict[str, Any]) -> None:
        client = parse_client(row["query"])
        if client.is_back:
            self.actors[identity].session.resume(self.actors[identity].token, self.scene.now)
            return
        claims = row.get("claims", {"sub": identity, "video": {"roomJoin": True, "room": "r1"}}) | {"iss": "key"}
        token = verify(sign(claims, SECRET), {"key": SECRET}, claims.get("nbf", EPOCH))
        assert isinstance(token.grants, Grants)
        arrival = Arrival(
            identity=identity,
            grants=token.grants,
            name=token.name,
            metadata=token.metadata,
            attributes=token.attributes,
            auto_subscribe=client.auto_subscribe,
            client_protocol=client.client_protocol,
            capabilities=client.capabilities,
        )
        participant = self.scene.room.join(arrival, self.scene.now)
        self.actors[identity] = self.scene.actors[participant] = Actor(self.scene, participant, token, client)

    def learn(self, identity: str, message: dict[str, Any]) -> None:
        """Which of our sids stands for which of theirs."""
        if "join" in message:
            self.sids[message["join"]["participant"]["sid"]] = self.actors[identity].participant.sid
        if "trackPublished" in message:
            published = message["trackPublished"]
            ours = [one["trackPublished"] for one in self.ours[identity] if "trackPublished" in one]
            (sid,) = [one["track"]["sid"] for one in ours if one["cid"] == published["cid"]]
            self.sids[published["track"]["sid"]] = sid

    def translated(self, message: Any) -> Any:
        text = json.dumps(message)
        for theirs, ours in self.sids.items():
            text = text.replace(theirs, ours)
        return json.loads(text)

    def say(self, identity: str, message: dict[str, Any]) -> None:
        actor = self.actors[identity]
        if "offer" in message:
            message["offer"]["sdp"] = completed(message["offer"]["sdp"])
        if "answer" in message:
            if not actor.subscriber.is_negotiating:
                return
            message["answer"]["id"] = self.last_offer(identity)["id"]
            if len(actor.subscriber.offers) > 1 or "a=fingerprint" not in message["answer"]["sdp"]:
                # Sections are in another order here, or it was shortened.
                message["answer"]["sdp"] = answer_to(actor.subscriber.offers[-1])
        request = json_format.ParseDict(self.translated(message), rtc.SignalRequest())
        actor.session.receive(request, self.scene.now)
        self.collect()
        if "answer" in message:
            actor.subscriber.connect()
        if "offer" in message:
            actor.publisher.connect()

    def last_offer(self, identity: str) -> dict[str, Any]:
        return [one["offer"] for one in self.ours[identity] if "offer" in one][-1]  # type: ignore[no-any-return]  # JSON

    def send(self, identity: str, row: dict[str, Any]) -> None:
        key = (identity, row["label"])
        if key not in self.channels:
            self.channels[key] = self.actors[identity].publisher.make_channel(row["label"])
        on_message = self.channels[key].on_message
        assert on_message is not None
        packet = json_format.ParseDict(self.translated(row["packet"]), models.DataPacket())
        on_message(packet.SerializeToString())

    def our_packets(self, identity: str) -> list[dict[str, Any]]:
        channels = self.actors[identity].subscriber.channels
        return [
            {"label": label, "packet": as_json(models.DataPacket.FromString(bytes(data)))}  # type: ignore[arg-type]  # packets are bytes
            for label, channel in channels.items()
            for data in channel.sent
        ]


@pytest.mark.parametrize("name", ["chromium_call.jsonl", "python_call.jsonl", "resume.jsonl"])
def test_every_field_that_the_server_fills_is_filled(name: str) -> None:
    replay = Replay(name)
    assert set(replay.theirs) == {"alice", "bob"}
    for identity, theirs in replay.theirs.items():
        got = set(paths(replay.ours[identity]))
        wanted = set(paths([one for one in theirs if not isinstance(next(iter(one.values())), str)]))
        missing = sorted(path for path in wanted - got if not differs(path))
        assert not missing, f"{identity} is not told {missing}"


@pytest.mark.parametrize("name", ["chromium_call.jsonl", "python_call.jsonl"])
def test_the_welcome_comes_first_and_answers_carry_the_numbers_of_their_offers(name: str) -> None:
    replay = Replay(name)
    for identity, ours in replay.ours.items():
        assert "join" in ours[0]
        theirs = [one["answer"].get("id", 0) for one in replay.theirs[identity] if "answer" in one]
        assert [one["answer"].get("id", 0) for one in ours if "answer" in one] == theirs


@pytest.mark.parametrize("name", ["chromium_call.jsonl", "python_call.jsonl"])
def test_tracks_are_described_as_the_server_described_them(name: str) -> None:
    replay = Replay(name)
    for identity, theirs in replay.theirs.items():
        for message in (one for one in theirs if "trackPublished" in one):
            described = replay.translated(message["trackPublished"])
            (own,) = [
                one["trackPublished"]
                for one in replay.ours[identity]
                if "trackPublished" in one and one["trackPublished"]["cid"] == described["cid"]
            ]
            for field in ("sid", "type", "source", "name", "width", "height", "simulcast", "stream", "audioFeatures"):
                assert own["track"].get(field) == described["track"].get(field), field
            assert len(own["track"].get("layers", [])) == len(described["track"].get("layers", []))


def test_each_message_between_clients_arrives_as_the_server_delivered_it() -> None:
    replay = Replay("chromium_call.jsonl")
    delivered = 0
    for identity, theirs in replay.their_packets.items():
        ours = replay.our_packets(identity)
        assert sorted(map(str, (one["label"] for one in ours))) == sorted(one["label"] for one in theirs)
        for wanted in replay.translated(theirs):
            assert wanted in ours
            delivered += 1
    assert delivered >= 8


def test_a_resumed_client_is_told_in_the_servers_order() -> None:
    replay = Replay("resume.jsonl")
    ours = [next(iter(one)) for one in replay.ours["alice"]]
    begin = ours.index("reconnect")
    assert ours[begin : begin + 5] == ["reconnect", "update", "roomUpdate", "refreshToken", "offer"]
    assert kind_of(rtc.SignalResponse(pong=1)) == "pong"
