"""Data channels of a peer: messages as asyncio callbacks, over the association that runs on its transport."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from visiomedia.clock import Clock
from visiomedia.engine import Address
from visiomedia.errors import InvalidStateError
from visiomedia.sctp import (
    Association,
    AssociationClosed,
    AssociationEstablished,
    AssociationEvent,
    BufferedAmountLow,
    DataChannelClosed,
    DataChannelOpened,
    MessageReceived,
    SctpSettings,
)

SETTINGS = SctpSettings()
NOWHERE = Address(0, "", 0)
"""SCTP over DTLS knows no addresses (RFC 8261 section 4)."""


class _Transport(Protocol):
    """What carries the association: DTLS (RFC 8261)."""

    def send_application_data(self, data: bytes) -> None:
        """Encrypt one packet and send it."""


class DataChannel:
    """One data channel (RFC 8831), opened by either side. Callbacks are called on the loop, one at a time."""

    __slots__ = (
        "_channels",
        "channel_id",
        "is_open",
        "label",
        "max_lifetime",
        "max_retransmits",
        "on_buffered_amount_low",
        "on_closed",
        "on_message",
        "on_open",
        "ordered",
        "protocol",
    )

    def __init__(
        self,
        channels: "DataChannels",
        label: str,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_lifetime: float | None = None,
    ) -> None:
        self._channels = channels
        self.channel_id: int | None = None
        """Its streams' number, once the association knows the roles."""
        self.label, self.protocol = label, protocol
        self.ordered, self.max_retransmits = ordered, max_retransmits
        self.max_lifetime = max_lifetime
        """Seconds after which a message that has not arrived is given up."""
        self.is_open = False
        self.on_open: Callable[[], object] | None = None
        self.on_message: Callable[[bytes | str], object] | None = None
        self.on_closed: Callable[[], object] | None = None
        self.on_buffered_amount_low: Callable[[], object] | None = None

    def send(self, data: bytes | str) -> None:
        """Queue one message: text or bytes.

        Raises:
            InvalidStateError: the channel is not open.
            ConfigurationError: the message is longer than the peer takes.
            CapacityError: too much waits already.
        """
        if not self.is_open:
            raise InvalidStateError(f"data channel {self.label!r} is not open")
        self._channels.send(self, data)

    @property
    def buffered_amount(self) -> int:
        """Bytes queued that have not left."""
        return self._channels.buffered_amount(self)

    def close(self) -> None:
        """End it. Harmless when it has ended."""
        self._channels.close_channel(self)


