"""Peer connections without a network: their SDP is real, their media are not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from visiomedia.errors import CapacityError, NegotiationError
from visiomedia.livekit.peers import SendingSection
from visiomedia.routing.router import Track as MediaTrack
from visiomedia.rows import Handle
from visiomedia.sdp.attributes import Candidate, Codec
from visiomedia.sdp.capabilities import SERVER_CAPABILITIES
from visiomedia.sdp.description import MediaDescription, SessionDescription
from visiomedia.sdp.local import LocalTransport, OutgoingStream
from visiomedia.sdp.negotiation import SectionPlan, choose_format, create_answer
from visiomedia.sdp.offer import OfferedSection, check_answer, create_offer

CANDIDATE = "candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host"


def local_transport(version: int) -> LocalTransport:
    return LocalTransport(
        ufrag="serverfrag",
        password="p" * 24,
        fingerprint="sha-256 " + ":".join(["AB"] * 32),
        candidates=[Candidate.parse(CANDIDATE.removeprefix("candidate:"))],
        version=version,
    )


def media_track(number: int, codec: Codec, *, is_audio: bool) -> MediaTrack:
    return MediaTrack(Handle(number, 0), Handle(0, 0), codec, is_audio, "cname")


@dataclass(eq=False)
class FakeChannel:
    label: str
    is_open: bool = True
    buffered_amount: int = 0
    on_message: Callable[[bytes | str], None] | None = None
    sent: list[bytes | str] = field(default_factory=list)
    is_full: bool = False

    def send(self, data: bytes | str) -> None:
        if self.is_full:
            raise CapacityError("send buffer", 1, "bytes")
        self.sent.append(data)


@dataclass(eq=False)
class FakeSection:
    mid: str
    kind: str
    offered: MediaDescription
    track: MediaTrack | None = None


class FakePublisher:
    """Answers offers by the real rules."""

    def __init__(self, on_connected: Callable[[], None], on_closed: Callable[[str], None]) -> None:
        self.connect, self.fail = on_connected, on_closed
        self.on_data_channel: Callable[[FakeChannel], None] | None = None
        self.local_candidates: Sequence[str] = [CANDIDATE]
        self.levels: dict[MediaTrack, int] = {}
        self.lost: float | None = None
        self.sections: dict[str, FakeSection] = {}
        self.is_closed = False
        self._offer: SessionDescription | None = None
        self._version = 0

    def receive_offer(self, sdp: str) -> list[FakeSection]:
        self._offer = SessionDescription.parse(sdp)
        if not self._offer.media:
            raise NegotiationError("the offer has no section to accept")
        for offered in self._offer.media:
            if not offered.is_rtp:
                continue
            section = self.sections.setdefault(offered.mid, FakeSection(offered.mid, offered.kind, offered))
            section.offered = offered
            chosen = choose_format(offered, SERVER_CAPABILITIES)
            if not offered.direction.sends or chosen is None:
                section.track = None
            elif section.track is None:
                section.track = media_track(len(self.sections), chosen[0], is_audio=offered.kind == "audio")
        return list(self.sections.values())

    def answer(self) -> str:
        assert self._offer is not None
        self._version += 1
        plans = {
            offered.mid: SectionPlan(
                receives=offered.mid in self.sections and self.sections[offered.mid].track is not None,
                sctp_port=5000 if offered.kind == "application" else None,
            )
            for offered in self._offer.media
        }
        return create_answer(self._offer, local_transport(self._version), plans, SERVER_CAPABILITIES).serialize()

    def audio_levels(self) -> Mapping[MediaTrack, int]:
        return self.levels

    def loss(self) -> float | None:
        return self.lost

    def close(self) -> None:
        self.is_closed = True

    def make_channel(self, label: str) -> FakeChannel:
        """The client makes one."""
        channel = FakeChannel(label)
        assert self.on_data_channel is not None
        self.on_data_channel(channel)
        return channel


class FakeSubscriber:
    """Offers by the real rules, and checks answers by them."""

    def __init__(self, on_connected: Callable[[], None], on_closed: Callable[[str], None]) -> None:
        self.connect, self.fail = on_connected, on_closed
        self.local_candidates: Sequence[str] = [CANDIDATE]
        self.channels: dict[str, FakeChannel] = {}
        self.needs_negotiation = False
        self.is_negotiating = False
        self.is_closed = False
        self.lost: float | None = None
        self.restarts = 0
        self.offers: list[str] = []
        self._sections: list[OfferedSection] = []
        self._last: SessionDescription | None = None
        self._ssrc = 1000

    def create_data_channel(
        self, label: str, *, ordered: bool = True, max_retransmits: int | None = None
    ) -> FakeChannel:
        assert (ordered, max_retransmits) == ((True, None) if label == "_reliable" else (False, 0))
        if not self.channels:
            self._sections.append(OfferedSection(kind="application", mid="0"))
        self.channels[label] = FakeChannel(label)
        self.needs_negotiation = True
        return self.channels[label]

    def add_sender(self, track: MediaTrack, *, stream_id: str, track_id: str) -> FakeSection:
        free = (one for one in self._sections if one.kind == track.kind and one.stream is None)
        mid = next((one.mid for one in free), str(len(self._sections)))
        self._ssrc += 1
        stream = OutgoingStream(ssrc=self._ssrc, rtx_ssrc=0, cname=track.cname, stream_id=stream_id, track_id=track_id)
        section = OfferedSection(kind=track.kind, mid=mid, stream=stream, codec=track.format)
        self._sections = [section if one.mid == mid else one for one in self._sections]
        if section not in self._sections:
            self._sections.append(section)
        self.needs_negotiation = True
        return FakeSection(mid, track.kind, MediaDescription(track.kind, 9, "UDP/TLS/RTP/SAVPF", mid))

    def loss(self) -> float | None:
        return self.lost

    def remove_sender(self, section: SendingSection) -> None:
        self._sections = [
            replace(one, stream=None, codec=None) if one.mid == section.mid else one for one in self._sections
        ]
        self.needs_negotiation = True

    def restart_ice(self) -> None:
        self.restarts += 1
        self.needs_negotiation, self.is_negotiating = True, False

    def create_offer(self) -> str:
        assert not self.is_negotiating, "one offer at a time"
        self.needs_negotiation, self.is_negotiating = False, True
        self._last = create_offer(local_transport(len(self.offers) + 1), self._sections, previous=self._last)
        self.offers.append(self._last.serialize())
        return self.offers[-1]

    def receive_answer(self, sdp: str) -> None:
        assert self._last is not None and self.is_negotiating
        check_answer(self._last, SessionDescription.parse(sdp))
        self.is_negotiating = False

    def close(self) -> None:
        self.is_closed = True


class FakePeers:
    """Remembers what it has made, in order."""

    def __init__(self) -> None:
        self.publishers: list[FakePublisher] = []
        self.subscribers: list[FakeSubscriber] = []

    def publisher(self, on_connected: Callable[[], None], on_closed: Callable[[str], None]) -> FakePublisher:
        self.publishers.append(FakePublisher(on_connected, on_closed))
        return self.publishers[-1]

    def subscriber(self, on_connected: Callable[[], None], on_closed: Callable[[str], None]) -> FakeSubscriber:
        self.subscribers.append(FakeSubscriber(on_connected, on_closed))
        return self.subscribers[-1]
