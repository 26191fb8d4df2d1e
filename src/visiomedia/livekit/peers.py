"""What a session needs of its two peer connections."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from visiomedia.routing.router import Track as MediaTrack
from visiomedia.sdp.description import MediaDescription


class DataChannel(Protocol):
    """A data channel of either side's making."""

    on_message: Callable[[bytes | str], None] | None

    @property
    def label(self) -> str:
        """Its name."""

    @property
    def is_open(self) -> bool:
        """Whether it can send."""

    @property
    def buffered_amount(self) -> int:
        """Bytes that wait."""

    def send(self, data: bytes | str) -> None:
        """Send a message."""


class Section(Protocol):
    """An audio or video section of a peer connection."""

    @property
    def mid(self) -> str:
        """Its name in SDP."""

    @property
    def kind(self) -> str:
        """``audio`` or ``video``."""

    @property
    def offered(self) -> MediaDescription:
        """As the peer offered it last."""

    @property
    def track(self) -> MediaTrack | None:
        """What the peer publishes in it."""


class SendingSection(Protocol):
    """A section that we send in."""

    @property
    def mid(self) -> str:
        """Its name in SDP."""


class AnsweringPeer(Protocol):
    """The publisher's peer connection: the client offers."""

    on_data_channel: Callable[..., None] | None

    @property
    def local_candidates(self) -> Sequence[str]:
        """``candidate:`` and what follows, best first."""

    def receive_offer(self, sdp: str) -> Sequence[Section]:
        """Take in an offer; returns its audio and video sections."""

    def answer(self) -> str:
        """The answer to it."""

    def audio_levels(self) -> Mapping[MediaTrack, int]:
        """What was heard since the last call: tracks' levels in -dBov."""

    def loss(self) -> float | None:
        """The share of packets that the client's network loses, 0 to 1; None where nothing is known."""

    def close(self) -> None:
        """End."""


class OfferingPeer(Protocol):
    """The subscriber's peer connection: we offer."""

    @property
    def local_candidates(self) -> Sequence[str]:
        """``candidate:`` and what follows, best first."""

    @property
    def needs_negotiation(self) -> bool:
        """Whether something has changed since the last offer."""

    @property
    def is_negotiating(self) -> bool:
        """Whether an offer waits for its answer."""

    def create_data_channel(
        self, label: str, *, ordered: bool = True, max_retransmits: int | None = None
    ) -> DataChannel:
        """A channel of ours."""

    def add_sender(self, track: MediaTrack, *, stream_id: str, track_id: str) -> SendingSection:
        """Send a track, from the next negotiation on. A section that sends nothing any more is taken again: people
        come and go, and a description must not grow with each."""

    def remove_sender(self, section: SendingSection) -> None:
        """Send it no longer."""

    def restart_ice(self) -> None:
        """Ask for new ICE credentials: ``needs_negotiation`` is true afterwards, and ``is_negotiating`` is not. The
        next offer replaces one that waits for its answer."""

    def create_offer(self) -> str:
        """An offer of everything."""

    def receive_answer(self, sdp: str) -> None:
        """The client's answer to it."""

    def loss(self) -> float | None:
        """The share of packets that the client's network loses, 0 to 1; None where nothing is known."""

    def close(self) -> None:
        """End."""


class PeerFactory(Protocol):
    """Makes the peer connections of a session. ``on_connected`` and ``on_closed`` are called at most once each."""

    def publisher(self, on_connected: Callable[[], None], on_closed: Callable[[str], None]) -> AnsweringPeer:
        """One that the client offers on."""

    def subscriber(self, on_connected: Callable[[], None], on_closed: Callable[[str], None]) -> OfferingPeer:
        """One that we offer on."""
