"""Sessions in one conference, in virtual time, and what each client is told."""

from collections import Counter
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from livekit.protocol import models, rtc

from tests.livekit.fakes import FakePeers, FakePublisher, FakeSubscriber, local_transport
from visiomedia.clock import Clock
from visiomedia.conference.conference import Conference
from visiomedia.conference.events import HouseEvent, RoomEvent
from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import Arrival, Participant, ParticipantKind
from visiomedia.conference.room import Room
from visiomedia.livekit.client import Client
from visiomedia.livekit.messages import Messages
from visiomedia.livekit.settings import LiveKitSettings
from visiomedia.livekit.signal import House, SignalSession
from visiomedia.livekit.tokens import AccessToken, verify
from visiomedia.sdp.capabilities import SERVER_CAPABILITIES
from visiomedia.sdp.description import SessionDescription
from visiomedia.sdp.negotiation import SectionPlan, create_answer

VECTORS = Path(__file__).parent.parent / "vectors" / "livekit"
SECRET = "s" * 32
EPOCH = 1_800_000_000

MICROPHONE = rtc.AddTrackRequest(cid="mic", type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE)
CAMERA = rtc.AddTrackRequest(
    cid="cam", type=models.TrackType.VIDEO, source=models.TrackSource.CAMERA, width=640, height=360
)


