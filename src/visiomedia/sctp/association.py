"""An SCTP association over DTLS with data channels on it (RFC 9260, RFC 8261, RFC 8831), as one engine."""

import os
import struct
from collections import Counter, deque
from collections.abc import Callable

from visiomedia.engine import Address, Datagram
from visiomedia.errors import AuthenticationError, ConfigurationError, InvalidStateError, ParseError
from visiomedia.rtp.sequence import extend
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
from visiomedia.sctp.cookie import FORWARD_TSN, RE_CONFIG, ZERO_CHECKSUM, StateCookie
from visiomedia.sctp.dcep import DataChannelOpen
from visiomedia.sctp.events import AssociationClosed, AssociationEstablished, AssociationEvent
from visiomedia.sctp.extensions import offered_extensions, read_extensions, understood
from visiomedia.sctp.inbound import Inbound, MessageTooLarge
from visiomedia.sctp.outbound import NEEDS_FRESH_PACKET, Outbound
from visiomedia.sctp.packet import HEADER_SIZE, Packet, serialize_packet
from visiomedia.sctp.packing import PacketFiller
from visiomedia.sctp.parameters import CauseCode, Parameter, ParameterType
from visiomedia.sctp.reassembly import Message
from visiomedia.sctp.settings import SctpSettings
from visiomedia.sctp.states import IS_SET_UP, SENDS_DATA, TAKES_DATA, TRANSITIONS, AssociationState
from visiomedia.sctp.stream_resets import (
    IncomingResetRequested,
    IncomingStreamsReset,
    OutgoingStreamsReset,
    ResetOutcome,
    StreamResets,
)

STREAMS = 65_535
"""Offered each way, as libwebrtc does; what is not used costs nothing."""

DEFAULT_PORT = 5000
DEFAULT_MAXIMUM_MESSAGE = 65_536
"""RFC 8841 section 6: what a description without ``a=max-message-size`` means."""

MAX_QUEUED = 64
"""Answers that wait to be fetched: a flood of requests costs no more memory than this."""

MAX_REPORTED = 256
"""Bytes of an unknown chunk or of unknown parameters that are sent back."""

_TSN = struct.Struct("!I")


class _Peer:
    """What the peer's INIT or INIT ACK, or a cookie made of it, has told."""

    __slots__ = ("extensions", "inbound", "resets", "tag")

    def __init__(self, tag: int, extensions: int, inbound: Inbound, resets: StreamResets) -> None:
        self.tag = tag
        self.extensions = extensions
        self.inbound = inbound
        self.resets = resets


class _Repeater:
    """T1 and T2: a chunk that is sent again until it is answered. One at a time is enough for both."""

    __slots__ = ("at", "chunk", "failures", "limit")

    def __init__(self) -> None:
        self.at: float | None = None
        self.chunk: Init | CookieEcho | Shutdown | Signal | None = None
        self.failures = 0
        self.limit = 0

    def start(self, chunk: Init | CookieEcho | Shutdown | Signal, at: float, limit: int) -> None:
        self.chunk, self.at, self.limit, self.failures = chunk, at, limit, 0

    def stop(self) -> None:
        self.chunk = self.at = None


