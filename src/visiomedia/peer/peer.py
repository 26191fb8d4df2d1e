"""Peer: one remote endpoint. Its description, its transport, what it sends and what is sent to it."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from visiomedia.errors import (
    CapacityError,
    ConfigurationError,
    InvalidStateError,
    NegotiationError,
    ParseError,
    VisiomediaError,
)
from visiomedia.ice.candidate import host_candidate
from visiomedia.ice.credentials import Credentials
from visiomedia.peer.binding import MediaBinding, ReceivingSection, StreamBinder
from visiomedia.peer.driver import TransportDriver
from visiomedia.plane import Plane
from visiomedia.routing.router import Subscription, Track
from visiomedia.rows import Handle
from visiomedia.rtp.extensions import KIND_BY_URI, ExtensionKind
from visiomedia.rtp.payload.codec import codec_from_name
from visiomedia.rtp.rtcp import Goodbye, parse_compound
from visiomedia.rtp.tables import NO_PRIMARY
from visiomedia.sdp.attributes import Candidate, Setup
from visiomedia.sdp.capabilities import SERVER_CAPABILITIES, Capabilities
from visiomedia.sdp.description import MediaDescription, SessionDescription
from visiomedia.sdp.negotiation import (
    LocalTransport,
    NegotiatedSection,
    OutgoingStream,
    SectionPlan,
    choose_format,
    create_answer,
    negotiated,
    offered_setup,
)
from visiomedia.srtp.certificate import Fingerprint
from visiomedia.srtp.dtls import Closed, DtlsRole, HandshakeCompleted
from visiomedia.transport.webrtc import Failed, TransportEvent, WebRtcSettings

logger = logging.getLogger(__name__)


class Transceiver:
    """One audio or video section of a peer: what comes in by it, and what goes out."""

    __slots__ = ("_peer", "kind", "mid", "offered", "outgoing", "stream", "subscription", "track")

    def __init__(self, peer: "Peer", offered: MediaDescription) -> None:
        self._peer = peer
        self.mid = offered.mid
        self.kind = offered.kind
        self.offered = offered
        self.track: Track | None = None
        """What the peer publishes here."""
        self.outgoing: Track | None = None
        self.stream: OutgoingStream | None = None
        self.subscription: Subscription | None = None

    def send(self, track: Track, *, stream_id: str | None = None) -> None:
        """Forward a track to the peer by this section, from the next answer on.

        ``stream_id``: tracks with one are played together; by default those of one publisher are.
        Raises InvalidStateError where another is sent here already.
        """
        if self.outgoing is not None:
            raise InvalidStateError(f"section {self.mid!r} sends a track already")
        router, transport = self._peer.plane.router, self._peer.transport
        self.outgoing = track
        self.stream = OutgoingStream(
            ssrc=router.new_ssrc(transport),
            rtx_ssrc=0 if track.is_audio else router.new_ssrc(transport),
            cname=track.cname,
            stream_id=stream_id or track.cname,
            track_id=f"{track.kind}-{track.handle.row}-{track.handle.generation}",
        )

    def stop(self) -> None:
        """Forward nothing more by this section."""
        if self.subscription is not None:
            self._peer.plane.router.unsubscribe(self.subscription)
            self._peer.plane.wake()
        self.outgoing = self.stream = self.subscription = None


class Peer:
    """A remote WebRTC endpoint on a plane. ``async with Peer(plane) as peer:`` closes it at the end.

    ``receive_offer`` tells what the peer has; decide with ``Transceiver.send`` what it gets; ``answer`` settles both.
    """

    def __init__(
        self,
        plane: Plane,
        *,
        capabilities: Capabilities = SERVER_CAPABILITIES,
        settings: WebRtcSettings | None = None,
        on_closed: Callable[[str], object] | None = None,
    ) -> None:
        self.plane = plane
        self.transceivers: dict[str, Transceiver] = {}
        """By mid, in the order of the description."""
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done with the keys; cancelled where the peer ends before."""
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done with the reason when the peer has ended."""
        self._capabilities = capabilities
        self._settings = settings
        self._on_closed = on_closed
        self._driver: TransportDriver | None = None
        self._offer: SessionDescription | None = None
        self._remote: Credentials | None = None
        self._version = 0
        self._cname = plane.router.new_cname()
        self._binder = StreamBinder()
        self._sources: dict[int, Handle] = {}
        self._negotiated: dict[str, NegotiatedSection] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def transport(self) -> Handle:
        """The transport's row. Raises InvalidStateError before the first description."""
        if self._driver is None:
            raise InvalidStateError("there is no description yet")
        return self._driver.handle

    @property
    def tracks(self) -> list[Track]:
        """What the peer publishes."""
        return [transceiver.track for transceiver in self.transceivers.values() if transceiver.track is not None]

    # --- negotiation ----------------------------------------------------------------------------------------------

    def receive_offer(self, sdp: str) -> list[Transceiver]:
        """Take in an offer; returns its audio and video sections, in order.

        Raises:
            ParseError: it is no session description.
            NegotiationError: it lacks what a transport needs.
            CapacityError: the plane is full.
        """
        if self.closed.done():
            raise InvalidStateError("the peer has ended")
        with self._ends_without_a_description():
            return self._receive_offer(SessionDescription.parse(sdp))

    @contextmanager
    def _ends_without_a_description(self) -> Iterator[None]:
        """A peer whose first negotiation fails has nothing to live for; a later one changes nothing."""
        try:
            yield
        except VisiomediaError as error:
            if self._remote is None:
                self.close(f"negotiation failed: {error}")
            raise

    def _receive_offer(self, offer: SessionDescription) -> list[Transceiver]:
        self._check_transport(offer)
        if self._driver is None:
            self._driver = TransportDriver(
                self.plane,
                handle_event=self._handle_event,
                handle_unknown_media=self._bind,
                handle_rtcp=self._handle_rtcp,
                takes_reduced_size=all(section.reduced_size_rtcp for section in offer.media if section.is_rtp),
                settings=self._settings,
            )
        self._offer = offer
        for section in offer.media:
            if section.is_rtp and section.kind in ("audio", "video") and not section.is_rejected:
                self._receive_section(section)
        for transceiver in self.transceivers.values():
            present = offer.section(transceiver.mid)
            if present is None or present.is_rejected:
                self._end_track(transceiver)
                transceiver.stop()
        return [self.transceivers[section.mid] for section in offer.media if section.mid in self.transceivers]

    @staticmethod
    def _check_transport(offer: SessionDescription) -> None:
        live = [section for section in offer.media if not section.is_rejected]
        if not live:
            raise NegotiationError("the offer has no section to accept")
        mids = [section.mid for section in offer.media]
        if len(set(mids)) != len(mids) or "" in mids:
            raise NegotiationError("every section needs a mid of its own (a=mid, RFC 5888)")
        transport = live[0].transport
        if transport.ice_ufrag is None or transport.ice_password is None:
            raise NegotiationError("the offer lacks ICE credentials (a=ice-ufrag, a=ice-pwd)")
        if not transport.fingerprints:
            raise NegotiationError("the offer lacks a certificate's fingerprint (a=fingerprint)")

    def _receive_section(self, section: MediaDescription) -> None:
        transceiver = self.transceivers.get(section.mid)
        if transceiver is None:
            transceiver = self.transceivers[section.mid] = Transceiver(self, section)
        transceiver.offered = section
        chosen = choose_format(section, self._capabilities)
        if not section.direction.sends or chosen is None:
            self._end_track(transceiver)
        elif transceiver.track is None:
            transceiver.track = self.plane.router.add_track(
                self.transport, format=chosen[0], is_audio=section.kind == "audio", cname=self._cname
            )

    def _end_track(self, transceiver: Transceiver) -> None:
        if transceiver.track is not None:
            gone = set(transceiver.track.sources.values())
            self._sources = {ssrc: source for ssrc, source in self._sources.items() if source not in gone}
            self.plane.router.remove_track(transceiver.track)
            self.plane.wake()
            transceiver.track = None

    def answer(self) -> str:
        """The answer to the last offer.

        Raises InvalidStateError without one, NegotiationError where none is possible.
        """
        if self._offer is None or self._driver is None:
            raise InvalidStateError("there is no offer to answer")
        with self._ends_without_a_description():
            return self._answer(self._offer, self._driver)

    def _answer(self, offer: SessionDescription, driver: TransportDriver) -> str:
        now = self.plane.clock.monotonic()
        live = next(section for section in offer.media if not section.is_rejected)
        try:
            remote = Credentials(live.transport.ice_ufrag or "", live.transport.ice_password or "")
            fingerprints = tuple(Fingerprint.parse(value) for value in live.transport.fingerprints)
        except (ParseError, ConfigurationError) as error:
            raise NegotiationError(f"the offer's transport: {error}") from error
        if self._remote is not None and remote != self._remote:
            driver.restart_ice(remote)
        answer = create_answer(offer, self._local_transport(), self._plans(), self._capabilities)
        for section, offered in zip(answer.media, offer.media, strict=True):
            if section.is_rtp:
                self._negotiated[section.mid] = negotiated(section, offered)
        self._offer = None
        self._settle()
        role = DtlsRole.CLIENT if offered_setup(offer) is Setup.PASSIVE else DtlsRole.SERVER
        driver.set_remote(remote, role, fingerprints, now)
        self._remote = remote
        if self.connected.done():
            self._subscribe()
        return answer.serialize()

    def _plans(self) -> Mapping[str, SectionPlan]:
        plans = {}
        for transceiver in self.transceivers.values():
            if transceiver.outgoing is not None and transceiver.outgoing.is_closed:
                transceiver.stop()
            wanted = transceiver.track or transceiver.outgoing
            plans[transceiver.mid] = SectionPlan(
                receives=transceiver.track is not None,
                stream=transceiver.stream,
                codec=None if wanted is None else wanted.format,
            )
        return plans

    def _local_transport(self) -> LocalTransport:
        assert self._driver is not None, "a description has come"
        self._version += 1
        engine = self._driver.engine
        candidates = []
        for preference, address in enumerate(self.plane.local_addresses):
            host = host_candidate(address.host, address.port, local_preference=65535 - preference)
            candidates.append(Candidate.parse(host.serialize().removeprefix("candidate:")))
        return LocalTransport(
            ufrag=engine.local_credentials.ufrag,
            password=engine.local_credentials.password,
            fingerprint=engine.fingerprint.serialize(),
            candidates=candidates,
            session_id=int.from_bytes(engine.local_credentials.ufrag.encode()[:6], "big"),
            version=self._version,
        )

    def _settle(self) -> None:
        """Tell the plane what ids and payload types mean, and the binder what may come."""
        assert self._driver is not None, "a description has come"
        received: dict[int, int] = {}
        kinds: dict[int, ExtensionKind] = {}
        payload_types: dict[int, tuple[int, int, bool, int, int]] = {}
        sections: dict[str, ReceivingSection] = {}
        mixed = True
        for section in self._negotiated.values():
            if section.codec is None:
                continue
            mixed = mixed and section.allows_mixed_extensions
            for identifier, uri in section.extensions.items():
                kinds[identifier] = KIND_BY_URI[uri]
                received[identifier] = int(KIND_BY_URI[uri])
            is_audio = section.kind == "audio"
            for codec in section.receive_codecs:
                primary = NO_PRIMARY if codec.apt is None else codec.apt
                number = codec.payload_type
                payload_types[number] = (
                    number,
                    codec_from_name(codec.name),
                    is_audio,
                    primary,
                    codec.clock_rate,
                )
            if section.receives:
                sections[section.mid] = ReceivingSection(
                    mid=section.mid,
                    payload_types=frozenset({section.codec.payload_type}),
                    repair_payload_types=frozenset({section.rtx.payload_type} if section.rtx else ()),
                    rids=section.rids,
                    declared=dict(section.ssrcs),
                )
        sent = {int(kind): identifier for identifier, kind in kinds.items()}
        self.plane.set_extensions(self.transport, received=received, sent=sent, mixed=mixed)
        self.plane.set_payload_types(self.transport, list(payload_types.values()))
        self._binder.update(sections, kinds)

    # --- what the transport says ------------------------------------------------------------------------------------

    def _handle_event(self, event: TransportEvent) -> None:
        match event:
            case HandshakeCompleted():
                if not self.connected.done():
                    self.connected.set_result(None)
                self._subscribe()
            case Failed(reason) | Closed(reason):
                # The engine is in the middle of its drain: what it still has to say goes out first.
                asyncio.get_running_loop().call_soon(self.close, reason)

    def _subscribe(self) -> None:
        """Keys are there: start what was asked to be sent."""
        for transceiver in self.transceivers.values():
            section = self._negotiated.get(transceiver.mid)
            track, stream = transceiver.outgoing, transceiver.stream
            if section is None or section.codec is None or not section.sends or transceiver.subscription is not None:
                continue
            if track is None or stream is None or track.is_closed:
                continue
            try:
                transceiver.subscription = self.plane.router.subscribe(
                    track,
                    self.transport,
                    ssrc=stream.ssrc,
                    rtx_ssrc=stream.rtx_ssrc,
                    payload_type=section.codec.payload_type,
                    rtx_payload_type=section.rtx.payload_type if section.rtx else 0,
                    mid=transceiver.mid if len(transceiver.mid) <= 16 else "",
                )
            except CapacityError as error:
                logger.warning("a track is not forwarded: %s", error)
        self.plane.wake()

    def _bind(self, packet: bytes) -> None:
        """An SSRC that nothing has bound: find its section and layer."""
        try:
            binding = self._binder.bind(packet)
        except ParseError:
            return
        if binding is None or self._is_bound(binding.ssrc):
            return
        track = self.transceivers[binding.mid].track
        if track is None:
            return
        router = self.plane.router
        try:
            if isinstance(binding, MediaBinding):
                self._sources[binding.ssrc] = router.add_source(track, binding.ssrc, binding.layer)
            else:
                repaired = track.sources.get(binding.layer)
                if repaired is None or not router.has_source(repaired):
                    return
                self._sources[binding.ssrc] = router.add_repair_source(track, binding.ssrc, repaired)
        except CapacityError as error:
            logger.warning("an SSRC is not bound: %s", error)
            return
        self._binder.note_bound(binding)
        self.plane.wake()

    def _is_bound(self, ssrc: int) -> bool:
        """Whether an SSRC has a source; one that another took over its layer from may come back."""
        source = self._sources.get(ssrc)
        return source is not None and self.plane.router.has_source(source)

    def _handle_rtcp(self, compound: bytes) -> None:
        """A goodbye frees the SSRCs it names (RFC 3550 section 6.6); media of theirs would be bound again."""
        try:
            packets = parse_compound(compound)
        except ParseError:
            return
        for packet in packets:
            if isinstance(packet, Goodbye):
                for ssrc in packet.ssrcs:
                    source = self._sources.pop(ssrc, None)
                    if source is not None:
                        self.plane.router.remove_source(source)
        self.plane.wake()

    # --- the end ----------------------------------------------------------------------------------------------------

    def close(self, reason: str = "closed here") -> None:
        """End: what it published and what it was sent, then its transport. Harmless when it has ended."""
        if self.closed.done():
            return
        self.closed.set_result(reason)
        if not self.connected.done():
            self.connected.cancel()
        for transceiver in self.transceivers.values():
            transceiver.stop()
            self._end_track(transceiver)
        if self._driver is not None:
            self._driver.close()
        if self._on_closed is not None:
            self._on_closed(reason)