class StillClock(Clock):
    """Says the time that a test has set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.wall_offset_ns = EPOCH * 1_000_000_000

    def monotonic(self) -> float:
        return self.now


class Actor:
    """A client, with its session."""

    def __init__(self, scene: "Scene", participant: Participant, token: AccessToken, client: Client) -> None:
        self.scene = scene
        self.participant = participant
        self.token = token
        self.received: list[rtc.SignalResponse] = []
        self.session = SignalSession(
            scene.house,
            scene.room,
            participant,
            token,
            client,
            now=scene.now,
            monotonic=scene.clock.monotonic,
            changed=lambda: None,
        )
        self.publisher: FakePublisher = scene.peers.publishers[-1]
        self.subscriber: FakeSubscriber = scene.peers.subscribers[-1]

    def say(self, **message: Any) -> list[rtc.SignalResponse]:
        """Send a request; returns what comes to this client."""
        self.session.receive(rtc.SignalRequest(**message), self.scene.now)
        return self.hear()

    def hear(self) -> list[rtc.SignalResponse]:
        """What has come since the last look."""
        self.scene.pump()
        received, self.received = self.received, []
        return received

    def kinds(self) -> list[str]:
        """Names of what has come since the last look."""
        return [kind_of(message) for message in self.hear()]

    def connect(self) -> None:
        """Answer what was offered first, and connect."""
        self.scene.pump()
        self.answer()
        self.subscriber.connect()
        self.publisher.connect()
        self.scene.pump()

    def answer(self) -> list[rtc.SignalResponse]:
        """Answer the last offer, where there is one."""
        if not self.subscriber.is_negotiating:
            return []
        answer = answer_to(self.subscriber.offers[-1])
        return self.say(answer=rtc.SessionDescription(type="answer", sdp=answer, id=self.session._subscribing.offer_id))

    def publish(self, request: rtc.AddTrackRequest) -> str:
        """Publish a track; returns its sid."""
        published = only(self.say(add_track=request), "track_published").track_published
        sections = [*self.publisher.sections.values()]
        cids = [one.offered.track_id or "" for one in sections if one.track is not None]
        self.offer([*cids, request.cid])
        return published.track.sid

    def offer(self, cids: list[str], identifier: int = 7) -> list[rtc.SignalResponse]:
        """Offer sections with these tracks, and inactive ones where others were."""
        known = {one.offered.track_id: one for one in self.publisher.sections.values()}
        names = [*known, *(cid for cid in cids if cid not in known)]
        sdp = offer_of([(name or "", name in cids) for name in names])
        return self.say(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=identifier))


class Scene:
    def __init__(self, settings: LiveKitSettings | None = None) -> None:
        self.clock = StillClock()
        self.settings = settings or LiveKitSettings()
        self.conference = Conference(self.settings.room)
        self.peers = FakePeers()
        self.counters: Counter[str] = Counter()
        self.house = House(
            settings=self.settings,
            messages=Messages(self.settings, self.clock, b"sif"),
            peers=self.peers,
            secrets={"key": SECRET},
            counters=self.counters,
        )
        self.actors: dict[Participant, Actor] = {}
        self.house_events: list[HouseEvent] = []

    @property
    def now(self) -> float:
        return self.clock.now

    @property
    def room(self) -> Room:
        return self.conference.open("r1", self.now)

    def join(
        self,
        identity: str,
        *,
        client: Client | None = None,
        kind: ParticipantKind = ParticipantKind.STANDARD,
        connects: bool = True,
        **grants: Any,
    ) -> Actor:
        granted = Grants(room="r1", room_join=True, **grants)
        client = client or Client(protocol=17)
        arrival = Arrival(identity=identity, grants=granted, kind=kind, auto_subscribe=client.auto_subscribe)
        participant = self.room.join(arrival, self.now)
        token = AccessToken(key="key", identity=identity, grants=granted, claims={"video": {"x": 1}})
        actor = self.actors[participant] = Actor(self, participant, token, client)
        if connects:
            actor.connect()
            actor.hear()
        return actor

    def pump(self) -> None:
        while events := self.conference.events():
            for _, event in events:
                self._hand_out(event)
        for actor in self.actors.values():
            actor.received += actor.session.messages_to_send()
        if self.conference.rooms and any(room._events for room in self.conference.rooms.values()):
            self.pump()

    def _hand_out(self, event: RoomEvent) -> None:
        recipients = getattr(event, "recipients", None) or [getattr(event, "recipient", None)]
        for recipient in recipients:
            if recipient in self.actors:
                self.actors[recipient].session.handle_event(event)  # type: ignore[arg-type]  # it has recipients

    def advance(self, seconds: float) -> None:
        """Let time pass, deadline by deadline."""
        end = self.now + seconds
        while True:
            deadlines = [self.conference.next_timeout(), *(one.session.next_timeout() for one in self.actors.values())]
            due = min((deadline for deadline in deadlines if deadline is not None), default=end + 1)
            if due > end:
                break
            self.clock.now = max(self.now, due)
            self.conference.handle_timeout(self.now)
            for actor in list(self.actors.values()):
                if actor.session.has_lost_signal(self.now):
                    actor.session.detach(self.now)
                actor.session.handle_timeout(self.now)
            self.pump()
        self.clock.now = end


def kind_of(message: rtc.SignalResponse) -> str:
    return message.WhichOneof("message") or ""


def only(responses: list[rtc.SignalResponse], kind: str) -> rtc.SignalResponse:
    """The only message of a kind."""
    found = [message for message in responses if kind_of(message) == kind]
    assert len(found) == 1, f"{len(found)} {kind} in {[kind_of(one) for one in responses]}"
    return found[0]


def as_json(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(message)


def claims_of(token: str) -> dict[str, Any]:
    return dict(verify(token, {"key": SECRET}, EPOCH + 500).claims)


def answer_to(offer: str) -> str:
    """A client's, that takes everything."""
    offered = SessionDescription.parse(offer)
    plans = {
        section.mid: SectionPlan(sctp_port=5000) if section.kind == "application" else SectionPlan()
        for section in offered.media
    }
    return create_answer(offered, local_transport(1), plans, SERVER_CAPABILITIES).serialize()


def offer_of(tracks: list[tuple[str, bool]]) -> str:
    """A client's: (cid, whether it sends) of each section; cids that begin with ``m`` are of microphones."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    lines.append("a=group:BUNDLE " + " ".join(str(number) for number in range(len(tracks) + 1)))
    transport = [
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:clientfrag",
        "a=ice-pwd:" + "c" * 24,
        "a=fingerprint:sha-256 " + ":".join(["CD"] * 32),
        "a=setup:actpass",
    ]
    lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *transport, "a=mid:0", "a=sctp-port:5000"]
    for number, (cid, sends) in enumerate(tracks, 1):
        audio = cid.startswith("m")
        lines += [f"m={'audio' if audio else 'video'} 9 UDP/TLS/RTP/SAVPF 100", *transport, f"a=mid:{number}"]
        lines += [f"a=msid:stream {cid}", f"a={'sendonly' if sends else 'inactive'}", "a=rtcp-mux"]
        lines += [f"a=rtpmap:100 {'opus/48000/2' if audio else 'VP8/90000'}"]
    return "\r\n".join(lines) + "\r\n"
