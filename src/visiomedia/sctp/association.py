"""An SCTP association over DTLS with data channels on it (RFC 9260, RFC 8261, RFC 8831), as one engine."""

import os
import struct
from collections import Counter
from collections.abc import Callable

from visiomedia.engine import Address, Datagram
from visiomedia.errors import AuthenticationError, ConfigurationError, InvalidStateError, ParseError
from visiomedia.sctp.channels import ChannelState, DataChannels
from visiomedia.sctp.chunks import (
    TAG_REFLECTED,
    Causes,
    Chunk,
    ChunkType,
    CookieEcho,
    Data,
    ForwardTsn,
    Heartbeat,
    Init,
    ReConfig,
    Sack,
    Shutdown,
    Signal,
    UnknownChunk,
)
from visiomedia.sctp.conversation import Conversation
from visiomedia.sctp.cookie import StateCookie
from visiomedia.sctp.dcep import DataChannelOpen
from visiomedia.sctp.events import AssociationClosed, AssociationEstablished, AssociationEvent
from visiomedia.sctp.failure import AssociationFailed
from visiomedia.sctp.handshake import MAX_REPORTED, Handshake, missing_cookie
from visiomedia.sctp.outbound import Outbound
from visiomedia.sctp.packet import HEADER_SIZE, Packet, serialize_packet
from visiomedia.sctp.packing import MAX_QUEUED, ControlQueue, PacketFiller
from visiomedia.sctp.parameters import CauseCode, Parameter
from visiomedia.sctp.repeater import Repeater
from visiomedia.sctp.settings import SctpSettings
from visiomedia.sctp.states import IS_SET_UP, SENDS_DATA, TAKES_DATA, TAKES_MESSAGES, TRANSITIONS, AssociationState

DEFAULT_PORT = 5000
DEFAULT_MAXIMUM_MESSAGE = 65_536
"""RFC 8841 section 6: what a description without ``a=max-message-size`` means."""

_ALONE = (ChunkType.INIT, ChunkType.INIT_ACK, ChunkType.SHUTDOWN_COMPLETE)
_REFLECTING = (ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE)


