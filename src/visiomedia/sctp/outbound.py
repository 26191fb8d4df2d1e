"""The sending half: chunks in flight, what SACKs say of them, what is sent again and what is given up
(RFC 9260 sections 6.1, 6.2.1, 6.3 and 7.2; RFC 3758 section 3.5)."""

from collections import Counter
from collections.abc import Iterable

from visiomedia.errors import CapacityError
from visiomedia.sctp.chunks import BEGINNING, DATA_HEADER, END, UNORDERED, ForwardTsn
from visiomedia.sctp.congestion import CongestionWindow, RetransmissionTimeout
from visiomedia.sctp.outgoing import OutgoingMessage, SentChunk
from visiomedia.sctp.packet import HEADER_SIZE
from visiomedia.sctp.received_tsns import MAX_SPAN
from visiomedia.sctp.send_queue import SendQueue
from visiomedia.sctp.settings import SctpSettings

MAX_BURST = 4
"""Packets that may leave at once beyond what was in flight (RFC 9260 section 6.1, D)."""

MISSES = 3
"""Reports that a chunk is missing, until it is sent again."""

NEEDS_FRESH_PACKET = b""
"""What ``next_chunk`` returns when something may leave, and does not fit the room."""


class Outbound:
    """Sends messages as DATA chunks. TSNs are extended, so that inside they only grow.

    ``peer_has_forward_tsn``: without it everything is reliable.
    """

    __slots__ = (
        "_abandoned",
        "_advanced",
        "_buffered",
        "_counters",
        "_forwarded_at",
        "_in_flight",
        "_is_forward_due",
        "_is_rescuing",
        "_last_sent_at",
        "_measured",
        "_next_numbers",
        "_peer_window",
        "_received",
        "_resend",
        "_settings",
        "_unacknowledged",
        "congestion",
        "cumulative",
        "next_tsn",
        "peer_has_forward_tsn",
        "queue",
        "rto",
        "t3_at",
    )

    def __init__(self, settings: SctpSettings, initial_tsn: int, counters: Counter[str]) -> None:
        self._settings = settings
        self._counters = counters
        self.queue = SendQueue()
        self.congestion = CongestionWindow(settings.maximum_packet)
        self.rto = RetransmissionTimeout(settings.rto_initial, settings.rto_minimum, settings.rto_maximum)
        self.peer_has_forward_tsn = False
        self.next_tsn = initial_tsn
        self.cumulative = initial_tsn - 1
        """The cumulative TSN ack point."""
        self.t3_at: float | None = None
        self._advanced = self.cumulative
        # Of what lies above the cumulative point, each TSN is in one of three: not acknowledged, in ascending order;
        # acknowledged by a block; given up, with the stream and number that its skipping passes over.
        self._unacknowledged: dict[int, SentChunk] = {}
        self._received: dict[int, SentChunk] = {}
        self._abandoned: dict[int, tuple[int, int] | None] = {}
        self._resend: dict[int, SentChunk] = {}
        self._next_numbers: dict[int, int] = {}
        self._in_flight = 0
        self._buffered = 0
        self._peer_window = 0
        self._is_rescuing = False
        self._is_forward_due = False
        self._forwarded_at = 0.0
        self._last_sent_at = 0.0
        self._measured: tuple[int, float] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all that was queued is acknowledged or given up."""
        return not self.queue and self.next_tsn == self.cumulative + 1

    @property
    def has_outstanding(self) -> bool:
        """Whether the peer owes an acknowledgement."""
        return self.next_tsn > self.cumulative + 1

    @property
    def has_more(self) -> bool:
        """Whether something waits to leave."""
        return bool(self.queue or self._resend or self._is_forward_due)

    @property
    def peer_window(self) -> int:
        """What the peer last said that it has room for."""
        return self._peer_window

    @property
    def peer_window_is_shut(self) -> bool:
        """Whether the peer has no room for a packet."""
        return self._peer_window < self._settings.maximum_packet

    # --- messages in ------------------------------------------------------------------------------------------------

    def set_peer_window(self, window: int) -> None:
        """What INIT or INIT ACK said."""
        self._peer_window = window

    def append(self, message: OutgoingMessage, *, is_control: bool = False) -> None:
        """Queue a message. Control messages (DCEP) are let in always: their number is bounded by the channels'.

        Full: for a lossy message its stream's oldest that have not begun to leave make room, or it is dropped itself.

        Raises:
            CapacityError: full, and the message is reliable.
        """
        capacity = self._settings.send_buffer_bytes
        if not is_control and self._buffered + message.cost > capacity:
            if message.is_reliable:
                raise CapacityError("send buffer", capacity, "bytes")
            while self._buffered + message.cost > capacity:
                dropped = self.queue.drop_oldest(message.stream_id)
                self._counters["dropped_for_room"] += 1
                if dropped is None:
                    return
                self._buffered -= dropped.cost
        self._buffered += message.cost
        self.queue.append(message)

    def drop(self, stream_id: int) -> None:
        """Forget what waits on a stream and has not begun to leave."""
        while (message := self.queue.drop_oldest(stream_id)) is not None:
            self._buffered -= message.cost

    def reset(self, stream_id: int) -> None:
        """The stream begins again at sequence number 0 (RFC 6525 section 5.2.7)."""
        self._next_numbers.pop(stream_id, None)

    def clear(self) -> None:
        """The association is over: nothing is sent any more."""
        self.t3_at = None
        self.queue = SendQueue()
        for chunks in (self._unacknowledged, self._received, self._abandoned, self._resend):
            chunks.clear()

    # --- chunks out -------------------------------------------------------------------------------------------------

    def begin_burst(self, now: float) -> int:
        """Call once before packets are filled; returns the bytes that may be in flight when they have left."""
        if not self._in_flight and self.queue and now - self._last_sent_at > self.rto.seconds:
            self.congestion.idle(int((now - self._last_sent_at) / self.rto.seconds))
        return min(self.congestion.size, self._in_flight + MAX_BURST * self._settings.maximum_packet)

    def next_chunk(self, room: int, allowance: int, now: float) -> bytes | None:
        """The next DATA chunk that may leave and fits, ``NEEDS_FRESH_PACKET``, or None when none may.

        ``allowance``: as ``begin_burst`` returned it.
        """
        chunk = self._next_resend(now)
        if chunk is not None:
            tsn, sent = chunk
            # Section 7.2.4: what is retransmitted fast first leaves whatever cwnd says.
            if self._is_rescuing or self._in_flight + sent.size <= allowance or not self._in_flight:
                if sent.size > room:
                    return NEEDS_FRESH_PACKET
                self._is_rescuing = False
                del self._resend[tsn]
                self._counters["retransmitted_chunks"] += 1
                return self._transmit(tsn, sent, now)
            return None
        self._is_rescuing = False
        return self._next_new(room, allowance, now)

    def _next_resend(self, now: float) -> tuple[int, SentChunk] | None:
        while self._resend:
            tsn, sent = next(iter(self._resend.items()))
            if not self._is_hopeless(sent, now):
                return tsn, sent
            self._abandon(sent.message)
        return None

    def _next_new(self, room: int, allowance: int, now: float) -> bytes | None:
        queue = self.queue
        while queue:
            message = queue.head()
            if message.expires_at is not None and message.expires_at <= now and self.peer_has_forward_tsn:
                self._abandon_head(message)
                continue
            if self.next_tsn - self.cumulative >= MAX_SPAN:
                return None
            left = len(message.data) - message.sent
            length = left
            if 16 + left > room:
                whole = self._settings.maximum_packet - HEADER_SIZE
                # A fragment fills what is left of a packet if that is most of one; a chunk that fits one stays whole.
                if 2 * room < whole or 16 + left <= whole:
                    return NEEDS_FRESH_PACKET
                length = room - 16
            size = 16 + (length + 3 & ~3)
            # With nothing in flight one chunk may leave in any case: it probes a window that is shut (section 6.1, A).
            if self._in_flight and self._in_flight + size > min(allowance, self._peer_window):
                return None
            return self._transmit_new(message, length, now)
        return None

    def _transmit_new(self, message: OutgoingMessage, length: int, now: float) -> bytes:
        tsn = self.next_tsn
        self.next_tsn += 1
        flags = 0 if message.is_ordered else UNORDERED
        if message.sent == 0:
            flags |= BEGINNING
            message.first_tsn = tsn
            if message.is_ordered:
                number = self._next_numbers.get(message.stream_id, 0)
                message.stream_sequence_number = number
                self._next_numbers[message.stream_id] = (number + 1) & 0xFFFF
        message.last_tsn = tsn
        start, end = message.sent, message.sent + length
        if end == len(message.data):
            flags |= END
        sent = SentChunk(message, start, end, flags)
        self._unacknowledged[tsn] = sent
        self.queue.advance(length)
        if self._measured is None:
            self._measured = (tsn, now)
        return self._transmit(tsn, sent, now)

    def _transmit(self, tsn: int, sent: SentChunk, now: float) -> bytes:
        sent.transmissions += 1
        if sent.transmissions > 1 and self._measured is not None and self._measured[0] == tsn:
            # Section 6.3.1, C5: "RTT measurements MUST NOT be made using packets that were retransmitted".
            self._measured = None
        sent.is_in_flight = True
        sent.misses = 0
        self._in_flight += sent.size
        self._last_sent_at = now
        # Section 6.3.2, R1: the timer runs while something is outstanding; and begins anew when the earliest TSN is
        # sent again.
        if self.t3_at is None or (sent.transmissions > 1 and tsn == next(iter(self._unacknowledged))):
            self.t3_at = now + self.rto.seconds
        message = sent.message
        length = sent.end - sent.start
        data = message.data if length == len(message.data) else message.data[sent.start : sent.end]
        header = DATA_HEADER.pack(
            0,
            sent.flags,
            16 + length,
            tsn & 0xFFFFFFFF,
            message.stream_id,
            message.stream_sequence_number,
            message.payload_protocol_id,
        )
        return b"".join((header, data, bytes(-length % 4)))

    # --- SACK -------------------------------------------------------------------------------------------------------

    def receive_sack(self, cumulative: int, window: int, gaps: list[tuple[int, int]], now: float) -> bool:
        """Take in what the peer has received. ``gaps``: extended TSNs. Returns whether anything new was acknowledged.

        One that is older than another, or acknowledges what was never sent, is counted and dropped.
        """
        if cumulative < self.cumulative or cumulative >= self.next_tsn:
            self._counters["stale_sack" if cumulative < self.cumulative else "impossible_sack"] += 1
            return False
        is_fully_used = self._in_flight + self._settings.maximum_packet >= self.congestion.size
        is_advanced = cumulative > self.cumulative
        acknowledged = 0
        for tsn in range(self.cumulative + 1, cumulative + 1):
            acknowledged += self._acknowledge(tsn)
        self.cumulative = cumulative
        self._advanced = max(self._advanced, cumulative)
        missing: list[tuple[int, SentChunk]] = []
        highest_new = cumulative
        if gaps:
            newly, missing = self._match(gaps)
            for tsn in newly:
                sent = self._unacknowledged.pop(tsn)
                self._resend.pop(tsn, None)
                self._received[tsn] = sent
                acknowledged += sent.size
                self._leave_flight(sent)
            if newly:
                highest_new = newly[-1]
        self._measure(now)
        self.congestion.end_recovery(cumulative)
        self.congestion.acknowledge(
            acknowledged,
            is_fully_used=is_fully_used,
            is_advanced=is_advanced,
            is_all=not self._unacknowledged,
        )
        # Section 7.2.4: in fast recovery a SACK that moves the cumulative point strikes all that it reports missing.
        if self.congestion.recovery_exit is not None and is_advanced:
            highest_new = max(highest_new, gaps[-1][1] if gaps else 0)
        self._strike(missing, highest_new, now)
        # Section 6.2.1, D: "Set rwnd equal to the newly received a_rwnd minus the number of bytes still outstanding";
        # here the other side of that comparison has what is outstanding.
        if self.peer_window_is_shut and not is_advanced and window >= self._settings.maximum_packet:
            # It has opened, and refused the probe that is out: what the timer learned from probing is void.
            self.rto.forget_back_off()
            self.t3_at = now + self.rto.seconds
        self._peer_window = window
        self._note_abandoned(now)
        if not self.has_outstanding:
            self.t3_at = None
        elif is_advanced:
            # Departs from RFC 9260 section 6.3.3, by which only a new measurement ends a back-off: because on a bad
            # path everything is sent twice, and nothing measured. That something arrives is enough, as for libwebrtc.
            self.rto.forget_back_off()
            self.t3_at = now + self.rto.seconds
        return acknowledged > 0 or is_advanced

    def _acknowledge(self, tsn: int) -> int:
        """The cumulative point passes a TSN; returns bytes that no SACK has acknowledged before."""
        sent = self._unacknowledged.pop(tsn, None)
        if sent is not None:
            self._resend.pop(tsn, None)
            self._leave_flight(sent)
            self._buffered -= sent.cost
            return sent.size
        sent = self._received.pop(tsn, None)
        if sent is not None:
            self._buffered -= sent.cost
        else:
            del self._abandoned[tsn]
        return 0

    def _match(self, gaps: list[tuple[int, int]]) -> tuple[list[int], list[tuple[int, SentChunk]]]:
        """Which chunks the blocks newly acknowledge, and which below the last block they do not.

        Only what is not acknowledged yet is looked at, so that a SACK costs as much as it says that is new.
        """
        newly: list[int] = []
        missing: list[tuple[int, SentChunk]] = []
        at, last = 0, gaps[-1][1]
        for tsn, sent in self._unacknowledged.items():
            if tsn > last:
                break
            while gaps[at][1] < tsn:
                at += 1
            if tsn >= gaps[at][0]:
                newly.append(tsn)
            elif sent.is_in_flight:
                missing.append((tsn, sent))
        return newly, missing

    def _strike(self, missing: Iterable[tuple[int, SentChunk]], highest_new: int, now: float) -> None:
        """Count reports of missing chunks below the highest newly acknowledged; the third is one too many."""
        is_lost = False
        for tsn, sent in missing:
            if tsn >= highest_new:
                break
            sent.misses += 1
            # RFC 9260 section 7.2.4: what was retransmitted fast once is left to T3.
            if sent.misses < MISSES or sent.was_fast_retransmitted or not sent.is_in_flight:
                continue
            sent.was_fast_retransmitted = True
            is_lost = True
            self._leave_flight(sent)
            self._resend[tsn] = sent
        if is_lost:
            if self.congestion.recovery_exit is None:
                self._is_rescuing = True
                self._counters["fast_recoveries"] += 1
            self.congestion.begin_recovery(self.next_tsn - 1)
            self._abandon_hopeless(now)

    def _measure(self, now: float) -> None:
        """One round trip at a time, of a chunk that was sent once (section 6.3.1, C4 and C5)."""
        if self._measured is None:
            return
        tsn, sent_at = self._measured
        if tsn <= self.cumulative or tsn in self._received:
            self.rto.sample(now - sent_at)
            self._measured = None

    def _leave_flight(self, sent: SentChunk) -> None:
        if sent.is_in_flight:
            sent.is_in_flight = False
            self._in_flight -= sent.size

    # --- T3 ---------------------------------------------------------------------------------------------------------

    def time_out(self, now: float) -> None:
        """T3 has expired: all that is out is sent again as cwnd, one packet now, allows (section 6.3.3)."""
        self.t3_at = None
        self._measured = None
        self._is_rescuing = False
        # Blocks are advice: a peer may have taken back what it reported. As RFC 2018 section 8 says for TCP, a timeout
        # forgets them; the next SACK reports again what is still there.
        if self._received:
            everything = sorted((self._unacknowledged | self._received).items())
            self._unacknowledged = dict(everything)
            self._received.clear()
        if self._unacknowledged:
            self.congestion.time_out()
        self.rto.back_off()
        for sent in self._unacknowledged.values():
            self._leave_flight(sent)
            sent.was_fast_retransmitted = False
        self._resend = dict(self._unacknowledged)
        self._abandon_hopeless(now)
        if self._advanced > self.cumulative:
            # RFC 3758 section 3.5, A5: what is sent again includes the FORWARD-TSN.
            self._is_forward_due = True
            self.t3_at = now + self.rto.seconds

    # --- partial reliability ----------------------------------------------------------------------------------------

    def _is_hopeless(self, sent: SentChunk, now: float) -> bool:
        """Whether the message is not worth sending this chunk of it once more (RFC 7496 sections 4.1 and 4.2)."""
        if not self.peer_has_forward_tsn:
            return False
        message = sent.message
        if message.max_retransmits is not None and sent.transmissions > message.max_retransmits:
            return True
        return message.expires_at is not None and message.expires_at <= now

    def _abandon_hopeless(self, now: float) -> None:
        for tsn in list(self._resend):
            sent = self._resend.get(tsn)
            if sent is not None and self._is_hopeless(sent, now):
                self._abandon(sent.message)
        self._note_abandoned(now)

    def _abandon_head(self, message: OutgoingMessage) -> None:
        """A message that waits has expired; one that is half out is given up whole."""
        if message.sent:
            self._abandon(message)
        else:
            self._counters["abandoned_messages"] += 1
            self._buffered -= message.cost
            self.queue.drop_head()

    def _abandon(self, message: OutgoingMessage) -> None:
        """Give up a message of which chunks have left: its TSNs will be skipped."""
        self._counters["abandoned_messages"] += 1
        skipped = (message.stream_id, message.stream_sequence_number) if message.is_ordered else None
        if self._measured is not None and message.first_tsn <= self._measured[0] <= message.last_tsn:
            self._measured = None
        for tsn in message.tsns():
            sent = self._unacknowledged.pop(tsn, None) or self._received.pop(tsn, None)
            if sent is not None:
                self._resend.pop(tsn, None)
                self._leave_flight(sent)
                self._buffered -= sent.cost
                self._abandoned[tsn] = skipped
        if message.sent < len(message.data):
            self._buffered -= message.cost - message.sent
            self.queue.drop_head()
            # What has left may all have arrived: then only a TSN beyond it can tell the peer that no more follows.
            self._abandoned[self.next_tsn] = skipped
            self.next_tsn += 1
        self._is_forward_due = True

    def _note_abandoned(self, now: float) -> None:
        """Move the advanced peer ack point over what is given up (RFC 3758 section 3.5, C1 to C3)."""
        advanced = max(self._advanced, self.cumulative)
        while advanced + 1 in self._abandoned:
            advanced += 1
        if advanced > self._advanced:
            self._is_forward_due = True
        elif advanced > self.cumulative and now - self._forwarded_at >= (self.rto.smoothed or self.rto.seconds):
            # A FORWARD-TSN was lost, it seems: a SACK that does not reflect it a round trip later asks for another.
            self._is_forward_due = True
        self._advanced = advanced

    def take_forward_tsn(self, room: int, now: float) -> bytes | None:
        """A FORWARD-TSN that fits the room, if one is due."""
        if not self._is_forward_due or room < 8:
            return None
        self._is_forward_due = False
        self._note_abandoned(now)
        self._is_forward_due = False
        if self._advanced <= self.cumulative:
            return None
        streams: dict[int, int] = {}
        limit = (room - 8) // 4
        for tsn in range(self.cumulative + 1, self._advanced + 1):
            skipped = self._abandoned[tsn]
            if skipped is not None:
                if skipped[0] not in streams and len(streams) == limit:
                    # RFC 3758 section 3.5, C3: what does not fit is left for the next one.
                    self._advanced = tsn - 1
                    break
                streams[skipped[0]] = skipped[1]
        self._forwarded_at = now
        if self.t3_at is None:
            self.t3_at = now + self.rto.seconds
        self._counters["forward_tsns"] += 1
        return ForwardTsn(self._advanced & 0xFFFFFFFF, list(streams.items())).serialize()
