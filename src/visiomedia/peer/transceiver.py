"""Transceiver: one audio or video section of a peer (RFC 9429 section 3.4.1)."""

from typing import Protocol

from visiomedia.errors import InvalidStateError
from visiomedia.plane import Plane
from visiomedia.routing.router import Subscription, Track
from visiomedia.rows import Handle
from visiomedia.sdp.description import MediaDescription
from visiomedia.sdp.negotiation import OutgoingStream


class _Owner(Protocol):
    """The peer whose section it is."""

    plane: Plane

    @property
    def transport(self) -> Handle:
        """Its transport's row."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing can be sent any more."""


class Transceiver:
    """One audio or video section of a peer: what comes in by it, and what goes out."""

    __slots__ = ("_offered", "_peer", "is_wanted", "kind", "mid", "outgoing", "stream", "subscription", "track")

    def __init__(self, peer: _Owner, mid: str, kind: str, offered: MediaDescription | None = None) -> None:
        self._peer = peer
        self.mid = mid
        self.kind = kind
        self._offered = offered
        self.is_wanted = False
        """Whether an offer of ours asks the peer to send here."""
        self.track: Track | None = None
        """What the peer publishes here."""
        self.outgoing: Track | None = None
        self.stream: OutgoingStream | None = None
        self.subscription: Subscription | None = None

    @property
    def offered(self) -> MediaDescription:
        """As the peer offered it last. Raises InvalidStateError for a section of our own offer."""
        if self._offered is None:
            raise InvalidStateError(f"section {self.mid!r} was offered by us")
        return self._offered

    @offered.setter
    def offered(self, section: MediaDescription) -> None:
        self._offered = section

    def send(self, track: Track, *, stream_id: str | None = None, track_id: str | None = None) -> None:
        """Forward a track to the peer by this section, from the next negotiation on.

        ``stream_id``: tracks with one are played together; by default those of one publisher are. ``track_id``: what
        the receiver's track is called.

        Raises InvalidStateError where another is sent here already, or the peer has ended.
        """
        if self._peer.has_ended:
            raise InvalidStateError("the peer has ended")
        if self.outgoing is not None and self.outgoing.is_closed:
            self.stop()
        if self.outgoing is not None:
            raise InvalidStateError(f"section {self.mid!r} sends a track already")
        router, transport = self._peer.plane.router, self._peer.transport
        self.outgoing = track
        self.stream = OutgoingStream(
            ssrc=router.new_ssrc(transport),
            rtx_ssrc=0 if track.is_audio else router.new_ssrc(transport),
            cname=track.cname,
            stream_id=stream_id or track.cname,
            track_id=track_id or f"{track.kind}-{track.handle.row}-{track.handle.generation}",
        )

    def stop(self) -> None:
        """Forward nothing more by this section."""
        if self.subscription is not None:
            self._peer.plane.router.unsubscribe(self.subscription)
            self._peer.plane.wake()
        self.outgoing = self.stream = self.subscription = None
