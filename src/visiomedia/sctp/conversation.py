"""What goes on with a peer that is known: data and its acknowledgement, heartbeats, resets of streams
(RFC 9260 sections 6 and 8, RFC 3758, RFC 6525)."""

import struct
from collections import Counter
from collections.abc import Callable

from visiomedia.rtp.sequence import extend
from visiomedia.sctp.channels import DataChannels
from visiomedia.sctp.chunks import Causes, ChunkType, Data, ForwardTsn, Heartbeat, ReConfig, Sack
from visiomedia.sctp.cookie import FORWARD_TSN, RE_CONFIG, ZERO_CHECKSUM, StateCookie
from visiomedia.sctp.events import AssociationEvent
from visiomedia.sctp.failure import AssociationFailed
from visiomedia.sctp.inbound import Inbound
from visiomedia.sctp.outbound import NEEDS_FRESH_PACKET, Outbound
from visiomedia.sctp.packet import HEADER_SIZE
from visiomedia.sctp.packing import ControlQueue, PacketFiller
from visiomedia.sctp.parameters import CauseCode, Parameter
from visiomedia.sctp.reassembly import Message
from visiomedia.sctp.settings import SctpSettings
from visiomedia.sctp.stream_resets import (
    IncomingResetRequested,
    IncomingStreamsReset,
    OutgoingStreamsReset,
    ResetOutcome,
    StreamResets,
)

SACK_ROOM = 116
"""A SACK leaves in a packet with this room at least: 25 blocks say enough of a loss."""


