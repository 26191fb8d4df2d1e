"""What an association tells its owner."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class AssociationEstablished:
    """Both sides agree. Channels opened before are on their way."""


@dataclass(slots=True)
class AssociationClosed:
    """There will be nothing more: every channel is closed. ``reason``: "shut down", or what went wrong."""

    reason: str


@dataclass(slots=True)
class DataChannelOpened:
    """A channel is open on both sides: one that the peer asked for, or one of ours that it has acknowledged.

    ``max_packet_life_time`` is in ms; of it and ``max_retransmits`` at most one is set.
    """

    channel_id: int
    label: str
    protocol: str
    ordered: bool
    max_retransmits: int | None
    max_packet_life_time: int | None
    priority: int
    is_by_peer: bool


@dataclass(slots=True)
class DataChannelClosed:
    """A channel is closed, by either side; its id may be used again."""

    channel_id: int


@dataclass(slots=True)
class MessageReceived:
    """A whole message. ``is_text``: it is UTF-8, and has been checked to be."""

    channel_id: int
    data: bytes = field(repr=False)
    is_text: bool


@dataclass(slots=True)
class BufferedAmountLow:
    """What waits to be sent on the channel has fallen to its threshold, from above."""

    channel_id: int


AssociationEvent = (
    AssociationEstablished
    | AssociationClosed
    | DataChannelOpened
    | DataChannelClosed
    | MessageReceived
    | BufferedAmountLow
)