class DataChannels:
    """The data channels of one peer: drives their association, and keeps what is asked for before there is one."""

    def __init__(self, clock: Clock, on_channel: Callable[[DataChannel], object]) -> None:
        self._clock = clock
        self._on_channel = on_channel
        self._transport: _Transport | None = None
        self._association: Association | None = None
        self._waiting: list[DataChannel] = []
        self._channels: dict[int, DataChannel] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._armed: float | None = None
        self._pump_is_due = False
        self._is_started = False

    @property
    def is_negotiated(self) -> bool:
        """Whether both descriptions have a section for them."""
        return self._association is not None

    @property
    def is_wanted(self) -> bool:
        """Whether there are any, or were: their section stays."""
        return self._association is not None or bool(self._waiting)

    def create(
        self,
        label: str,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_lifetime: float | None = None,
    ) -> DataChannel:
        """A channel of ours: opened now, or once there is an association."""
        channel = DataChannel(
            self,
            label,
            protocol=protocol,
            ordered=ordered,
            max_retransmits=max_retransmits,
            max_lifetime=max_lifetime,
        )
        if self._association is None:
            self._waiting.append(channel)
        else:
            self._open(self._association, channel)
        return channel

    def _open(self, association: Association, channel: DataChannel) -> None:
        lifetime = channel.max_lifetime
        channel.channel_id = association.open_channel(
            channel.label,
            self._clock.monotonic(),
            protocol=channel.protocol,
            ordered=channel.ordered,
            max_retransmits=channel.max_retransmits,
            max_packet_life_time=None if lifetime is None else round(1000 * lifetime),
        )
        self._channels[channel.channel_id] = channel
        self._wake()

    def negotiated(self, transport: _Transport, *, is_client: bool, remote_port: int, peer_takes: int) -> None:
        """Descriptions have settled it. ``is_client``: our DTLS role; ``peer_takes``: bytes of a message, 0 any."""
        if self._association is not None:
            return
        self._transport = transport
        self._association = Association(
            is_client=is_client, remote_port=remote_port, remote_maximum_message=peer_takes, settings=SETTINGS
        )
        waiting, self._waiting = self._waiting, []
        for channel in waiting:
            self._open(self._association, channel)

    def start(self) -> None:
        """DTLS is connected: associate. Harmless when it has begun."""
        if self._association is not None and not self._is_started:
            self._is_started = True
            self._association.associate(NOWHERE, self._clock.monotonic())
            self._pump()

    def receive(self, packet: bytes) -> None:
        """One packet of the peer's. What comes before the association is dropped: it is sent again."""
        if self._association is not None and self._is_started:
            self._association.receive_datagram(packet, NOWHERE, self._clock.monotonic())
            self._pump()

    def send(self, channel: DataChannel, data: bytes | str) -> None:
        """See ``DataChannel.send``."""
        assert self._association is not None and channel.channel_id is not None, "it is open"
        self._association.send(channel.channel_id, data, self._clock.monotonic())
        self._wake()

    def buffered_amount(self, channel: DataChannel) -> int:
        """See ``DataChannel.buffered_amount``."""
        if self._association is None or channel.channel_id is None:
            return 0
        return self._association.buffered_amount(channel.channel_id)

    def close_channel(self, channel: DataChannel) -> None:
        """See ``DataChannel.close``."""
        if channel in self._waiting:
            self._waiting.remove(channel)
        number = channel.channel_id
        if self._association is None or number is None or self._channels.get(number) is not channel:
            return
        channel.is_open = False
        self._association.close_channel(number, self._clock.monotonic())
        self._wake()

    def close(self) -> None:
        """End all of it."""
        if self._association is not None and self._is_started:
            self._association.abort(self._clock.monotonic(), "closed")
            self._pump()
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None

    # --- draining -----------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Drain soon: messages sent in one go share packets."""
        if not self._pump_is_due:
            self._pump_is_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_is_due = False
        association, transport = self._association, self._transport
        if association is None or transport is None or not self._is_started:
            return
        for event in association.events():
            self._apply(event)
        for packet, _ in association.datagrams_to_send():
            transport.send_application_data(packet)
        for event in association.events():
            self._apply(event)
        deadline = association.next_timeout()
        if deadline != self._armed:
            if self._timer is not None:
                self._timer.cancel()
            self._armed = deadline
            if deadline is not None:
                self._timer = asyncio.get_running_loop().call_at(deadline, self._timed_out)

    def _timed_out(self) -> None:
        self._timer = self._armed = None
        assert self._association is not None, "it has armed the timer"
        self._association.handle_timeout(self._clock.monotonic())
        self._pump()

    def _apply(self, event: AssociationEvent) -> None:
        match event:
            case DataChannelOpened():
                self._opened(event)
            case MessageReceived(number, data, is_text):
                channel = self._channels.get(number)
                if channel is not None and channel.on_message is not None:
                    channel.on_message(data.decode() if is_text else data)
            case DataChannelClosed(number):
                channel = self._channels.pop(number, None)
                if channel is not None:
                    channel.is_open = False
                    if channel.on_closed is not None:
                        channel.on_closed()
            case BufferedAmountLow(number):
                channel = self._channels.get(number)
                if channel is not None and channel.on_buffered_amount_low is not None:
                    channel.on_buffered_amount_low()
            case AssociationEstablished() | AssociationClosed():
                pass  # its channels say so, one by one

    def _opened(self, event: DataChannelOpened) -> None:
        channel = self._channels.get(event.channel_id)
        if channel is None:
            lifetime = event.max_packet_life_time
            channel = self._channels[event.channel_id] = DataChannel(
                self,
                event.label,
                protocol=event.protocol,
                ordered=event.ordered,
                max_retransmits=event.max_retransmits,
                max_lifetime=None if lifetime is None else lifetime / 1000,
            )
            channel.channel_id = event.channel_id
        channel.is_open = True
        if event.is_by_peer:
            self._on_channel(channel)
        if channel.on_open is not None:
            channel.on_open()
