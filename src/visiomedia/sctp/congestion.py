"""How much may be in flight, and when what is in flight is given up for lost (RFC 9260 sections 6.3 and 7.2)."""


class CongestionWindow:
    """cwnd and what it moves by: slow start, avoidance, fast recovery. Sizes are bytes of DATA chunks."""

    __slots__ = ("_packet", "_partial_bytes_acked", "recovery_exit", "size", "threshold")

    def __init__(self, packet: int) -> None:
        self._packet = packet
        # RFC 9260 section 7.2.1: "The initial cwnd before data transmission MUST be set to
        # min(4 * PMDCS, max(2 * PMDCS, 4404)) bytes"
        self.size = min(4 * packet, max(2 * packet, 4404))
        self.threshold = 1 << 30
        self.recovery_exit: int | None = None
        self._partial_bytes_acked = 0

    def acknowledge(self, acknowledged: int, *, is_fully_used: bool, is_advanced: bool, is_all: bool) -> None:
        """A SACK has newly acknowledged so many bytes. ``is_all``: nothing is outstanding any more."""
        if self.size <= self.threshold:
            # Section 7.2.1: cwnd grows only when it "is being fully utilized", "an incoming SACK chunk advances the
            # Cumulative TSN Ack Point" and "the data sender is not in Fast Recovery".
            if is_fully_used and is_advanced and self.recovery_exit is None:
                self.size += min(acknowledged, self._packet)
            return
        if is_advanced:
            self._partial_bytes_acked += acknowledged
        if self._partial_bytes_acked >= self.size and is_fully_used and self.recovery_exit is None:
            self._partial_bytes_acked -= self.size
            self.size += self._packet
        # Section 7.2.2: "When all of the data transmitted by the sender has been acknowledged by the receiver,
        # partial_bytes_acked is initialized to 0."
        if is_all:
            self._partial_bytes_acked = 0

    def begin_recovery(self, highest_outstanding: int) -> None:
        """A chunk was reported missing three times (section 7.2.4)."""
        if self.recovery_exit is None:
            self._shrink()
            self.size = self.threshold
            self.recovery_exit = highest_outstanding

    def end_recovery(self, cumulative: int) -> None:
        """The peer has everything up to here: that ends fast recovery if it was all that was out when it began."""
        if self.recovery_exit is not None and cumulative >= self.recovery_exit:
            self.recovery_exit = None

    def time_out(self) -> None:
        """T3 has expired (section 7.2.3)."""
        self._shrink()
        self.size = self._packet
        self.recovery_exit = None

    def idle(self, timeouts: int) -> None:
        """Nothing was sent for so many RTOs: what was learned has aged (section 7.2.1)."""
        self.size = max(self.size >> min(timeouts, 30), min(self.size, 4 * self._packet))

    def _shrink(self) -> None:
        self.threshold = max(self.size // 2, 4 * self._packet)
        self._partial_bytes_acked = 0


class RetransmissionTimeout:
    """RTO from round trips (section 6.3.1)."""

    __slots__ = ("_initial", "_maximum", "_minimum", "_variation", "seconds", "smoothed")

    def __init__(self, initial: float, minimum: float, maximum: float) -> None:
        self._initial, self._minimum, self._maximum = initial, minimum, maximum
        self._variation = 0.0
        self.seconds = initial
        self.smoothed: float | None = None

    def sample(self, rtt: float) -> None:
        """A round trip was measured."""
        if self.smoothed is None:
            self.smoothed, self._variation = rtt, rtt / 2
        else:
            self._variation += (abs(self.smoothed - rtt) - self._variation) / 4
            self.smoothed += (rtt - self.smoothed) / 8
        self.forget_back_off()

    def forget_back_off(self) -> None:
        """Go back to what round trips say."""
        if self.smoothed is None:
            self.seconds = self._initial
        else:
            self.seconds = min(max(self.smoothed + 4 * self._variation, self._minimum), self._maximum)

    def back_off(self) -> None:
        """A timer with this timeout has expired (section 6.3.3, E2)."""
        self.seconds = min(2 * self.seconds, self._maximum)
