"""Resets of streams, by which channels are closed: our requests and the peer's (RFC 6525 sections 5.1 and 5.2)."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from visiomedia.errors import ParseError
from visiomedia.rtp.sequence import extend
from visiomedia.sctp.chunks import ReConfig
from visiomedia.sctp.parameters import Parameter
from visiomedia.sctp.reconfiguration import (
    AddStreams,
    IncomingReset,
    OutgoingReset,
    ReconfigurationType,
    ResetResponse,
    ResetResult,
    TsnReset,
    parse_reconfiguration,
)

STREAMS_A_REQUEST = 200
"""What fits the smallest packet that the settings allow."""

MAX_RESPONSES = 8


@dataclass(slots=True)
class OutgoingStreamsReset:
    """The peer has answered our request. ``is_refused``: it did not do it."""

    streams: list[int]
    is_refused: bool


@dataclass(slots=True)
class IncomingStreamsReset:
    """The peer has reset these streams of its own; none means all."""

    streams: list[int]


@dataclass(slots=True)
class IncomingResetRequested:
    """The peer asks us to reset these streams of ours; none means all."""

    streams: list[int]


ResetOutcome = OutgoingStreamsReset | IncomingStreamsReset | IncomingResetRequested


class StreamResets:
    """One request of ours at a time; one of the peer's may wait for data that it counts on."""

    __slots__ = (
        "_counters",
        "_deferred",
        "_expected",
        "_is_asked_to_wait",
        "_is_unnumbered",
        "_last_result",
        "_next_number",
        "_request",
        "_requested",
        "_responses",
        "inbound_streams",
        "retransmit_at",
    )

    def __init__(self, initial_tsn: int, remote_initial_tsn: int, inbound_streams: int, counters: Counter[str]) -> None:
        # RFC 6525 section 4.1: the number "is initialized to the same value as the initial TSN".
        self._next_number = initial_tsn & 0xFFFFFFFF
        self._expected = remote_initial_tsn & 0xFFFFFFFF
        self._last_result = ResetResult.NOTHING_TO_DO
        self._counters = counters
        self._requested: dict[int, None] = {}
        self._request: OutgoingReset | None = None
        self._is_unnumbered = False
        self._is_asked_to_wait = False
        self._deferred: OutgoingReset | None = None
        self._responses: deque[Parameter] = deque(maxlen=MAX_RESPONSES)
        self.inbound_streams = inbound_streams
        self.retransmit_at: float | None = None

    @property
    def has_more(self) -> bool:
        """Whether there is something to ask or to answer."""
        return bool(self._responses or self._requested or self._is_unnumbered)

    # --- our requests -----------------------------------------------------------------------------------------------

    def request(self, stream_id: int) -> None:
        """Reset this stream of ours, once it has nothing to send."""
        self._requested[stream_id] = None

    def chunks_to_send(
        self, is_sent: Callable[[int], bool], last_tsn: int, timeout: float, now: float
    ) -> list[ReConfig]:
        """Responses that are due, and a request if one may be made. ``is_sent``: nothing waits on that stream."""
        chunks = []
        while self._responses:
            chunks.append(ReConfig([self._responses.popleft()]))
        if self._request is None and self._requested:
            streams = [stream for stream in self._requested if is_sent(stream)][:STREAMS_A_REQUEST]
            if streams:
                for stream in streams:
                    del self._requested[stream]
                self._request = OutgoingReset(0, 0, last_tsn & 0xFFFFFFFF, streams)
                self._is_unnumbered = True
        if self._request is not None and self._is_unnumbered:
            self._is_unnumbered = False
            self._request.request_number = self._next_number
            self._next_number = (self._next_number + 1) & 0xFFFFFFFF
            self.retransmit_at = now + timeout
            chunks.append(self._request_chunk(self._request))
        return chunks

    def _request_chunk(self, request: OutgoingReset) -> ReConfig:
        # RFC 6525 section 4.1: without an incoming request to answer, this is "the next expected Re-configuration
        # Request Sequence Number of the peer minus 1".
        request.response_number = (self._expected - 1) & 0xFFFFFFFF
        return ReConfig([request.serialize()])

    def time_out(self, timeout: float, now: float) -> ReConfig | None:
        """The same request again, as no answer came; or None if one came, to wait: it is time for a new request."""
        self.retransmit_at = None
        if self._request is None:
            return None
        if self._is_asked_to_wait:
            self._is_asked_to_wait = False
            self._is_unnumbered = True
            return None
        self.retransmit_at = now + timeout
        return self._request_chunk(self._request)

    # --- the peer's -------------------------------------------------------------------------------------------------

    def receive(self, chunk: ReConfig, cumulative: int, timeout: float, now: float) -> list[ResetOutcome]:
        """Take in a RE-CONFIG; returns what it brings about. Its parameters are judged one by one."""
        outcomes: list[ResetOutcome] = []
        for parameter in chunk.parameters:
            try:
                reconfiguration = parse_reconfiguration(parameter)
            except ParseError:
                self._counters["malformed_reconfiguration"] += 1
                continue
            if isinstance(reconfiguration, ResetResponse):
                outcomes += self._receive_response(reconfiguration, timeout, now)
            else:
                outcomes += self._receive_request(reconfiguration, cumulative)
        return outcomes

    def _receive_response(self, response: ResetResponse, timeout: float, now: float) -> list[ResetOutcome]:
        request = self._request
        if request is None or self._is_unnumbered or response.response_number != request.request_number:
            self._counters["unexpected_reconfiguration_response"] += 1
            return []
        if response.result in (ResetResult.IN_PROGRESS, ResetResult.REQUEST_IN_PROGRESS):
            # Ask again, under a new number: libwebrtc answers the old one as it did before, whatever has come since.
            self.retransmit_at = now + timeout
            self._is_asked_to_wait = True
            return []
        self._request = None
        self._is_asked_to_wait = False
        self.retransmit_at = None
        is_refused = response.result not in (ResetResult.NOTHING_TO_DO, ResetResult.PERFORMED)
        if is_refused:
            self._counters["reset_refused"] += 1
        return [OutgoingStreamsReset(request.streams, is_refused)]

    def _receive_request(
        self, request: OutgoingReset | IncomingReset | AddStreams | TsnReset, cumulative: int
    ) -> list[ResetOutcome]:
        number = request.request_number
        if number == (self._expected - 1) & 0xFFFFFFFF:
            # RFC 6525 section 5.2.1: a request seen before gets its answer again.
            self._counters["repeated_reconfiguration"] += 1
            self._respond(number, self._last_result)
            return []
        if number != self._expected:
            self._counters["reconfiguration_out_of_sequence"] += 1
            self._respond(number, ResetResult.BAD_SEQUENCE_NUMBER, is_last=False)
            return []
        self._expected = (self._expected + 1) & 0xFFFFFFFF
        if isinstance(request, OutgoingReset):
            self._deferred = request
            outcomes = self.poll(cumulative)
            if not outcomes:
                self._respond(number, ResetResult.IN_PROGRESS)
            return outcomes
        if isinstance(request, IncomingReset):
            self._respond(number, ResetResult.PERFORMED)
            return [IncomingResetRequested(request.streams)]
        if isinstance(request, AddStreams) and request.kind is ReconfigurationType.ADD_OUTGOING_STREAMS:
            wanted = self.inbound_streams + request.count
            if wanted <= 0xFFFF:
                self.inbound_streams = wanted
                self._respond(number, ResetResult.PERFORMED)
                return []
        # More streams of ours, more than there are, or TSNs from the start again: nobody who speaks WebRTC needs it.
        self._respond(number, ResetResult.DENIED)
        return []

    def poll(self, cumulative: int) -> list[ResetOutcome]:
        """Data has come: perform the peer's request if all is there that it counts on (section 5.2.2, E2)."""
        request = self._deferred
        if request is None or extend(request.last_tsn, cumulative, 32) > cumulative:
            return []
        self._deferred = None
        self._respond(request.request_number, ResetResult.PERFORMED)
        return [IncomingStreamsReset(request.streams)]

    def _respond(self, number: int, result: ResetResult, *, is_last: bool = True) -> None:
        if is_last:
            self._last_result = result
        self._responses.append(ResetResponse(number, result).serialize())
