"""Data channels: a pair of streams with one id, a policy and a life (RFC 8831 section 6, RFC 8832)."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from visiomedia.errors import CapacityError, ConfigurationError, InvalidStateError, ParseError
from visiomedia.sctp.dcep import DATA_CHANNEL_ACK, DataChannelOpen, MessageType, PayloadProtocol
from visiomedia.sctp.events import (
    AssociationEvent,
    BufferedAmountLow,
    DataChannelClosed,
    DataChannelOpened,
    MessageReceived,
)
from visiomedia.sctp.outbound import Outbound
from visiomedia.sctp.outgoing import OutgoingMessage
from visiomedia.sctp.reassembly import Message
from visiomedia.sctp.settings import SctpSettings

MAX_STREAM_ID = 65_534
"""RFC 8831 section 6.6: 65535 is not used, so that both sides have as many."""


class ChannelState(Enum):
    """Where a channel stands. Closed ones are not kept."""

    CONNECTING = "connecting"
    """Its DATA_CHANNEL_OPEN is not acknowledged; what is sent now goes in order (RFC 8832 section 6)."""
    OPEN = "open"
    CLOSING = "closing"


@dataclass(slots=True)
class _Channel:
    channel_id: int
    parameters: DataChannelOpen
    state: ChannelState
    is_negotiated: bool = False
    is_incoming_reset: bool = False
    is_outgoing_reset: bool = False
    low_threshold: int = 0
    is_above_threshold: bool = False


class DataChannels:
    """The channels of one association. Queues messages with ``outbound``; ``resets_wanted`` are streams to reset."""

    __slots__ = (
        "_channels",
        "_counters",
        "_events",
        "_outbound",
        "_parity",
        "_settings",
        "is_established",
        "maximum_message",
        "resets_wanted",
        "streams",
    )

    def __init__(
        self,
        settings: SctpSettings,
        outbound: Outbound,
        events: list[AssociationEvent],
        counters: Counter[str],
        *,
        is_client: bool,
        maximum_message: int,
    ) -> None:
        self._settings = settings
        self._outbound = outbound
        self._events = events
        self._counters = counters
        # RFC 8832 section 6: the side that is DTLS client uses even stream identifiers, the server odd ones.
        self._parity = 0 if is_client else 1
        self._channels: dict[int, _Channel] = {}
        self.maximum_message = maximum_message
        self.streams = MAX_STREAM_ID + 1
        """How many streams both sides have, known once the association is."""
        self.is_established = False
        self.resets_wanted: dict[int, None] = {}

    # --- verbs ------------------------------------------------------------------------------------------------------

    def open(self, parameters: DataChannelOpen, channel_id: int | None, *, is_negotiated: bool) -> int:
        """See ``Association.open_channel``."""
        if len(self._channels) >= self._settings.maximum_channels:
            raise CapacityError("data channels", self._settings.maximum_channels)
        if channel_id is None:
            channel_id = self._free_id()
        elif not 0 <= channel_id < self.streams:
            raise ConfigurationError("channel_id", channel_id, f"0 to {self.streams - 1}")
        elif channel_id in self._channels:
            raise InvalidStateError(f"channel {channel_id} is in use")
        channel = _Channel(channel_id, parameters, ChannelState.CONNECTING, is_negotiated)
        self._channels[channel_id] = channel
        if not is_negotiated:
            self._send_control(channel_id, parameters.serialize())
        elif self.is_established:
            self._become_open(channel, is_by_peer=False)
        return channel_id

    def _free_id(self) -> int:
        for channel_id in range(self._parity, self.streams, 2):
            if channel_id not in self._channels:
                return channel_id
        raise CapacityError("streams", self.streams)

    def send(self, channel_id: int, data: bytes, now: float, *, is_text: bool) -> None:
        """See ``Association.send``."""
        channel = self._channels.get(channel_id)
        if channel is None or channel.state is ChannelState.CLOSING:
            raise InvalidStateError(f"channel {channel_id} is not open")
        if len(data) > self.maximum_message:
            raise ConfigurationError("length of message", len(data), f"at most {self.maximum_message} bytes")
        parameters = channel.parameters
        protocol = PayloadProtocol.STRING if is_text else PayloadProtocol.BINARY
        if not data:
            # RFC 8831 section 6.6: SCTP carries no empty message, so one zero byte stands for it.
            protocol = PayloadProtocol.STRING_EMPTY if is_text else PayloadProtocol.BINARY_EMPTY
        life_time = parameters.max_packet_life_time
        self._outbound.append(
            OutgoingMessage(
                channel_id,
                protocol,
                data or b"\0",
                is_ordered=parameters.ordered or channel.state is ChannelState.CONNECTING,
                max_retransmits=parameters.max_retransmits,
                expires_at=None if life_time is None else now + life_time / 1000,
                is_buffered=bool(data),
            )
        )
        if self.buffered_amount(channel_id) > channel.low_threshold:
            channel.is_above_threshold = True

    def close(self, channel_id: int) -> None:
        """See ``Association.close_channel``."""
        channel = self._channels.get(channel_id)
        if channel is None:
            raise InvalidStateError(f"channel {channel_id} is not there")
        self._begin_closing(channel)

    def buffered_amount(self, channel_id: int) -> int:
        """Bytes queued on the channel that have not left."""
        return self._outbound.queue.amounts.get(channel_id, 0)

    def set_low_threshold(self, channel_id: int, threshold: int) -> None:
        """See ``Association.set_buffered_amount_low_threshold``."""
        channel = self._channels.get(channel_id)
        if channel is None:
            raise InvalidStateError(f"channel {channel_id} is not there")
        channel.low_threshold = threshold
        channel.is_above_threshold = self.buffered_amount(channel_id) > threshold

    def state(self, channel_id: int) -> ChannelState | None:
        """Where a channel stands; None where there is none."""
        channel = self._channels.get(channel_id)
        return None if channel is None else channel.state

    # --- the association's life -------------------------------------------------------------------------------------

    def limit_streams(self, streams: int) -> None:
        """Both sides have so many."""
        self.streams = min(streams, MAX_STREAM_ID + 1)

    def establish(self) -> None:
        """Channels beyond the streams that there are cannot be; negotiated ones are open now."""
        self.is_established = True
        for channel in list(self._channels.values()):
            if channel.channel_id >= self.streams:
                self._outbound.drop(channel.channel_id)
                self._forget(channel)
            elif channel.is_negotiated and channel.state is ChannelState.CONNECTING:
                self._become_open(channel, is_by_peer=False)

    def end(self) -> None:
        """The association is over: so is every channel."""
        for channel in list(self._channels.values()):
            self._forget(channel)

    def note_sent(self) -> None:
        """Data has left: tell of channels whose buffered amount has fallen to their threshold."""
        shrunk = self._outbound.queue.shrunk
        for channel_id in sorted(shrunk):
            channel = self._channels.get(channel_id)
            if channel is None or not channel.is_above_threshold:
                continue
            if self.buffered_amount(channel_id) <= channel.low_threshold:
                channel.is_above_threshold = False
                self._events.append(BufferedAmountLow(channel_id))
        shrunk.clear()

    # --- what the peer sends ----------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        """A message has come on a stream. Nonsense is counted and dropped."""
        protocol = message.payload_protocol_id
        if protocol == PayloadProtocol.DCEP:
            self._receive_control(message)
            return
        channel = self._channels.get(message.stream_id)
        if channel is None or channel.state is ChannelState.CLOSING:
            self._counters["message_without_channel"] += 1
            return
        data = message.data
        if protocol == PayloadProtocol.STRING_EMPTY or protocol == PayloadProtocol.BINARY_EMPTY:
            data = b""
        elif protocol == PayloadProtocol.STRING:
            try:
                data.decode()
            except UnicodeDecodeError:
                self._counters["text_not_utf8"] += 1
                return
        elif protocol != PayloadProtocol.BINARY:
            self._counters["unknown_payload_protocol"] += 1
            return
        is_text = protocol in (PayloadProtocol.STRING, PayloadProtocol.STRING_EMPTY)
        self._events.append(MessageReceived(message.stream_id, data, is_text))

    def _receive_control(self, message: Message) -> None:
        data = message.data
        if data[0] == MessageType.ACK:
            channel = self._channels.get(message.stream_id)
            if channel is None or channel.is_negotiated or channel.state is not ChannelState.CONNECTING:
                self._counters["unexpected_channel_ack"] += 1
                return
            self._become_open(channel, is_by_peer=False)
            return
        try:
            parameters = DataChannelOpen.parse(data)
        except ParseError:
            self._counters["malformed_channel_message"] += 1
            return
        self._receive_open(message.stream_id, parameters)

    def _receive_open(self, stream_id: int, parameters: DataChannelOpen) -> None:
        if stream_id in self._channels:
            self._counters["channel_opened_twice"] += 1
            return
        settings = self._settings
        is_refused = (
            stream_id >= self.streams
            or stream_id % 2 == self._parity
            or len(self._channels) >= settings.maximum_channels
            or len(parameters.label.encode()) > settings.maximum_label_bytes
            or len(parameters.protocol.encode()) > settings.maximum_label_bytes
        )
        channel = _Channel(stream_id, parameters, ChannelState.OPEN)
        if is_refused:
            # RFC 8832 section 6: who cannot take a channel resets its stream.
            self._counters["channel_refused"] += 1
            if stream_id < self.streams:
                self.resets_wanted[stream_id] = None
            return
        self._channels[stream_id] = channel
        self._send_control(stream_id, DATA_CHANNEL_ACK)
        self._become_open(channel, is_by_peer=True)

    def reset_incoming(self, streams: list[int]) -> None:
        """The peer has reset its streams: its side of those channels is closed, and so must ours be."""
        for channel in self._of(streams):
            channel.is_incoming_reset = True
            self._begin_closing(channel)
            self._finish_closing(channel)

    def reset_outgoing(self, streams: list[int], *, is_refused: bool) -> None:
        """The peer has answered our resets. A refusal closes the channel too: nobody would ask again."""
        for stream_id in streams:
            if not is_refused:
                self._outbound.reset(stream_id)
            channel = self._channels.get(stream_id)
            if channel is not None and channel.state is ChannelState.CLOSING:
                channel.is_outgoing_reset = True
                channel.is_incoming_reset |= is_refused
                self._finish_closing(channel)

    def close_asked(self, streams: list[int]) -> None:
        """The peer asks us to reset streams: to close those channels."""
        for channel in self._of(streams):
            self._begin_closing(channel)

    def _of(self, streams: list[int]) -> list[_Channel]:
        if not streams:
            return list(self._channels.values())
        return [self._channels[stream] for stream in streams if stream in self._channels]

    # --- life -------------------------------------------------------------------------------------------------------

    def _send_control(self, stream_id: int, data: bytes) -> None:
        # RFC 8832 section 6: DCEP messages are sent reliably and in order.
        self._outbound.append(OutgoingMessage(stream_id, PayloadProtocol.DCEP, data), is_control=True)

    def _become_open(self, channel: _Channel, *, is_by_peer: bool) -> None:
        channel.state = ChannelState.OPEN
        parameters = channel.parameters
        self._events.append(
            DataChannelOpened(
                channel.channel_id,
                parameters.label,
                parameters.protocol,
                parameters.ordered,
                parameters.max_retransmits,
                parameters.max_packet_life_time,
                parameters.priority,
                is_by_peer,
            )
        )

    def _begin_closing(self, channel: _Channel) -> None:
        if channel.state is not ChannelState.CLOSING:
            channel.state = ChannelState.CLOSING
            self.resets_wanted[channel.channel_id] = None

    def _finish_closing(self, channel: _Channel) -> None:
        if channel.is_incoming_reset and channel.is_outgoing_reset:
            self._forget(channel)

    def _forget(self, channel: _Channel) -> None:
        del self._channels[channel.channel_id]
        self._events.append(DataChannelClosed(channel.channel_id))
