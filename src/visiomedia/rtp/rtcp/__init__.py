"""RTCP packets (RFC 3550, RFC 3611, RFC 4585, RFC 5104, RFC 5506)."""

from visiomedia.rtp.rtcp.compound import RtcpPacket, parse_compound, serialize_compound
from visiomedia.rtp.rtcp.extended_report import DelaySinceLast, ExtendedReport
from visiomedia.rtp.rtcp.feedback import (
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverEstimatedMaximumBitrate,
    pack_lost,
    unpack_lost,
)
from visiomedia.rtp.rtcp.header import PacketType, PayloadSpecificFormat, TransportLayerFormat
from visiomedia.rtp.rtcp.opaque import Application, UnknownPacket
from visiomedia.rtp.rtcp.reports import ReceiverReport, ReportBlock, SenderReport
from visiomedia.rtp.rtcp.source_description import Goodbye, ItemType, SourceChunk, SourceDescription
from visiomedia.rtp.rtcp.transport_feedback import TransportFeedback, build_transport_feedback

__all__ = [
    "Application",
    "DelaySinceLast",
    "ExtendedReport",
    "FullIntraRequest",
    "Goodbye",
    "ItemType",
    "Nack",
    "PacketType",
    "PayloadSpecificFormat",
    "PictureLoss",
    "ReceiverEstimatedMaximumBitrate",
    "ReceiverReport",
    "ReportBlock",
    "RtcpPacket",
    "SenderReport",
    "SourceChunk",
    "SourceDescription",
    "TransportFeedback",
    "TransportLayerFormat",
    "UnknownPacket",
    "build_transport_feedback",
    "pack_lost",
    "parse_compound",
    "serialize_compound",
    "unpack_lost",
]
