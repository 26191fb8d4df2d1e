"""RTCP packets (RFC 3550, RFC 4585, RFC 5104, RFC 3611)."""

from visiomedia.rtp.rtcp.compound import (
    Format,
    PacketType,
    RtcpPacket,
    UnknownPacket,
    parse_compound,
    serialize_compound,
)
from visiomedia.rtp.rtcp.extended_report import DelaySinceLast, ExtendedReport
from visiomedia.rtp.rtcp.feedback import (
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverEstimatedMaximumBitrate,
    pack_lost,
    unpack_lost,
)
from visiomedia.rtp.rtcp.reports import (
    Application,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
)
from visiomedia.rtp.rtcp.transport_feedback import TransportFeedback

__all__ = [
    "Application",
    "DelaySinceLast",
    "ExtendedReport",
    "Format",
    "FullIntraRequest",
    "Goodbye",
    "Nack",
    "PacketType",
    "PictureLoss",
    "ReceiverEstimatedMaximumBitrate",
    "ReceiverReport",
    "ReportBlock",
    "RtcpPacket",
    "SenderReport",
    "SourceDescription",
    "TransportFeedback",
    "UnknownPacket",
    "pack_lost",
    "parse_compound",
    "serialize_compound",
    "unpack_lost",
]