class Association:
    """SCTP with one peer: an Engine whose datagrams are the application data of one DTLS association.

    Made, then ``associate``d by both sides, as WebRTC does, or by one. Channels may be opened and messages sent
    before it is established. Addresses mean nothing to SCTP over DTLS (RFC 8261 section 4): datagrams carry the one
    that ``associate`` was given. Packets are filled when ``datagrams_to_send`` is called, so that what was sent
    between two calls shares them. An owner who leaves ``events`` unread shuts the peer's window.

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
        self._entropy = entropy
        self._ports = (local_port, remote_port)
        self._secret = entropy(32)
        self._tag = int.from_bytes(entropy(4), "big") or 1
        self._initial_tsn = int.from_bytes(entropy(4), "big")
        self._state = AssociationState.CLOSED
        self._has_ended = False
        self._peer: _Peer | None = None
        self._address: Address | None = None
        self._now = 0.0
        self._repeater = _Repeater()
        self._errors = 0
        self._stale_cookies = 0
        self._has_heard_sack = False
        self._heartbeat_at: float | None = None
        self._heartbeat: tuple[bytes, float] | None = None
        self._control: deque[bytes] = deque()
        self._outgoing: list[Datagram] = []
        self._events: list[AssociationEvent] = []
        self._outbound = Outbound(self.settings, self._initial_tsn, self.counters)
        self._channels = DataChannels(
            self.settings,
            self._outbound,
            self._events,
            self.counters,
            is_client=is_client,
            maximum_message=min(self.settings.maximum_message, remote_maximum_message or 1 << 30),
        )

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
        if self._is_for_us(packet):
            self._receive(packet, now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due: send again, acknowledge, ask whether the peer is there, or give up."""
        self._now = now
        if self._has_ended:
            return
        if self._repeater.at is not None and self._repeater.at <= now:
            self._repeat(now)
        if self._outbound.t3_at is not None and self._outbound.t3_at <= now:
            self._time_out_data(now)
        if self._heartbeat_at is not None and self._heartbeat_at <= now:
            self._send_heartbeat(now)
        peer = self._peer
        if peer is None or self._has_ended:
            return
        if peer.inbound.sack_at is not None and peer.inbound.sack_at <= now:
            peer.inbound.is_due = True
        if peer.resets.retransmit_at is not None and peer.resets.retransmit_at <= now:
            self._time_out_reset(peer, now)

    def next_timeout(self) -> float | None:
        """When the first of the timers is due."""
        moments = [self._repeater.at, self._outbound.t3_at, self._heartbeat_at]
        if self._peer is not None:
            moments += [self._peer.inbound.sack_at, self._peer.resets.retransmit_at]
        return min((moment for moment in moments if moment is not None), default=None)

    def datagrams_to_send(self) -> list[Datagram]:
        """Packets, each at most ``settings.maximum_packet`` bytes. Filling them may set timers."""
        if self._peer is not None and not self._has_ended:
            self._fill(self._peer, self._now)
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def events(self) -> list[AssociationEvent]:
        """What happened. Reading makes room in the window: ask for datagrams afterwards if it was full."""
        events = self._events[:]
        self._events.clear()
        if self._peer is not None:
            self._peer.inbound.unread = 0
            if not self._has_ended:
                self._peer.inbound.note_read()
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
            self._abort(CauseCode.USER_INITIATED_ABORT, reason.encode()[:MAX_REPORTED], "aborted")

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
        if self._has_ended or self._state not in (*SETS_UP, AssociationState.ESTABLISHED):
            raise InvalidStateError("the association ends or has ended")
        if max_retransmits is not None and max_packet_life_time is not None:
            raise ConfigurationError("max_retransmits", max_retransmits, "None when max_packet_life_time is set")
        for name, value, most in (
            ("max_retransmits", max_retransmits or 0, 0xFFFFFFFF),
            ("max_packet_life_time", max_packet_life_time or 0, 0xFFFFFFFF),
            ("priority", priority, 0xFFFF),
            ("bytes of label", len(label.encode()), 0xFFFF),
            ("bytes of protocol", len(protocol.encode()), 0xFFFF),
        ):
            if not 0 <= value <= most:
                raise ConfigurationError(name, value, f"0 to {most}")
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
        """Send a message: text if ``str``. On a lossy channel it may be dropped here when the send buffer is full.

        Raises:
            InvalidStateError: the channel is not open or opening, or the association ends.
            ConfigurationError: longer than ``maximum_message``.
            CapacityError: the send buffer is full, and the channel is reliable: wait for ``BufferedAmountLow``.
        """
        if self._has_ended or self._state not in (*SETS_UP, AssociationState.ESTABLISHED):
            raise InvalidStateError("the association ends or has ended")
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

    # --- packets in -------------------------------------------------------------------------------------------------

    def _is_for_us(self, packet: Packet) -> bool:
        """Verification tags and checksums (RFC 9260 section 8.5, RFC 9653 section 5.3)."""
        first = packet.chunks[0] if packet.chunks else None
        if first is None:
            self.counters["empty_packet"] += 1
            return False
        is_init = any(chunk.kind == ChunkType.INIT for chunk in packet.chunks)
        if not packet.has_checksum and (is_init or not self.settings.zero_checksum):
            self.counters["missing_checksum"] += 1
            return False
        # Section 6.10: INIT, INIT ACK and SHUTDOWN COMPLETE are bundled with nothing.
        if len(packet.chunks) > 1 and any(chunk.kind in ALONE for chunk in packet.chunks):
            self.counters["wrongly_bundled"] += 1
            return False
        expected = 0 if is_init else self._tag
        if isinstance(first, Causes | Signal) and first.kind in REFLECTING and first.flags & TAG_REFLECTED:
            expected = self._peer.tag if self._peer is not None else -1
        if packet.verification_tag != expected:
            self.counters["wrong_verification_tag"] += 1
            return False
        return True

    def _receive(self, packet: Packet, now: float) -> None:
        has_data = False
        for chunk in packet.chunks:
            if isinstance(chunk, Data):
                has_data = True
                self._receive_data(chunk)
            elif isinstance(chunk, UnknownChunk):
                if not self._pass_over(chunk):
                    break
            else:
                self._receive_control(chunk, now)
            if self._has_ended:
                return
        peer = self._peer
        if peer is None:
            return
        if has_data and self._state in TAKES_DATA:
            peer.inbound.note_packet(now)
            self._react(peer, peer.resets.poll(peer.inbound.cumulative))
            if self._state is AssociationState.SHUTDOWN_SENT:
                # Section 9.2: data that comes now is answered with a SACK and the SHUTDOWN again.
                peer.inbound.is_due = True
                self._queue(Shutdown(peer.inbound.cumulative & 0xFFFFFFFF).serialize())
        self._advance_shutdown(now)

    def _receive_control(self, chunk: Chunk, now: float) -> None:
        peer = self._peer
        match chunk:
            case Init(kind=ChunkType.INIT):
                self._receive_init(chunk, now)
            case Init():
                self._receive_init_ack(chunk, now)
            case CookieEcho():
                self._receive_cookie_echo(chunk, now)
            case Causes(kind=ChunkType.ABORT):
                self._end(f"aborted by the peer{_cause_names(chunk.causes)}")
            case Causes():
                self._receive_error(chunk, now)
            case Signal(kind=ChunkType.COOKIE_ACK):
                if self._state is AssociationState.COOKIE_ECHOED:
                    self._establish(now)
            case _:
                if peer is None or self._state not in IS_SET_UP:
                    self.counters["before_association"] += 1
                else:
                    self._receive_established(peer, chunk, now)

    def _receive_established(self, peer: _Peer, chunk: Chunk, now: float) -> None:
        match chunk:
            case Sack():
                self._receive_sack(chunk, now)
            case ForwardTsn():
                self._receive_forward_tsn(peer, chunk)
            case ReConfig():
                self._receive_reconfig(peer, chunk, now)
            case Heartbeat():
                self._receive_heartbeat(chunk, now)
            case Shutdown():
                self._receive_shutdown(chunk, now)
            case Signal(kind=ChunkType.SHUTDOWN_ACK):
                self._receive_shutdown_ack(peer)
            case Signal(kind=ChunkType.SHUTDOWN_COMPLETE):
                if self._state is AssociationState.SHUTDOWN_ACK_SENT:
                    self._end("shut down")

    def _pass_over(self, chunk: UnknownChunk) -> bool:
        """A chunk of unknown type: whether to go on behind it (RFC 9260 section 3.2)."""
        self.counters["unknown_chunk"] += 1
        if chunk.kind & 0x40 and self._peer is not None:
            report = Parameter(CauseCode.UNRECOGNIZED_CHUNK_TYPE, chunk.serialize()[:MAX_REPORTED])
            self._queue(Causes(ChunkType.ERROR, [report]).serialize())
        return bool(chunk.kind & 0x80)

    # --- setup (RFC 9260 section 5) ---------------------------------------------------------------------------------

    def _send_init(self, now: float) -> None:
        init = self._make_init(ChunkType.INIT, STREAMS)
        if self._state is not AssociationState.COOKIE_WAIT:
            self._enter(AssociationState.COOKIE_WAIT)
        self._repeater.start(init, now + self._outbound.rto.seconds, self.settings.maximum_init_retransmissions)
        self._send_alone(init.serialize(), 0)

    def _make_init(self, kind: ChunkType, streams: int) -> Init:
        parameters = offered_extensions(zero_checksum=self.settings.zero_checksum)
        window = self.settings.receive_window_bytes
        return Init(kind, self._tag, window, streams, STREAMS, self._initial_tsn, parameters)

    def _receive_init(self, init: Init, now: float) -> None:
        """Answer with a cookie; nothing is remembered. When both sides begin at once, each answers the other."""
        if self._state in IS_SET_UP:
            # Departs from RFC 9260 section 5.2.2: because a peer that starts again has lost its DTLS association too
            # and cannot reach this one; what comes is late, or meant to harm.
            self.counters["init_when_established"] += 1
            return
        known, reported = understood(init.parameters)
        outbound = min(STREAMS, init.inbound_streams)
        cookie = StateCookie(
            now,
            self._tag,
            init.initiate_tag,
            self._initial_tsn,
            init.initial_tsn,
            init.advertised_receiver_window,
            outbound,
            min(STREAMS, init.outbound_streams),
            read_extensions(known),
        )
        answer = self._make_init(ChunkType.INIT_ACK, outbound)
        answer.parameters.append(Parameter(ParameterType.STATE_COOKIE, cookie.seal(self._secret)))
        answer.parameters += [
            Parameter(ParameterType.UNRECOGNIZED_PARAMETER, parameter)
            for parameter in _fitting([parameter.serialize() for parameter in reported])
        ]
        self._send_alone(answer.serialize(), init.initiate_tag)

    def _receive_init_ack(self, answer: Init, now: float) -> None:
        if self._state is not AssociationState.COOKIE_WAIT:
            self.counters["unexpected_init_ack"] += 1
            return
        known, reported = understood(answer.parameters)
        cookies = [value for kind, value in known if kind == ParameterType.STATE_COOKIE]
        self._adopt(
            answer.initiate_tag,
            answer.initial_tsn,
            answer.advertised_receiver_window,
            min(STREAMS, answer.inbound_streams),
            min(STREAMS, answer.outbound_streams),
            read_extensions(known),
        )
        if not cookies or not 0 < len(cookies[0]) <= self.settings.maximum_packet - 16:
            missing = struct.pack("!IH", 1, ParameterType.STATE_COOKIE)
            self._abort(CauseCode.MISSING_MANDATORY_PARAMETER, missing, "the peer sent no cookie")
            return
        echo = CookieEcho(cookies[0])
        self._enter(AssociationState.COOKIE_ECHOED)
        self._repeater.start(echo, now + self._outbound.rto.seconds, self.settings.maximum_init_retransmissions)
        self._send_alone(echo.serialize(), answer.initiate_tag)
        unrecognized = b"".join(_fitting([parameter.serialize() for parameter in reported]))
        if unrecognized:
            self._queue(
                Causes(ChunkType.ERROR, [Parameter(CauseCode.UNRECOGNIZED_PARAMETERS, unrecognized)]).serialize()
            )

    def _receive_cookie_echo(self, echo: CookieEcho, now: float) -> None:
        """Section 5.2.4. A cookie for other tags than ours is of a past attempt, ours or the peer's."""
        try:
            cookie = StateCookie.open(echo.cookie, self._secret)
        except (ParseError, AuthenticationError):
            self.counters["bad_cookie"] += 1
            return
        is_known = self._peer is not None and self._peer.tag == cookie.remote_tag
        if self._state in IS_SET_UP:
            if not is_known:
                self.counters["late_cookie"] += 1
            elif self._state is not AssociationState.SHUTDOWN_ACK_SENT:
                # Action D: our COOKIE ACK was lost.
                self._queue(Signal(ChunkType.COOKIE_ACK).serialize())
            return
        age = now - cookie.created
        if age > self.settings.cookie_lifetime and not is_known:
            self.counters["stale_cookie"] += 1
            staleness = min(int((age - self.settings.cookie_lifetime) * 1e6), 0xFFFFFFFF)
            error = Causes(ChunkType.ERROR, [Parameter(CauseCode.STALE_COOKIE, _TSN.pack(staleness))])
            self._send_alone(error.serialize(), cookie.remote_tag)
            return
        if not is_known:
            # Action B, or the first that we hear of this peer.
            self._adopt(
                cookie.remote_tag,
                cookie.remote_initial_tsn,
                cookie.remote_window,
                cookie.outbound_streams,
                cookie.inbound_streams,
                cookie.extensions,
            )
        self._queue(Signal(ChunkType.COOKIE_ACK).serialize())
        self._establish(now)

    def _adopt(
        self, tag: int, initial_tsn: int, window: int, outbound_streams: int, inbound_streams: int, extensions: int
    ) -> None:
        """Remember who the peer is."""
        inbound = Inbound(self.settings, initial_tsn, inbound_streams, self.counters)
        resets = StreamResets(self._initial_tsn, initial_tsn, inbound_streams, self.counters)
        self._peer = _Peer(tag, extensions, inbound, resets)
        self._outbound.set_peer_window(window)
        self._outbound.peer_has_forward_tsn = bool(extensions & FORWARD_TSN)
        self._channels.limit_streams(min(outbound_streams, inbound_streams))

    def _establish(self, now: float) -> None:
        self._repeater.stop()
        self._enter(AssociationState.ESTABLISHED)
        self._errors = 0
        self._heartbeat_at = now + self.settings.heartbeat_interval + self._outbound.rto.seconds
        self._events.append(AssociationEstablished())
        self._channels.establish()

    def _receive_error(self, error: Causes, now: float) -> None:
        self.counters["error_received"] += 1
        is_stale = any(cause.type == CauseCode.STALE_COOKIE for cause in error.causes)
        if is_stale and self._state is AssociationState.COOKIE_ECHOED:
            # Section 5.2.6: begin again, though not for ever.
            self._stale_cookies += 1
            if self._stale_cookies > self.settings.maximum_init_retransmissions:
                self._end("cookies are stale when they arrive")
                return
            self._peer = None
            self._enter(AssociationState.COOKIE_WAIT)
            self._send_init(now)

    # --- data (RFC 9260 section 6) ----------------------------------------------------------------------------------

    def _receive_data(self, chunk: Data) -> None:
        peer = self._peer
        if peer is None or self._state not in TAKES_DATA:
            self.counters["data_out_of_state"] += 1
            return
        if not chunk.user_data:
            # Section 3.3.1: no user data is answered with an ABORT.
            self._abort(CauseCode.NO_USER_DATA, _TSN.pack(chunk.tsn), "the peer sent DATA without data")
            return
        if chunk.stream_id >= peer.inbound.streams:
            cause = Parameter(CauseCode.INVALID_STREAM_IDENTIFIER, struct.pack("!HH", chunk.stream_id, 0))
            self._queue(Causes(ChunkType.ERROR, [cause]).serialize())
        try:
            messages = peer.inbound.receive_data(chunk)
        except MessageTooLarge:
            self._abort(CauseCode.OUT_OF_RESOURCE, b"", "the peer sent a message that is too large")
            return
        self._deliver(peer, messages)

    def _deliver(self, peer: _Peer, messages: list[Message]) -> None:
        """To their channels; what the owner will read of them takes of the window until then."""
        for message in messages:
            known = len(self._events)
            self._channels.receive(message)
            if len(self._events) > known:
                peer.inbound.unread += message.cost

    def _receive_forward_tsn(self, peer: _Peer, chunk: ForwardTsn) -> None:
        if self._state not in TAKES_DATA:
            self.counters["data_out_of_state"] += 1
            return
        self._deliver(peer, peer.inbound.receive_forward_tsn(chunk))
        self._react(peer, peer.resets.poll(peer.inbound.cumulative))

    def _receive_sack(self, sack: Sack, now: float) -> None:
        outbound = self._outbound
        cumulative = extend(sack.cumulative_tsn_ack, outbound.cumulative, 32)
        gaps = sorted((cumulative + first, cumulative + last) for first, last in sack.gaps)
        self._has_heard_sack = True
        if outbound.receive_sack(cumulative, sack.advertised_receiver_window, gaps, now):
            self._errors = 0
            self._heartbeat_at = now + self.settings.heartbeat_interval + outbound.rto.seconds

    def _time_out_data(self, now: float) -> None:
        # Section 6.1, A: a peer that answers probes of its shut window is alive.
        if not (self._outbound.peer_window_is_shut and self._has_heard_sack) and not self._count_error():
            return
        self._has_heard_sack = False
        self.counters["data_timeouts"] += 1
        self._outbound.time_out(now)

    def _count_error(self) -> bool:
        """The peer has not answered (section 8.1). Whether to go on."""
        self._errors += 1
        if self._errors > self.settings.maximum_retransmissions:
            self._end("the peer does not answer")
            return False
        return True

    # --- heartbeats (RFC 9260 section 8.3) --------------------------------------------------------------------------

    def _send_heartbeat(self, now: float) -> None:
        self._heartbeat_at = now + self.settings.heartbeat_interval + self._outbound.rto.seconds
        if self._heartbeat is not None and not self._count_error():
            return
        self._heartbeat = (self._entropy(8), now)
        self._queue(Heartbeat(ChunkType.HEARTBEAT, self._heartbeat[0]).serialize())

    def _receive_heartbeat(self, chunk: Heartbeat, now: float) -> None:
        if chunk.kind is ChunkType.HEARTBEAT:
            self._queue(Heartbeat(ChunkType.HEARTBEAT_ACK, chunk.info).serialize())
        elif self._heartbeat is not None and self._heartbeat[0] == chunk.info:
            self._outbound.rto.sample(now - self._heartbeat[1])
            self._heartbeat = None
            self._errors = 0
        else:
            self.counters["unexpected_heartbeat_ack"] += 1

    # --- stream resets (RFC 6525) -----------------------------------------------------------------------------------

    def _receive_reconfig(self, peer: _Peer, chunk: ReConfig, now: float) -> None:
        if self._state is not AssociationState.ESTABLISHED:
            self.counters["reconfiguration_out_of_state"] += 1
            return
        self._react(peer, peer.resets.receive(chunk, peer.inbound.cumulative, self._outbound.rto.seconds, now))
        peer.inbound.streams = peer.resets.inbound_streams

    def _react(self, peer: _Peer, outcomes: list[ResetOutcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case IncomingStreamsReset(streams):
                    peer.inbound.reassembly.reset(streams)
                    self._channels.reset_incoming(streams)
                case OutgoingStreamsReset(streams, is_refused):
                    self._errors = 0
                    self._channels.reset_outgoing(streams, is_refused=is_refused)
                case IncomingResetRequested(streams):
                    self._channels.close_asked(streams)

    def _time_out_reset(self, peer: _Peer, now: float) -> None:
        chunk = peer.resets.time_out(self._outbound.rto.seconds, now)
        if chunk is not None and self._count_error():
            self._outbound.rto.back_off()
            self._queue(chunk.serialize())

    # --- the end (RFC 9260 section 9) -------------------------------------------------------------------------------

    def _advance_shutdown(self, now: float) -> None:
        """Go on once everything of ours is acknowledged."""
        peer = self._peer
        if peer is None or not self._outbound.is_empty:
            return
        if self._state is AssociationState.SHUTDOWN_PENDING:
            self._enter(AssociationState.SHUTDOWN_SENT)
            self._begin_repeating(Shutdown(peer.inbound.cumulative & 0xFFFFFFFF), now)
        elif self._state is AssociationState.SHUTDOWN_RECEIVED:
            self._enter(AssociationState.SHUTDOWN_ACK_SENT)
            self._begin_repeating(Signal(ChunkType.SHUTDOWN_ACK), now)

    def _begin_repeating(self, chunk: Shutdown | Signal, now: float) -> None:
        self._heartbeat_at = None
        self._repeater.start(chunk, now + self._outbound.rto.seconds, self.settings.maximum_retransmissions)
        self._queue(chunk.serialize())

    def _receive_shutdown(self, chunk: Shutdown, now: float) -> None:
        outbound = self._outbound
        cumulative = extend(chunk.cumulative_tsn_ack, outbound.cumulative, 32)
        if outbound.cumulative < cumulative:
            outbound.receive_sack(cumulative, outbound.peer_window, [], now)
        if self._state in (AssociationState.ESTABLISHED, AssociationState.SHUTDOWN_PENDING):
            self._enter(AssociationState.SHUTDOWN_RECEIVED)
        elif self._state is AssociationState.SHUTDOWN_SENT:
            # Section 9.2: both sides began; each acknowledges.
            self._enter(AssociationState.SHUTDOWN_ACK_SENT)
            self._begin_repeating(Signal(ChunkType.SHUTDOWN_ACK), now)

    def _receive_shutdown_ack(self, peer: _Peer) -> None:
        if self._state in (AssociationState.SHUTDOWN_SENT, AssociationState.SHUTDOWN_ACK_SENT):
            self._send_alone(Signal(ChunkType.SHUTDOWN_COMPLETE).serialize(), peer.tag)
            self._end("shut down")
        else:
            self.counters["unexpected_shutdown_ack"] += 1

    def _abort(self, code: CauseCode, info: bytes, reason: str) -> None:
        if self._peer is not None:
            abort = Causes(ChunkType.ABORT, [Parameter(code, info)])
            self._send_alone(abort.serialize(), self._peer.tag)
        self._end(reason)

    def _end(self, reason: str) -> None:
        self._enter(AssociationState.CLOSED)
        self._has_ended = True
        self._repeater.stop()
        self._heartbeat_at = None
        self._control.clear()
        self._channels.end()
        self._events.append(AssociationClosed(reason))
        # What was queued and held goes with them.
        self._peer = None
        self._outbound.clear()

    def _enter(self, state: AssociationState) -> None:
        assert state in TRANSITIONS[self._state], f"no way from {self._state} to {state}"
        self._state = state

    # --- packets out ------------------------------------------------------------------------------------------------

    def _repeat(self, now: float) -> None:
        """T1 or T2 has expired."""
        repeater = self._repeater
        repeater.failures += 1
        if repeater.failures > repeater.limit:
            self._end("the peer does not answer")
            return
        self.counters["repeated_setup"] += 1
        self._outbound.rto.back_off()
        repeater.at = now + self._outbound.rto.seconds
        chunk = repeater.chunk
        assert chunk is not None, "a timer that runs has a chunk"
        if isinstance(chunk, Shutdown) and self._peer is not None:
            chunk.cumulative_tsn_ack = self._peer.inbound.cumulative & 0xFFFFFFFF
        self._send_alone(chunk.serialize(), 0 if isinstance(chunk, Init) or self._peer is None else self._peer.tag)

    def _queue(self, chunk: bytes) -> None:
        """A chunk of control that leaves with the next packets."""
        # A heartbeat sent back must fit a packet of ours.
        if len(self._control) >= MAX_QUEUED or len(chunk) > self.settings.maximum_packet - HEADER_SIZE:
            self.counters["control_overflow"] += 1
        else:
            self._control.append(chunk)

    def _send_alone(self, chunk: bytes, tag: int) -> None:
        """A packet with nothing else, and with its checksum: its reader may know nothing of us yet."""
        if len(self._outgoing) >= MAX_QUEUED:
            self.counters["control_overflow"] += 1
        else:
            self._send_packet([chunk], tag, has_checksum=True)

    def _send_packet(self, chunks: list[bytes], tag: int, *, has_checksum: bool) -> None:
        assert self._address is not None, "whoever has a peer knows where it is"
        data = serialize_packet(*self._ports, tag, chunks, has_checksum=has_checksum)
        self._outgoing.append(Datagram(data, self._address))

    def _fill(self, peer: _Peer, now: float) -> None:
        """Fill packets: control, acknowledgements, data, of which first what is sent again, and resets behind it."""
        filler = PacketFiller(self.settings.maximum_packet)
        self._fill_control(filler)
        sends_data = self._state in SENDS_DATA
        # Section 6.10: an acknowledgement that could wait goes along when data leaves.
        inbound = peer.inbound
        if inbound.is_due or (inbound.sack_at is not None and sends_data and self._outbound.has_more):
            if filler.room < SACK_ROOM:
                filler.begin_packet()
            filler.add(inbound.take_sack(filler.room))
        if sends_data:
            self._fill_data(filler, now)
            self._channels.note_sent()
            self._advance_shutdown(now)
        if self._state is AssociationState.ESTABLISHED:
            self._queue_resets(peer, now)
        self._fill_control(filler)
        has_checksum = not (self.settings.zero_checksum and peer.extensions & ZERO_CHECKSUM)
        for chunks in filler.packets():
            self._send_packet(chunks, peer.tag, has_checksum=has_checksum)

    def _fill_control(self, filler: PacketFiller) -> None:
        while self._control:
            filler.add(self._control.popleft())

    def _fill_data(self, filler: PacketFiller, now: float) -> None:
        outbound = self._outbound
        allowance = outbound.begin_burst(now)
        while (chunk := outbound.next_chunk(filler.room, allowance, now)) is not None:
            if chunk is NEEDS_FRESH_PACKET:
                assert not filler.is_fresh, "a chunk fits a packet of its own"
                filler.begin_packet()
            else:
                filler.add(chunk)
        forward = outbound.take_forward_tsn(self.settings.maximum_packet - HEADER_SIZE, now)
        if forward is not None:
            filler.add(forward)

    def _queue_resets(self, peer: _Peer, now: float) -> None:
        channels, outbound = self._channels, self._outbound
        wanted, channels.resets_wanted = channels.resets_wanted, []
        if not peer.extensions & RE_CONFIG:
            # Nobody could answer: the channel is closed on this side, and its streams go on counting.
            channels.reset_outgoing(wanted, is_refused=True)
            return
        for stream_id in wanted:
            peer.resets.request(stream_id)
        chunks = peer.resets.chunks_to_send(
            lambda stream_id: not outbound.queue.has_messages(stream_id),
            outbound.next_tsn - 1,
            outbound.rto.seconds,
            now,
        )
        for chunk in chunks:
            self._queue(chunk.serialize())


SETS_UP = (AssociationState.CLOSED, AssociationState.COOKIE_WAIT, AssociationState.COOKIE_ECHOED)
ALONE = (ChunkType.INIT, ChunkType.INIT_ACK, ChunkType.SHUTDOWN_COMPLETE)
REFLECTING = (ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE)
SACK_ROOM = 116
"""A SACK leaves into a packet with this room at least: 25 blocks say enough of a loss."""


def _fitting(reports: list[bytes]) -> list[bytes]:
    """The first of them that together stay small."""
    fitting, size = [], 0
    for report in reports:
        size += len(report)
        if size > MAX_REPORTED:
            break
        fitting.append(report)
    return fitting


def _cause_names(causes: list[Parameter]) -> str:
    known = {cause.value: cause.name for cause in CauseCode}
    names = [known.get(code, str(code)) for code, _ in causes[:4]]
    return f": {', '.join(names).lower().replace('_', ' ')}" if names else ""
