"""Peer: one remote endpoint. Its description, its transport, what it sends and what is sent to it."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from visiomedia.engine import Address
from visiomedia.errors import (
    CapacityError,
    InvalidStateError,
    VisiomediaError,
)
from visiomedia.ice.candidate import host_candidate
from visiomedia.ice.credentials import Credentials
from visiomedia.peer.data_channel import SETTINGS as SCTP
from visiomedia.peer.data_channel import DataChannel, DataChannels
from visiomedia.peer.driver import TransportDriver
from visiomedia.peer.full_agent import FullAgent
from visiomedia.peer.remote_transport import RemoteTransport
from visiomedia.peer.settlement import Settlement
from visiomedia.peer.sources import Sources
from visiomedia.peer.transceiver import Transceiver
from visiomedia.plane import Plane, TransportOwner
from visiomedia.routing.router import Track
from visiomedia.rows import Handle
from visiomedia.sdp.attributes import Candidate
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
)
from visiomedia.sdp.offer import OfferedSection, check_answer, create_offer
from visiomedia.srtp.dtls import ApplicationDataReceived, Closed, DtlsRole, HandshakeCompleted
from visiomedia.transport.webrtc import Failed, TransportEvent, WebRtcSettings

logger = logging.getLogger(__name__)

DATA_MID = "data"
"""Names the section of data channels in our offers."""

SCTP_PORT = 5000
"""RFC 8841 section 5 leaves it free; everybody says 5000."""


DATA_PLAN = SectionPlan(sctp_port=SCTP_PORT, max_message_size=SCTP.maximum_message)


class Peer:
    """A remote WebRTC endpoint on a plane. ``async with Peer(plane) as peer:`` closes it at the end.

    Where the peer offers: ``receive_offer`` tells what it has; decide with ``Transceiver.send`` what it gets;
    ``answer`` settles both. Where we offer: ``add_sender``, ``add_receiver`` and ``create_data_channel``,
    ``create_offer``, then ``receive_answer``; ``needs_negotiation`` says when the next is due. One side makes all
    offers of a peer: whoever made the first. Data channels are opened by either side.
    """

    def __init__(
        self,
        plane: Plane,
        *,
        capabilities: Capabilities = SERVER_CAPABILITIES,
        settings: WebRtcSettings | None = None,
        agent: FullAgent | None = None,
        on_closed: Callable[[str], object] | None = None,
        on_data_channel: Callable[[DataChannel], object] | None = None,
    ) -> None:
        self.plane = plane
        self.on_data_channel = on_data_channel
        """Called with each data channel that the peer has opened; what it sends comes after the call."""
        self.transceivers: dict[str, Transceiver] = {}
        """By mid, in the order of the description."""
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done with the keys; cancelled where the peer ends before."""
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done with the reason when the peer has ended."""
        self._capabilities = capabilities
        self._settings = settings
        self._agent = agent
        self._on_closed = on_closed
        self._driver: TransportDriver | None = None
        self._offer: tuple[SessionDescription, RemoteTransport] | None = None
        self._remote: RemoteTransport | None = None
        self._version = 0
        self._cname = plane.router.new_cname()
        self._sources = Sources(plane, self._published_by)
        self._negotiated: dict[str, NegotiatedSection] = {}
        self.needs_negotiation = False
        """Whether something has changed that only an offer of ours can tell the peer."""
        self._own_offer: SessionDescription | None = None
        self._told: dict[str, OutgoingStream | None] = {}
        """What our last description says we send, by mid."""
        self._described: SessionDescription | None = None
        self._data = DataChannels(plane.clock, self._tell_data_channel)

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
    def has_ended(self) -> bool:
        """Whether it is closed."""
        return self.closed.done()

    def use_address(self, address: Address) -> None:
        """A full agent has nominated this address. See ``FullAgent.run``."""
        if self._driver is not None:
            self._driver.use_address(address)

    @property
    def owner(self) -> TransportOwner:
        """Who gets what the plane hands up of this peer. Raises InvalidStateError before the first description."""
        if self._driver is None:
            raise InvalidStateError("there is no description yet")
        return self._driver

    @property
    def remote_credentials(self) -> Credentials:
        """The peer's, of its last description. Raises InvalidStateError before it."""
        if self._remote is None:
            raise InvalidStateError("the peer has described nothing yet")
        return self._remote.credentials

    @property
    def tracks(self) -> list[Track]:
        """What the peer publishes."""
        return [transceiver.track for transceiver in self.transceivers.values() if transceiver.track is not None]

    def _published_by(self, mid: str) -> Track | None:
        return self.transceivers[mid].track

    # --- negotiation ----------------------------------------------------------------------------------------------

    def receive_offer(self, sdp: str) -> list[Transceiver]:
        """Take in an offer; returns its audio and video sections, in order.

        Raises:
            ParseError: it is no session description.
            NegotiationError: it lacks what a transport needs, or wants another transport than before.
            CapacityError: the plane is full.
        """
        if self.closed.done():
            raise InvalidStateError("the peer has ended")
        if self._described is not None or self._own_offer is not None:
            raise InvalidStateError("offers of this peer are made here")
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
        remote = self._remote_transport(offer)
        if self._driver is None:
            rtp = [section for section in offer.media if section.is_rtp]
            self._driver = self._make_driver(takes_reduced_size=all(section.reduced_size_rtcp for section in rtp))
        known = set(self.transceivers)
        try:
            for section in offer.media:
                if section.is_rtp and section.kind in ("audio", "video") and not section.is_rejected:
                    self._receive_section(section)
        except CapacityError:
            for mid in self.transceivers.keys() - known:
                self._end_track(self.transceivers.pop(mid))
            raise
        self._offer = offer, remote
        for transceiver in self.transceivers.values():
            present = offer.section(transceiver.mid)
            if present is None or present.is_rejected:
                self._end_track(transceiver)
                transceiver.stop()
        return [self.transceivers[section.mid] for section in offer.media if section.mid in self.transceivers]

    def _make_driver(self, *, takes_reduced_size: bool) -> TransportDriver:
        return TransportDriver(
            self.plane,
            handle_event=self._handle_event,
            handle_unknown_media=self._sources.receive_unknown_media,
            handle_rtcp=self._sources.receive_rtcp,
            takes_reduced_size=takes_reduced_size,
            settings=self._settings,
            agent=self._agent,
        )

    def _remote_transport(self, description: SessionDescription) -> RemoteTransport:
        remote = RemoteTransport.of(description)
        if self._remote is not None:
            remote.check_follows(self._remote)
        return remote

    def _receive_section(self, section: MediaDescription) -> None:
        transceiver = self.transceivers.get(section.mid)
        if transceiver is None:
            transceiver = self.transceivers[section.mid] = Transceiver(self, section.mid, section.kind)
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
            self._sources.remove_track(transceiver.track)
            transceiver.track = None

    def answer(self) -> str:
        """The answer to the last offer.

        Raises InvalidStateError without one, NegotiationError where none is possible.
        """
        if self._offer is None or self._driver is None:
            raise InvalidStateError("there is no offer to answer")
        with self._ends_without_a_description():
            return self._answer(*self._offer, self._driver)

    def _answer(self, offer: SessionDescription, remote: RemoteTransport, driver: TransportDriver) -> str:
        if self._remote is not None and remote.credentials != self._remote.credentials:
            driver.restart_ice(remote.credentials)
        answer = create_answer(offer, self._local_transport(), self._plans(offer), self._capabilities)
        for section, offered in zip(answer.media, offer.media, strict=True):
            if section.is_rtp or section.is_data_channel:
                self._negotiated[section.mid] = negotiated(section, offered)
        self._offer = None
        self._told = {transceiver.mid: transceiver.stream for transceiver in self.transceivers.values()}
        self._settle(driver, remote)
        return answer.serialize()

    def _settle(self, driver: TransportDriver, remote: RemoteTransport) -> None:
        """Both descriptions are known: what follows from them begins."""
        Settlement.of(self._negotiated.values()).apply(self.plane, self.transport, self._sources.binder)
        data = next((s for s in self._negotiated.values() if s.kind == "application" and s.is_accepted), None)
        if data is not None:
            self._data.negotiated(
                driver,
                is_client=remote.role is DtlsRole.CLIENT,
                remote_port=data.sctp_port or SCTP_PORT,
                peer_takes=data.max_message_size or 0,
            )
        driver.set_remote(remote.credentials, remote.role, remote.fingerprints, self.plane.clock.monotonic())
        self._remote = remote
        if self.connected.done():
            self._subscribe()
            self._data.start()

    def _plans(self, offer: SessionDescription) -> Mapping[str, SectionPlan]:
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
        plans.update(dict.fromkeys(self._data_mids(offer), DATA_PLAN))
        return plans

    @staticmethod
    def _data_mids(offer: SessionDescription) -> list[str]:
        """Of the one section of data channels that is taken: the first."""
        return [section.mid for section in offer.media if section.is_data_channel and not section.is_rejected][:1]

    # --- offers of ours ---------------------------------------------------------------------------------------------

    @property
    def is_negotiating(self) -> bool:
        """Whether an offer of ours waits for its answer."""
        return self._own_offer is not None

    def add_sender(self, track: Track, *, stream_id: str | None = None, track_id: str | None = None) -> Transceiver:
        """Forward a track to the peer, from the next negotiation that we offer on.

        A section that sends nothing any more is taken again: a description does not grow with those who come and go.
        Raises InvalidStateError where the peer offers or has ended, CapacityError.
        """
        self._begin_to_offer()
        free = (t for t in self.transceivers.values() if t.kind == track.kind and t.outgoing is None)
        transceiver = next(free, None)
        if transceiver is None:
            transceiver = Transceiver(self, str(len(self.transceivers)), track.kind)
        transceiver.send(track, stream_id=stream_id, track_id=track_id)
        self.transceivers[transceiver.mid] = transceiver
        self.needs_negotiation = True
        return transceiver

    def remove_sender(self, transceiver: Transceiver) -> None:
        """Forward nothing by this section any more. Harmless when it has stopped, or the track has ended."""
        if transceiver.outgoing is not None:
            transceiver.stop()
            self.needs_negotiation = True

    def add_receiver(self, kind: str) -> Transceiver:
        """Offer to receive ``audio`` or ``video``, from the next negotiation on; its ``track`` is there after it.

        Raises InvalidStateError where the peer offers or has ended.
        """
        self._begin_to_offer()
        transceiver = Transceiver(self, str(len(self.transceivers)), kind)
        transceiver.is_wanted = True
        self.transceivers[transceiver.mid] = transceiver
        self.needs_negotiation = True
        return transceiver

    def create_data_channel(
        self,
        label: str,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_lifetime: float | None = None,
    ) -> DataChannel:
        """A data channel of ours (RFC 8831), of which the peer learns; it can send once ``is_open``.

        ``max_retransmits`` or ``max_lifetime`` (seconds) make it lossy.
        Raises InvalidStateError where the peer offers and has offered no data channels, or has ended; CapacityError.
        """
        if self.closed.done():
            raise InvalidStateError("the peer has ended")
        if not self._data.is_negotiated:
            self._begin_to_offer()
            self.needs_negotiation = self.needs_negotiation or not self._data.is_wanted
        return self._data.create(
            label, protocol=protocol, ordered=ordered, max_retransmits=max_retransmits, max_lifetime=max_lifetime
        )

    def restart_ice(self) -> None:
        """Take new ICE credentials with the next offer of ours, which replaces one that waits for its answer."""
        self._begin_to_offer()
        assert self._driver is not None, "whoever offers has a transport"
        self._own_offer = None
        self.needs_negotiation = True
        if self._remote is not None:
            self._driver.restart_ice(None)

    def create_offer(self) -> str:
        """An offer of everything there is; its answer is due before the next one.

        Raises InvalidStateError where one waits for its answer, the peer offers or has ended, or there is nothing.
        """
        self._begin_to_offer()
        if self._own_offer is not None:
            raise InvalidStateError("an offer waits for its answer")
        sections = [
            OfferedSection(
                kind=transceiver.kind,
                mid=transceiver.mid,
                receives=transceiver.is_wanted,
                stream=transceiver.stream,
                codec=None if transceiver.outgoing is None else transceiver.outgoing.format,
            )
            for transceiver in self.transceivers.values()
        ]
        if self._data.is_wanted:
            sections.append(
                OfferedSection(
                    kind="application", mid=DATA_MID, sctp_port=SCTP_PORT, max_message_size=SCTP.maximum_message
                )
            )
        if not sections:
            raise InvalidStateError("there is nothing to offer: add a sender, a receiver or a data channel first")
        offer = create_offer(self._local_transport(), sections, self._capabilities, self._described)
        self._own_offer = self._described = offer
        self._told = {transceiver.mid: transceiver.stream for transceiver in self.transceivers.values()}
        self.needs_negotiation = False
        return offer.serialize()

    def receive_answer(self, sdp: str) -> None:
        """Take in the answer to our offer.

        Raises:
            ParseError: it is no session description.
            NegotiationError: it does not fit the offer.
            InvalidStateError: no offer waits for one.
        """
        if self._own_offer is None or self._driver is None:
            raise InvalidStateError("no offer waits for an answer")
        with self._ends_without_a_description():
            answer = SessionDescription.parse(sdp)
            settled = check_answer(self._own_offer, answer)
            remote = self._remote_transport(answer)
            self._own_offer = None
            self._negotiated = settled
            for transceiver in self.transceivers.values():
                if transceiver.mid in settled:  # else it was added after the offer, for the next
                    self._receive_answered(transceiver, settled[transceiver.mid])
            self._settle(self._driver, remote)

    def _receive_answered(self, transceiver: Transceiver, section: NegotiatedSection) -> None:
        if not section.receives or section.codec is None:
            self._end_track(transceiver)
        elif transceiver.track is None:
            transceiver.track = self.plane.router.add_track(
                self.transport, format=section.codec, is_audio=transceiver.kind == "audio", cname=self._cname
            )

    def _begin_to_offer(self) -> None:
        if self.closed.done():
            raise InvalidStateError("the peer has ended")
        if self._described is None and (self._remote is not None or self._offer is not None):
            raise InvalidStateError("the peer makes the offers")
        if self._driver is None:
            # Before the first answer nobody knows whether reduced-size RTCP is taken; compounds always are.
            self._driver = self._make_driver(takes_reduced_size=False)

    @property
    def local_candidates(self) -> list[str]:
        """Where we listen, best first: ``candidate:`` and what follows (RFC 8839 section 5.1)."""
        return [
            "candidate:" + host_candidate(address.host, address.port, local_preference=65535 - preference).serialize()
            for preference, address in enumerate(self.plane.local_addresses)
        ]

    def _local_transport(self) -> LocalTransport:
        assert self._driver is not None, "a description has come"
        self._version += 1
        engine = self._driver.engine
        candidates = [Candidate.parse(line.removeprefix("candidate:")) for line in self.local_candidates]
        return LocalTransport(
            ufrag=engine.local_credentials.ufrag,
            password=engine.local_credentials.password,
            fingerprint=engine.fingerprint.serialize(),
            candidates=candidates,
            is_lite=self._agent is None,
            session_id=int.from_bytes(engine.local_credentials.ufrag.encode()[:6], "big"),
            version=self._version,
        )

    # --- what the transport says ------------------------------------------------------------------------------------

    def _handle_event(self, event: TransportEvent) -> None:
        match event:
            case HandshakeCompleted():
                if not self.connected.done():
                    self.connected.set_result(None)
                self._subscribe()
                self._data.start()
            case ApplicationDataReceived(data):
                self._data.receive(data)
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
            if track is None or stream is None or track.is_closed or self._told.get(transceiver.mid) is not stream:
                continue  # what was changed since the description waits for the next
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

    def _tell_data_channel(self, channel: DataChannel) -> None:
        if self.on_data_channel is not None:
            self.on_data_channel(channel)

    def audio_levels(self) -> dict[Track, int]:
        """How loud each track was since the last call, by the senders' own account: -dBov, 0 the loudest (RFC 6464).

        Tracks of which nothing came are left out.
        """
        return self._sources.audio_levels(self.tracks)

    def loss(self) -> float | None:
        """The share of packets that the peer's network loses, 0 to 1: of what it sent since the last call, or of what
        it reported last of what it is sent, whichever is more. None where nothing is known."""
        sent = [transceiver.subscription for transceiver in self.transceivers.values() if transceiver.subscription]
        reported = [loss for each in sent if (loss := self.plane.router.reported_loss(each)) is not None]
        known = [loss for loss in (self._sources.loss(self.tracks),) if loss is not None]
        if reported:
            known.append(sum(reported) / len(reported))
        return max(known, default=None)

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
        self._data.close()
        if self._driver is not None:
            self._driver.close()
        if self._on_closed is not None:
            self._on_closed(reason)