class Association:
    """SCTP with one peer: an Engine whose datagrams are the application data of one DTLS association.

    Made, then ``associate``d by both sides, as WebRTC does, or by one. Channels may be opened and messages sent
    before it is established. Addresses mean nothing to SCTP over DTLS (RFC 8261 section 4): datagrams carry the one
    that ``associate`` was given. Packets are filled when ``datagrams_to_send`` is called, so that what was sent
    between two calls shares them; call it after each datagram received, because acknowledgements are the peer's
    clock. An owner who leaves ``events`` unread shuts the peer's window.

    ``counters``: what was dropped and what went wrong, by name.
    """

    def __init__(
        self,
        *,
        is_client: bool,
        local_port: int = DEFAULT_PORT,
        remote_port: int = DEFAULT_PORT,
        remote_maximum_message: int = DEFAULT_MAXIMUM_MESSAGE,
        settings: SctpSettings | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """``is_client``: our DTLS role. ``remote_maximum_message``: the description's; 0 for any size.

        Raises:
            ConfigurationError: a port that is none.
        """
        for name, port in (("local_port", local_port), ("remote_port", remote_port)):
            if not 0 < port <= 0xFFFF:
                raise ConfigurationError(name, port, "1 to 65535")
        self.settings = settings or SctpSettings()
        self.counters: Counter[str] = Counter()
        self._ports = (local_port, remote_port)
        self._entropy = entropy
        self._handshake = Handshake(self.settings, entropy)
        self._state = AssociationState.CLOSED
        self._has_ended = False
        self._address: Address | None = None
        self._now = 0.0
        self._stale_cookies = 0
        self._repeater = Repeater()
        self._outgoing: list[Datagram] = []
        self._events: list[AssociationEvent] = []
        self._control = ControlQueue(self.settings.maximum_packet, self.counters)
        self._outbound = Outbound(self.settings, self._handshake.initial_tsn, self.counters)
        self._channels = DataChannels(
            self.settings,
            self._outbound,
            self._events,
            self.counters,
            is_client=is_client,
            maximum_message=min(self.settings.maximum_message, remote_maximum_message or 1 << 30),
        )
        self._peer: Conversation | None = None

    @property
    def state(self) -> AssociationState:
        """Where it stands."""
        return self._state

    @property
    def maximum_message(self) -> int:
        """Bytes of the largest message that may be sent."""
        return self._channels.maximum_message

    # --- the five doors ---------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take in one packet."""
        self._now = now
        if self._has_ended:
            self.counters["after_end"] += 1
            return
        try:
            packet = Packet.parse(data)
        except ParseError:
            self.counters["malformed"] += 1
            return
        if (packet.destination_port, packet.source_port) != self._ports:
            self.counters["wrong_port"] += 1
            return
        if self._address is None:
            self._address = address
        if not self._is_for_us(packet):
            return
        try:
            self._receive(packet, now)
        except AssociationFailed as failure:
            self._fail(failure)

    def handle_timeout(self, now: float) -> None:
        """Do what is due: send again, acknowledge, ask whether the peer is there, or give up."""
        self._now = now
        if self._has_ended:
            return
        try:
            if self._repeater.at is not None and self._repeater.at <= now:
                self._repeat(now)
            if self._peer is not None:
                self._peer.handle_timeout(now)
        except AssociationFailed as failure:
            self._fail(failure)

    def next_timeout(self) -> float | None:
        """When the first of the timers is due."""
        moments = [self._repeater.at, None if self._peer is None else self._peer.next_timeout()]
        return min((moment for moment in moments if moment is not None), default=None)

    def datagrams_to_send(self) -> list[Datagram]:
        """Packets, each at most ``settings.maximum_packet`` bytes. Filling them may set timers."""
        if self._peer is not None:
            self._fill(self._peer, self._now)
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def events(self) -> list[AssociationEvent]:
        """What happened. Reading makes room in the window: ask for datagrams afterwards if it was full."""
        events = self._events[:]
        self._events.clear()
        if self._peer is not None:
            self._peer.note_read()
        return events

    # --- verbs ------------------------------------------------------------------------------------------------------

    def associate(self, address: Address, now: float) -> None:
        """Begin; datagrams go to ``address``. Harmless when the peer was faster and it is established.

        Raises:
            InvalidStateError: begun before, or over.
        """
        if self._has_ended or self._state in (AssociationState.COOKIE_WAIT, AssociationState.COOKIE_ECHOED):
            raise InvalidStateError("an association begins once")
        self._now = now
        self._address = address
        if self._state is AssociationState.CLOSED:
            self._enter(AssociationState.COOKIE_WAIT)
            self._send_init(now)

    def shutdown(self, now: float) -> None:
        """End in good order: what is queued is sent and acknowledged first. Harmless when it is under way.

        Raises:
            InvalidStateError: not established.
        """
        if self._state not in IS_SET_UP:
            raise InvalidStateError(f"cannot shut down while {self._state.value}")
        self._now = now
        if self._state is AssociationState.ESTABLISHED:
            self._enter(AssociationState.SHUTDOWN_PENDING)
            self._advance_shutdown(now)

    def abort(self, now: float, reason: str = "") -> None:
        """End at once; what is queued is lost. Harmless when it is over."""
        self._now = now
        if not self._has_ended:
            info = reason.encode()[:MAX_REPORTED]
            self._fail(AssociationFailed("aborted", CauseCode.USER_INITIATED_ABORT, info))

    def open_channel(
        self,
        label: str,
        now: float,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_packet_life_time: int | None = None,
        priority: int = 256,
        channel_id: int | None = None,
        is_negotiated: bool = False,
    ) -> int:
        """Open a channel, and return its id at once, so that messages may follow; ``DataChannelOpened`` comes when the
        peer has acknowledged it, or for a negotiated one, of which the peer is not told, with the association.

        ``max_packet_life_time``: ms. ``channel_id``: by default the lowest that is free of our parity.

        Raises:
            ConfigurationError: values that contradict each other or do not fit their fields.
            InvalidStateError: the id is in use, or the association is over.
            CapacityError: no channel or stream is left.
        """
        self._check_takes_messages()
        if is_negotiated and channel_id is None:
            raise ConfigurationError("channel_id", channel_id, "the number that both sides have agreed on")
        self._now = now
        parameters = DataChannelOpen(label, protocol, ordered, max_retransmits, max_packet_life_time, priority)
        return self._channels.open(parameters, channel_id, is_negotiated=is_negotiated)

    def close_channel(self, channel_id: int, now: float) -> None:
        """Close a channel: what was sent on it leaves first, and ``DataChannelClosed`` comes when both sides are done.

        Raises:
            InvalidStateError: there is no such channel.
        """
        self._now = now
        self._channels.close(channel_id)

    def send(self, channel_id: int, data: bytes | str, now: float) -> None:
        """Send a message: text if ``str``. On a lossy channel the oldest messages that have not begun to leave are
        dropped when the send buffer is full, or else this one.

        Raises:
            InvalidStateError: the channel is not open or opening, or the association ends.
            ConfigurationError: longer than ``maximum_message``.
            CapacityError: the send buffer is full, and the channel is reliable: wait for ``BufferedAmountLow``.
        """
        self._check_takes_messages()
        self._now = now
        is_text = isinstance(data, str)
        self._channels.send(channel_id, data.encode() if isinstance(data, str) else data, now, is_text=is_text)

    def buffered_amount(self, channel_id: int) -> int:
        """Bytes queued on the channel that have not left yet."""
        return self._channels.buffered_amount(channel_id)

    def set_buffered_amount_low_threshold(self, channel_id: int, threshold: int) -> None:
        """``BufferedAmountLow`` comes when the buffered amount falls to this; 0 at first.

        Raises:
            InvalidStateError: there is no such channel.
        """
        self._channels.set_low_threshold(channel_id, threshold)

    def channel_state(self, channel_id: int) -> ChannelState | None:
        """Where a channel stands; None where there is none."""
        return self._channels.state(channel_id)

    def _check_takes_messages(self) -> None:
        if self._has_ended or self._state not in TAKES_MESSAGES:
            raise InvalidStateError("the association ends or has ended")

    # --- packets in -------------------------------------------------------------------------------------------------

    def _is_for_us(self, packet: Packet) -> bool:
        """Verification tags and checksums (RFC 9260 section 8.5, RFC 9653 section 5.3)."""
        if not packet.chunks:
            self.counters["empty_packet"] += 1
            return False
        first = packet.chunks[0]
        is_init = first.kind == ChunkType.INIT
        if not packet.has_checksum and (is_init or not self.settings.zero_checksum):
            self.counters["missing_checksum"] += 1
            return False
        # Section 6.10: INIT, INIT ACK and SHUTDOWN COMPLETE are bundled with nothing.
        if len(packet.chunks) > 1 and any(chunk.kind in _ALONE for chunk in packet.chunks):
            self.counters["wrongly_bundled"] += 1
            return False
        expected = 0 if is_init else self._handshake.tag
        if isinstance(first, Causes | Signal) and first.kind in _REFLECTING and first.flags & TAG_REFLECTED:
            expected = self._peer.tag if self._peer is not None else -1
        if packet.verification_tag != expected:
            self.counters["wrong_verification_tag"] += 1
            return False
        return True

    def _receive(self, packet: Packet, now: float) -> None:
        has_data = False
        for chunk in packet.chunks:
            if isinstance(chunk, UnknownChunk):
                if not self._pass_over(chunk):
                    break
            elif self._peer is not None and self._state in IS_SET_UP:
                has_data |= isinstance(chunk, Data)
                self._receive_established(self._peer, chunk, now)
            else:
                self._receive_setup(chunk, now)
            if self._has_ended:
                return
        peer = self._peer
        if peer is None:
            return
        if has_data and self._state in TAKES_DATA:
            is_shutting_down = self._state is AssociationState.SHUTDOWN_SENT
            peer.note_packet(now, is_shutting_down=is_shutting_down)
            if is_shutting_down:
                # Section 9.2: data that comes now is answered with a SACK and the SHUTDOWN again.
                self._control.append(Shutdown(peer.cumulative_tsn).serialize())
        self._advance_shutdown(now)

    def _pass_over(self, chunk: UnknownChunk) -> bool:
        """A chunk of unknown type: whether to go on behind it (RFC 9260 section 3.2)."""
        self.counters["unknown_chunk"] += 1
        if chunk.kind & 0x40 and self._peer is not None:
            report = Parameter(CauseCode.UNRECOGNIZED_CHUNK_TYPE, chunk.serialize()[:MAX_REPORTED])
            self._control.append(Causes(ChunkType.ERROR, [report]).serialize())
        return bool(chunk.kind & 0x80)

    def _receive_setup(self, chunk: Chunk, now: float) -> None:
        match chunk:
            case Init(kind=ChunkType.INIT):
                self._send_alone(self._handshake.answer(chunk, now).serialize(), chunk.initiate_tag)
            case Init():
                self._receive_init_ack(chunk, now)
            case CookieEcho():
                self._receive_cookie_echo(chunk, now)
            case Signal(kind=ChunkType.COOKIE_ACK) if self._state is AssociationState.COOKIE_ECHOED:
                self._establish(now)
            case Causes(kind=ChunkType.ABORT):
                self._end(f"aborted by the peer{_cause_names(chunk.causes)}")
            case Causes():
                self._receive_error(chunk, now)
            case _:
                self.counters["before_association"] += 1

    def _receive_established(self, peer: Conversation, chunk: Chunk, now: float) -> None:
        match chunk:
            case Data() if self._state in TAKES_DATA:
                peer.receive_data(chunk)
            case Sack():
                peer.receive_sack(chunk, now)
            case ForwardTsn() if self._state in TAKES_DATA:
                peer.receive_forward_tsn(chunk)
            case Heartbeat():
                peer.receive_heartbeat(chunk, now)
            case ReConfig() if self._state is AssociationState.ESTABLISHED:
                peer.receive_reconfig(chunk, now)
            case Shutdown():
                self._receive_shutdown(peer, chunk, now)
            case Signal():
                self._receive_signal(peer, chunk)
            case Causes(kind=ChunkType.ABORT):
                self._end(f"aborted by the peer{_cause_names(chunk.causes)}")
            case Causes():
                self.counters["error_received"] += 1
            case CookieEcho():
                self._receive_cookie_echo(chunk, now)
            case Init():
                # Departs from RFC 9260 section 5.2.2: because a peer that starts again has lost its DTLS association
                # too and cannot reach this one; what comes is late, or meant to harm.
                self.counters["init_when_established"] += 1
            case _:
                self.counters["out_of_state"] += 1

    # --- setup (RFC 9260 section 5) ---------------------------------------------------------------------------------

    def _send_init(self, now: float) -> None:
        init = self._handshake.init()
        self._repeater.start(init, now + self._outbound.rto.seconds, self.settings.maximum_init_retransmissions)
        self._send_alone(init.serialize(), 0)

    def _receive_init_ack(self, answer: Init, now: float) -> None:
        if self._state is not AssociationState.COOKIE_WAIT:
            self.counters["unexpected_init_ack"] += 1
            return
        said, echo, unrecognized = self._handshake.read_answer(answer, now)
        self._adopt(said)
        if echo is None:
            raise missing_cookie()
        self._enter(AssociationState.COOKIE_ECHOED)
        self._repeater.start(echo, now + self._outbound.rto.seconds, self.settings.maximum_init_retransmissions)
        chunks = echo.serialize()
        if unrecognized:
            # In the same packet: alone, it might overtake the echo and find nobody there.
            cause = Parameter(CauseCode.UNRECOGNIZED_PARAMETERS, unrecognized)
            report = Causes(ChunkType.ERROR, [cause]).serialize()
            if len(chunks) + len(report) <= self.settings.maximum_packet - HEADER_SIZE:
                chunks += report
        self._send_alone(chunks, answer.initiate_tag)

    def _receive_cookie_echo(self, echo: CookieEcho, now: float) -> None:
        """Section 5.2.4. When both sides begin at once each answers the other, and the first echo decides."""
        try:
            cookie = self._handshake.open_cookie(echo)
        except (ParseError, AuthenticationError):
            self.counters["bad_cookie"] += 1
            return
        is_known = self._peer is not None and self._peer.tag == cookie.remote_tag
        if self._state in IS_SET_UP:
            if not is_known:
                # Action C: of an attempt that came to nothing.
                self.counters["late_cookie"] += 1
            elif self._state is not AssociationState.SHUTDOWN_ACK_SENT:
                # Action D: our COOKIE ACK was lost.
                self._control.append(Signal(ChunkType.COOKIE_ACK).serialize())
            return
        excess = now - cookie.created - self.settings.cookie_lifetime
        if excess > 0 and not is_known:
            self.counters["stale_cookie"] += 1
            cause = Parameter(CauseCode.STALE_COOKIE, struct.pack("!I", min(int(excess * 1e6), 0xFFFFFFFF)))
            self._send_alone(Causes(ChunkType.ERROR, [cause]).serialize(), cookie.remote_tag)
            return
        if not is_known:
            # Action B, or the first that we hear of this peer.
            self._adopt(cookie)
        self._control.append(Signal(ChunkType.COOKIE_ACK).serialize())
        self._establish(now)

    def _adopt(self, peer: StateCookie) -> None:
        """Remember who the peer is."""
        self._peer = Conversation(
            peer,
            self.settings,
            self._outbound,
            self._channels,
            self._control,
            self._events,
            self.counters,
            self._entropy,
        )

    def _establish(self, now: float) -> None:
        assert self._peer is not None, "only an adopted peer gets here"
        self._repeater.stop()
        self._enter(AssociationState.ESTABLISHED)
        self._peer.begin_heartbeats(now)
        self._events.append(AssociationEstablished())
        self._channels.establish()

    def _receive_error(self, error: Causes, now: float) -> None:
        self.counters["error_received"] += 1
        is_stale = any(cause.type == CauseCode.STALE_COOKIE for cause in error.causes)
        if not is_stale or self._state is not AssociationState.COOKIE_ECHOED:
            return
        # Section 5.2.6: begin again, though not for ever.
        self._stale_cookies += 1
        if self._stale_cookies > self.settings.maximum_init_retransmissions:
            raise AssociationFailed("cookies are stale when they arrive")
        self._peer = None
        self._enter(AssociationState.COOKIE_WAIT)
        self._send_init(now)

    # --- the end (RFC 9260 section 9) -------------------------------------------------------------------------------

    def _advance_shutdown(self, now: float) -> None:
        """Go on once everything of ours is acknowledged."""
        if self._state not in (AssociationState.SHUTDOWN_PENDING, AssociationState.SHUTDOWN_RECEIVED):
            return
        peer = self._peer
        if peer is None or not self._outbound.is_empty:
            return
        if self._state is AssociationState.SHUTDOWN_PENDING:
            self._enter(AssociationState.SHUTDOWN_SENT)
            self._begin_repeating(peer, Shutdown(peer.cumulative_tsn), now)
        else:
            self._enter(AssociationState.SHUTDOWN_ACK_SENT)
            self._begin_repeating(peer, Signal(ChunkType.SHUTDOWN_ACK), now)

    def _begin_repeating(self, peer: Conversation, chunk: Shutdown | Signal, now: float) -> None:
        peer.end_heartbeats()
        self._repeater.start(chunk, now + self._outbound.rto.seconds, self.settings.maximum_retransmissions)
        self._control.append(chunk.serialize())

    def _receive_shutdown(self, peer: Conversation, chunk: Shutdown, now: float) -> None:
        peer.receive_shutdown(chunk.cumulative_tsn_ack, now)
        if self._state in (AssociationState.ESTABLISHED, AssociationState.SHUTDOWN_PENDING):
            self._enter(AssociationState.SHUTDOWN_RECEIVED)
        elif self._state is AssociationState.SHUTDOWN_SENT:
            # Section 9.2: both sides began; each acknowledges.
            self._enter(AssociationState.SHUTDOWN_ACK_SENT)
            self._begin_repeating(peer, Signal(ChunkType.SHUTDOWN_ACK), now)

    def _receive_signal(self, peer: Conversation, chunk: Signal) -> None:
        acknowledges = (AssociationState.SHUTDOWN_SENT, AssociationState.SHUTDOWN_ACK_SENT)
        if chunk.kind is ChunkType.SHUTDOWN_ACK and self._state in acknowledges:
            self._send_alone(Signal(ChunkType.SHUTDOWN_COMPLETE).serialize(), peer.tag)
            self._end("shut down")
        elif chunk.kind is ChunkType.SHUTDOWN_COMPLETE and self._state is AssociationState.SHUTDOWN_ACK_SENT:
            self._end("shut down")
        elif chunk.kind is not ChunkType.COOKIE_ACK:
            # A second COOKIE ACK answers an echo that was repeated; others make no sense now.
            self.counters["out_of_state"] += 1

    def _fail(self, failure: AssociationFailed) -> None:
        if failure.code is not None and self._peer is not None:
            abort = Causes(ChunkType.ABORT, [Parameter(failure.code, failure.info)])
            self._send_alone(abort.serialize(), self._peer.tag)
        self._end(failure.reason)

    def _end(self, reason: str) -> None:
        self._enter(AssociationState.CLOSED)
        self._has_ended = True
        self._repeater.stop()
        self._control.clear()
        self._channels.end()
        self._events.append(AssociationClosed(reason))
        # What was queued and held goes with them.
        self._outbound.clear()
        self._peer = None

    def _enter(self, state: AssociationState) -> None:
        assert state in TRANSITIONS[self._state], f"no way from {self._state} to {state}"
        self._state = state

    # --- packets out ------------------------------------------------------------------------------------------------

    def _repeat(self, now: float) -> None:
        """T1 or T2 has expired."""
        self._outbound.rto.back_off()
        chunk = self._repeater.repeat(now + self._outbound.rto.seconds)
        self.counters["repeated"] += 1
        if isinstance(chunk, Shutdown) and self._peer is not None:
            chunk.cumulative_tsn_ack = self._peer.cumulative_tsn
        self._send_alone(chunk.serialize(), 0 if isinstance(chunk, Init) or self._peer is None else self._peer.tag)

    def _send_alone(self, chunk: bytes, tag: int) -> None:
        """A packet with nothing else in it, and with its checksum: its reader may know nothing of us yet."""
        if len(self._outgoing) >= MAX_QUEUED:
            self.counters["control_overflow"] += 1
        else:
            self._send_packet([chunk], tag, has_checksum=True)

    def _send_packet(self, chunks: list[bytes], tag: int, *, has_checksum: bool) -> None:
        assert self._address is not None, "whoever has a peer knows where it is"
        data = serialize_packet(*self._ports, tag, chunks, has_checksum=has_checksum)
        self._outgoing.append(Datagram(data, self._address))

    def _fill(self, peer: Conversation, now: float) -> None:
        """Fill packets: control, acknowledgements, data, and resets of streams behind their last data."""
        filler = PacketFiller(self.settings.maximum_packet)
        self._control.fill(filler)
        sends_data = self._state in SENDS_DATA
        peer.fill_acknowledgement(filler, sends_data=sends_data)
        if sends_data:
            peer.fill_data(filler, now)
            self._advance_shutdown(now)
        if self._state is AssociationState.ESTABLISHED:
            peer.queue_resets(now)
        self._control.fill(filler)
        has_checksum = not peer.goes_without_checksum
        for chunks in filler.packets():
            self._send_packet(chunks, peer.tag, has_checksum=has_checksum)


def _cause_names(causes: list[Parameter]) -> str:
    known = {cause.value: cause.name for cause in CauseCode}
    names = [known.get(code, str(code)) for code, _ in causes[:4]]
    return f": {', '.join(names).lower().replace('_', ' ')}" if names else ""
