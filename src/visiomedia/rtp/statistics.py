"""What one source has delivered, for report blocks (RFC 3550 appendices A.1, A.3 and A.8)."""

from visiomedia.rtp.rtcp.reports import ReportBlock
from visiomedia.rtp.sequence import distance, extend

MAX_DROPOUT = 3000
"""A gap this long is no loss but a sequence that may have begun anew (RFC 3550 appendix A.1)."""

MAX_MISORDER = 1000
"""Likewise for a packet further behind. Appendix A.1 has 100, but repair brings packets back from gaps this long."""


class ReceptionStatistics:
    """Counts packets of one SSRC. Unbounded integers inside; nothing wraps."""

    __slots__ = (
        "_expected_prior",
        "_received_prior",
        "_restart",
        "_transit",
        "clock_rate",
        "first",
        "highest",
        "jitter",
        "received",
        "report_arrival",
        "report_ntp",
        "ssrc",
    )

    def __init__(self, ssrc: int, clock_rate: int) -> None:
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.first: int | None = None
        self.highest: int | None = None
        self.received = 0
        self.jitter = 0.0
        """RTP ticks."""
        self.report_ntp: int | None = None
        self.report_arrival = 0.0
        self._transit: int | None = None
        self._restart: int | None = None
        """The next number of what may be a sequence that has begun anew."""
        self._expected_prior = 0
        self._received_prior = 0

    @property
    def expected(self) -> int:
        """Packets that would have come without loss."""
        return 0 if self.highest is None or self.first is None else self.highest - self.first + 1

    def receive(self, sequence_number: int, timestamp: int, arrival: float) -> None:
        """Count a packet; ``arrival`` in monotonic seconds.

        The first counts at once, without the probation of appendix A.1: SDP and SRTP have vouched for its source. One
        that is far off the others does not count, unless the next goes on from it: then all counts begin anew.
        """
        if self.highest is None:
            self._begin(sequence_number)
        elif -MAX_MISORDER <= distance(sequence_number, self.highest) < MAX_DROPOUT:
            self._restart = None
            self.highest = max(self.highest, extend(sequence_number, self.highest))
        elif sequence_number == self._restart:
            self._begin(sequence_number)
        else:
            self._restart = (sequence_number + 1) & 0xFFFF
            return
        self.received += 1
        transit = int(arrival * self.clock_rate) - timestamp
        if self._transit is not None:
            difference = abs(distance(transit & 0xFFFFFFFF, self._transit & 0xFFFFFFFF, 32))
            # A timestamp that jumped says nothing of the network.
            if difference < 10 * self.clock_rate:
                self.jitter += (difference - self.jitter) / 16
        self._transit = transit

    def _begin(self, sequence_number: int) -> None:
        self.first = self.highest = sequence_number
        self.received = self._expected_prior = self._received_prior = 0
        self._restart = self._transit = None

    def receive_sender_report(self, ntp: int, arrival: float) -> None:
        """Note a sender report, so that the next block tells it back."""
        self.report_ntp, self.report_arrival = ntp, arrival

    def report(self, now: float) -> ReportBlock:
        """A block; its fraction lost is of the time since the last one."""
        expected = self.expected - self._expected_prior
        lost = expected - (self.received - self._received_prior)
        self._expected_prior, self._received_prior = self.expected, self.received
        fraction = min(lost * 256 // expected, 255) if expected > 0 and lost > 0 else 0
        last_report = delay = 0
        if self.report_ntp is not None:
            last_report = self.report_ntp >> 16 & 0xFFFFFFFF
            delay = int((now - self.report_arrival) * 65536) & 0xFFFFFFFF
        highest = 0 if self.highest is None else self.highest & 0xFFFFFFFF
        total = self.expected - self.received
        return ReportBlock(self.ssrc, fraction, total, highest, int(self.jitter), last_report, delay)