class Conversation:
    """Both halves of the data transfer with one peer. Raises ``AssociationFailed`` when it cannot go on.

    ``control``: chunks that leave with the next packets. ``events``: the association's, which ``channels`` fills.
    """

    __slots__ = (
        "_channels",
        "_control",
        "_counters",
        "_entropy",
        "_errors",
        "_events",
        "_extensions",
        "_has_heard_sack",
        "_heartbeat",
        "_heartbeat_at",
        "_inbound",
        "_outbound",
        "_resets",
        "_settings",
        "tag",
    )

    def __init__(
        self,
        peer: StateCookie,
        settings: SctpSettings,
        outbound: Outbound,
        channels: DataChannels,
        control: ControlQueue,
        events: list[AssociationEvent],
        counters: Counter[str],
        entropy: Callable[[int], bytes],
    ) -> None:
        self.tag = peer.remote_tag
        self._settings = settings
        self._outbound = outbound
        self._channels = channels
        self._control = control
        self._events = events
        self._counters = counters
        self._entropy = entropy
        self._extensions = peer.extensions
        self._inbound = Inbound(settings, peer.remote_initial_tsn, peer.inbound_streams, counters)
        self._resets = StreamResets(peer.initial_tsn, peer.remote_initial_tsn, peer.inbound_streams, counters)
        self._errors = 0
        self._has_heard_sack = False
        self._heartbeat_at: float | None = None
        self._heartbeat: tuple[bytes, float] | None = None
        outbound.set_peer_window(peer.remote_window)
        outbound.peer_has_forward_tsn = bool(peer.extensions & FORWARD_TSN)
        channels.limit_streams(min(peer.outbound_streams, peer.inbound_streams))

    @property
    def goes_without_checksum(self) -> bool:
        """Whether both sides leave integrity to DTLS."""
        return self._settings.zero_checksum and bool(self._extensions & ZERO_CHECKSUM)

    @property
    def cumulative_tsn(self) -> int:
        """What we acknowledge, as on the wire."""
        return self._inbound.cumulative & 0xFFFFFFFF

    # --- time -------------------------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When the first of the timers is due."""
        timers = (self._outbound.t3_at, self._heartbeat_at, self._inbound.sack_at, self._resets.retransmit_at)
        return min((moment for moment in timers if moment is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what is due: send again, acknowledge, ask whether the peer is there."""
        outbound, inbound, resets = self._outbound, self._inbound, self._resets
        if outbound.t3_at is not None and outbound.t3_at <= now:
            # Section 6.1, A: a peer that answers probes of its shut window is alive.
            if not (outbound.peer_window_is_shut and self._has_heard_sack):
                self._count_error()
            self._has_heard_sack = False
            self._counters["data_timeouts"] += 1
            outbound.time_out(now)
        if self._heartbeat_at is not None and self._heartbeat_at <= now:
            self._send_heartbeat(now)
        if inbound.sack_at is not None and inbound.sack_at <= now:
            inbound.is_due = True
        if resets.retransmit_at is not None and resets.retransmit_at <= now:
            chunk = resets.time_out(2 * outbound.rto.seconds, now)
            if chunk is not None:
                self._count_error()
                outbound.rto.back_off()
                self._control.append(chunk.serialize())

    def _count_error(self) -> None:
        """The peer has not answered (section 8.1)."""
        self._errors += 1
        if self._errors > self._settings.maximum_retransmissions:
            raise AssociationFailed("the peer does not answer")

    # --- heartbeats (RFC 9260 section 8.3) --------------------------------------------------------------------------

    def begin_heartbeats(self, now: float) -> None:
        """The association is established."""
        self._heartbeat_at = now + self._settings.heartbeat_interval + self._outbound.rto.seconds

    def end_heartbeats(self) -> None:
        """It is being shut down: T2 asks from now on."""
        self._heartbeat_at = None

    def _send_heartbeat(self, now: float) -> None:
        self.begin_heartbeats(now)
        if self._heartbeat is not None:
            self._count_error()
        self._heartbeat = (self._entropy(8), now)
        self._control.append(Heartbeat(ChunkType.HEARTBEAT, self._heartbeat[0]).serialize())

    def receive_heartbeat(self, chunk: Heartbeat, now: float) -> None:
        """Send it back, or learn from one that came back."""
        if chunk.kind is ChunkType.HEARTBEAT:
            self._control.append(Heartbeat(ChunkType.HEARTBEAT_ACK, chunk.info).serialize())
        elif self._heartbeat is not None and self._heartbeat[0] == chunk.info:
            self._outbound.rto.sample(now - self._heartbeat[1])
            self._heartbeat = None
            self._errors = 0
        else:
            self._counters["unexpected_heartbeat_ack"] += 1

    # --- data (RFC 9260 section 6, RFC 3758) ------------------------------------------------------------------------

    def receive_data(self, chunk: Data) -> None:
        """One chunk; ``note_packet`` follows when the packet is through."""
        if not chunk.user_data:
            # Section 3.3.1: no user data is answered with an ABORT.
            raise AssociationFailed(
                "the peer sent DATA without data", CauseCode.NO_USER_DATA, struct.pack("!I", chunk.tsn)
            )
        if chunk.stream_id >= self._inbound.streams:
            cause = Parameter(CauseCode.INVALID_STREAM_IDENTIFIER, struct.pack("!HH", chunk.stream_id, 0))
            self._control.append(Causes(ChunkType.ERROR, [cause]).serialize())
        self._deliver(self._inbound.receive_data(chunk))

    def note_packet(self, now: float, *, is_shutting_down: bool) -> None:
        """A packet with DATA is through."""
        self._inbound.note_packet(now)
        if is_shutting_down:
            self._inbound.is_due = True
        self._react(self._resets.poll(self._inbound.cumulative))

    def receive_forward_tsn(self, chunk: ForwardTsn) -> None:
        """The peer has given something up."""
        self._deliver(self._inbound.receive_forward_tsn(chunk))
        self._react(self._resets.poll(self._inbound.cumulative))

    def _deliver(self, messages: list[Message]) -> None:
        """To their channels; what the owner will read of them takes of the window until then."""
        for message in messages:
            known = len(self._events)
            self._channels.receive(message)
            if len(self._events) > known:
                self._inbound.unread += message.cost

    def note_read(self) -> None:
        """The owner has taken all events."""
        self._inbound.unread = 0
        self._inbound.note_read()

    def receive_sack(self, sack: Sack, now: float) -> None:
        """What the peer has received."""
        cumulative = extend(sack.cumulative_tsn_ack, self._outbound.cumulative, 32)
        gaps = sorted((cumulative + first, cumulative + last) for first, last in sack.gaps)
        self._has_heard_sack = True
        if self._outbound.receive_sack(cumulative, sack.advertised_receiver_window, gaps, now):
            self._errors = 0
            if self._heartbeat_at is not None:
                self.begin_heartbeats(now)

    def receive_shutdown(self, cumulative_tsn_ack: int, now: float) -> None:
        """A SHUTDOWN acknowledges as a SACK without blocks does (section 9.2)."""
        cumulative = extend(cumulative_tsn_ack, self._outbound.cumulative, 32)
        if self._outbound.cumulative < cumulative:
            self._outbound.receive_sack(cumulative, self._outbound.peer_window, [], now)

    # --- stream resets (RFC 6525) -----------------------------------------------------------------------------------

    def receive_reconfig(self, chunk: ReConfig, now: float) -> None:
        """Requests of the peer's and answers to ours."""
        timeout = self._outbound.rto.seconds
        self._react(self._resets.receive(chunk, self._inbound.cumulative, timeout, now))
        self._inbound.streams = self._resets.inbound_streams

    def _react(self, outcomes: list[ResetOutcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case IncomingStreamsReset(streams):
                    self._inbound.reassembly.reset(streams)
                    self._channels.reset_incoming(streams)
                case OutgoingStreamsReset(streams, is_refused):
                    self._errors = 0
                    self._channels.reset_outgoing(streams, is_refused=is_refused)
                case IncomingResetRequested(streams):
                    self._channels.close_asked(streams)

    # --- packets out ------------------------------------------------------------------------------------------------

    def fill_acknowledgement(self, filler: PacketFiller, *, sends_data: bool) -> None:
        """Add a SACK if one is due, or if one is owed and data leaves with it (section 6.10)."""
        inbound = self._inbound
        if inbound.is_due or (inbound.sack_at is not None and sends_data and self._outbound.has_more):
            if filler.room < SACK_ROOM:
                filler.begin_packet()
            filler.add(inbound.take_sack(filler.room))

    def fill_data(self, filler: PacketFiller, now: float) -> None:
        """Add the DATA that may leave, of which first what is sent again, and a FORWARD-TSN if one is due."""
        outbound = self._outbound
        if not outbound.has_more:
            return
        allowance = outbound.begin_burst(now)
        while (chunk := outbound.next_chunk(filler.room, allowance, now)) is not None:
            if chunk is NEEDS_FRESH_PACKET:
                assert not filler.is_fresh, "a chunk fits a packet of its own"
                filler.begin_packet()
            else:
                filler.add(chunk)
        forward = outbound.take_forward_tsn(self._settings.maximum_packet - HEADER_SIZE, now)
        if forward is not None:
            filler.add(forward)
        self._channels.note_sent()

    def queue_resets(self, now: float) -> None:
        """Ask for the resets that channels want, once their data has left, and answer the peer's."""
        channels, outbound = self._channels, self._outbound
        if not channels.resets_wanted and not self._resets.has_more:
            return
        wanted = list(channels.resets_wanted)
        channels.resets_wanted.clear()
        if not self._extensions & RE_CONFIG:
            # Nobody could answer: the channel is closed on this side, and its streams go on counting.
            channels.reset_outgoing(wanted, is_refused=True)
            return
        for stream_id in wanted:
            self._resets.request(stream_id)
        chunks = self._resets.chunks_to_send(
            lambda stream_id: not outbound.queue.has_messages(stream_id),
            outbound.next_tsn - 1,
            outbound.rto.seconds,
            now,
        )
        for chunk in chunks:
            self._control.append(chunk.serialize())
