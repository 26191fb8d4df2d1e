"""What one source has delivered, for report blocks (RFC 3550 appendices A.1, A.3 and A.8)."""

from visiomedia.rtp.rtcp.reports import ReportBlock
from visiomedia.rtp.sequence import distance, extend


class ReceptionStatistics:
    """Counts packets of one SSRC. Unbounded integers inside; nothing wraps."""

    __slots__ = (
        "_expected_prior",
        "_received_prior",
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
        self._expected_prior = 0
        self._received_prior = 0

    @property
    def expected(self) -> int:
        """Packets that would have come without loss."""
        return 0 if self.highest is None or self.first is None else self.highest - self.first + 1

    def receive(self, sequence_number: int, timestamp: int, arrival: float) -> None:
        """Count a packet; ``arrival`` in monotonic seconds."""
        if self.highest is None:
            self.first = self.highest = sequence_number
        else:
            self.highest = max(self.highest, extend(sequence_number, self.highest))
        self.received += 1
        transit = int(arrival * self.clock_rate) - timestamp
        if self._transit is not None:
            difference = abs(distance(transit & 0xFFFFFFFF, self._transit & 0xFFFFFFFF, 32))
            # A timestamp that jumped says nothing of the network.
            if difference < 10 * self.clock_rate:
                self.jitter += (difference - self.jitter) / 16
        self._transit = transit

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
