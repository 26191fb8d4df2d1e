"""SCTP over DTLS with WebRTC's data channels: one association as an engine (RFC 9260, RFC 8261, RFC 8831, RFC 8832)."""

from visiomedia.sctp.association import Association
from visiomedia.sctp.channels import ChannelState
from visiomedia.sctp.checksum import crc32c, warm_up_stages
from visiomedia.sctp.events import (
    AssociationClosed,
    AssociationEstablished,
    AssociationEvent,
    BufferedAmountLow,
    DataChannelClosed,
    DataChannelOpened,
    MessageReceived,
)
from visiomedia.sctp.settings import SctpSettings
from visiomedia.sctp.states import AssociationState

__all__ = [
    "Association",
    "AssociationClosed",
    "AssociationEstablished",
    "AssociationEvent",
    "AssociationState",
    "BufferedAmountLow",
    "ChannelState",
    "DataChannelClosed",
    "DataChannelOpened",
    "MessageReceived",
    "SctpSettings",
    "crc32c",
    "warm_up_stages",
]
