"""The receiving half: what is taken, what is held, and when that is acknowledged (RFC 9260 section 6.2)."""

from collections import Counter

from visiomedia.rtp.sequence import extend
from visiomedia.sctp.chunks import BEGINNING, IMMEDIATE, Data, ForwardTsn, Sack
from visiomedia.sctp.failure import AssociationFailed
from visiomedia.sctp.parameters import CauseCode
from visiomedia.sctp.reassembly import OVERHEAD, Message, Reassembly
from visiomedia.sctp.received_tsns import MAX_SPAN, ReceivedTsns
from visiomedia.sctp.settings import SctpSettings


class Inbound:
    """Takes DATA and FORWARD-TSN; says what a SACK says and when it is due.

    The window is shared by what waits for fragments or order here and by what the owner has not read yet: ``unread``
    is his to count.
    """

    __slots__ = (
        "_advertised",
        "_counters",
        "_packets_unacknowledged",
        "_settings",
        "is_due",
        "reassembly",
        "received",
        "sack_at",
        "streams",
        "unread",
    )

    def __init__(self, settings: SctpSettings, remote_initial_tsn: int, streams: int, counters: Counter[str]) -> None:
        self._settings = settings
        self.streams = streams
        self._counters = counters
        self._advertised = settings.receive_window_bytes
        self._packets_unacknowledged = 0
        self.received = ReceivedTsns(remote_initial_tsn - 1)
        self.reassembly = Reassembly()
        self.unread = 0
        self.is_due = False
        """A SACK must leave with the next packet, or as one."""
        self.sack_at: float | None = None
        """When one must leave at the latest."""

    @property
    def cumulative(self) -> int:
        """The last TSN, extended, up to which nothing is missing."""
        return self.received.cumulative

    @property
    def window(self) -> int:
        """Bytes that the peer may still send."""
        return max(self._settings.receive_window_bytes - self.reassembly.held - self.unread, 0)

    def receive_data(self, chunk: Data) -> list[Message]:
        """Take one chunk; returns the messages that can be delivered now.

        Raises:
            AssociationFailed: the message that this is a part of is larger than we said we take.
        """
        received = self.received
        tsn = extend(chunk.tsn, received.cumulative, 32)
        if tsn in received:
            # Section 6.2: "When a packet arrives with duplicate DATA chunk(s) and no new DATA chunk(s), the endpoint
            # MUST immediately send a SACK chunk with no delay."
            received.note_duplicate(tsn & 0xFFFFFFFF)
            self._counters["duplicate_data"] += 1
            self.is_due = True
            return []
        if not self._has_room(tsn, len(chunk.user_data) + OVERHEAD):
            self._counters["beyond_window"] += 1
            self.is_due = True
            return []
        if not self.reassembly.is_consistent(chunk, tsn):
            self._counters["inconsistent_fragment"] += 1
            return []
        if self.reassembly.size_with(chunk, tsn) > self._settings.maximum_message:
            raise AssociationFailed("the peer sent a message that is too large", CauseCode.OUT_OF_RESOURCE)
        is_dropped = self._is_dropped(chunk, tsn)
        had_gaps = received.has_gaps
        received.add(tsn)
        # Section 6.7: a gap, when it opens and when it closes, is reported at once.
        if received.has_gaps or had_gaps or chunk.flags & IMMEDIATE:
            self.is_due = True
        return [] if is_dropped else self.reassembly.add(chunk, tsn)

    def _has_room(self, tsn: int, cost: int) -> bool:
        """Whether the window, or what is kept beyond it for TSNs that fill a gap, takes this.

        What fills a gap frees what waits behind it, so a full window must not refuse it: it gets room for one more
        message, and the very next TSN for two.
        """
        received, settings = self.received, self._settings
        if tsn > received.cumulative + MAX_SPAN:
            return False
        limit = settings.receive_window_bytes
        if tsn == received.cumulative + 1:
            limit += 2 * settings.maximum_message if received.has_gaps or self.reassembly.held else 0
        elif tsn < received.highest:
            limit += settings.maximum_message
        return self.reassembly.held + self.unread + cost <= limit

    def _is_dropped(self, chunk: Data, tsn: int) -> bool:
        """Whether a chunk is acknowledged, so that the peer may go on, and its data is of no use."""
        if chunk.stream_id >= self.streams:
            self._counters["invalid_stream"] += 1
            return True
        if chunk.flags & BEGINNING or tsn - 1 > self.received.cumulative or self.reassembly.has_fragment_before(tsn):
            return False
        # The start of this message was skipped by a FORWARD-TSN: it will never be whole.
        self._counters["orphaned_fragment"] += 1
        return True

    def receive_forward_tsn(self, chunk: ForwardTsn) -> list[Message]:
        """Skip what the peer has given up; returns what waited for it (RFC 3758 section 3.6)."""
        self.is_due = True
        cumulative = extend(chunk.new_cumulative_tsn, self.received.cumulative, 32)
        if cumulative <= self.received.cumulative:
            return []
        self.received.forward(cumulative)
        return self.reassembly.forward(cumulative, chunk.streams)

    def note_packet(self, now: float) -> None:
        """A packet with DATA is through: every second one is acknowledged at once, another after a while."""
        self._packets_unacknowledged += 1
        if self._packets_unacknowledged >= 2:
            self.is_due = True
        elif self.sack_at is None:
            self.sack_at = now + self._settings.acknowledgement_delay

    def note_read(self) -> None:
        """The owner has read: tell a peer that stands before a window nearly shut that it is open again."""
        if self._advertised < self._settings.receive_window_bytes // 2 <= self.window:
            self.is_due = True

    def take_sack(self, room: int) -> bytes:
        """The SACK for what has come, which fits the room; nothing is due then."""
        self.is_due, self.sack_at, self._packets_unacknowledged = False, None, 0
        self._advertised = self.window
        duplicates = self.received.duplicates
        if duplicates:
            self.received.duplicates = []
            duplicates = duplicates[: max(room - 16, 0) // 8]
        gaps = self.received.gaps((room - 16) // 4 - len(duplicates)) if self.received.has_gaps else []
        return Sack(self.cumulative & 0xFFFFFFFF, self._advertised, gaps, duplicates).serialize()
