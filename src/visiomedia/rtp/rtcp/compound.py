"""RTCP compounds, reduced-size packets among them: bytes to packets and back (RFC 3550 section 6.1, RFC 5506)."""

from collections.abc import Iterable

from visiomedia.rtp.rtcp.extended_report import ExtendedReport
from visiomedia.rtp.rtcp.feedback import (
    REMB_NAME,
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverEstimatedMaximumBitrate,
)
from visiomedia.rtp.rtcp.header import PacketType, PayloadSpecificFormat, TransportLayerFormat, split_packets
from visiomedia.rtp.rtcp.opaque import Application, UnknownPacket
from visiomedia.rtp.rtcp.reports import ReceiverReport, SenderReport
from visiomedia.rtp.rtcp.source_description import Goodbye, SourceDescription
from visiomedia.rtp.rtcp.transport_feedback import TransportFeedback

RtcpPacket = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Goodbye
    | Application
    | Nack
    | TransportFeedback
    | PictureLoss
    | FullIntraRequest
    | ReceiverEstimatedMaximumBitrate
    | ExtendedReport
    | UnknownPacket
)


def parse_compound(data: bytes) -> list[RtcpPacket]:
    """The packets of a datagram, in order; none of an empty one. What is not modelled becomes ``UnknownPacket``.

    Whether a compound begins with a report is not asked: reduced-size RTCP need not (RFC 5506).
    Raises: ParseError where one of them is malformed.
    """
    return [_parse(packet_type, count, content) for packet_type, count, content in split_packets(data)]


def _parse(packet_type: int, count: int, content: bytes) -> RtcpPacket:
    match packet_type:
        case PacketType.SENDER_REPORT:
            return SenderReport.parse(count, content)
        case PacketType.RECEIVER_REPORT:
            return ReceiverReport.parse(count, content)
        case PacketType.SOURCE_DESCRIPTION:
            return SourceDescription.parse(count, content)
        case PacketType.GOODBYE:
            return Goodbye.parse(count, content)
        case PacketType.APPLICATION:
            return Application.parse(count, content)
        case PacketType.EXTENDED_REPORT:
            return ExtendedReport.parse(content)
        case PacketType.TRANSPORT_LAYER_FEEDBACK:
            return _parse_transport_layer(count, content)
        case PacketType.PAYLOAD_SPECIFIC_FEEDBACK:
            return _parse_payload_specific(count, content)
        case _:
            return UnknownPacket.parse(packet_type, count, content)


def _parse_transport_layer(form: int, content: bytes) -> RtcpPacket:
    match form:
        case TransportLayerFormat.NACK:
            return Nack.parse(content)
        case TransportLayerFormat.TRANSPORT_WIDE:
            return TransportFeedback.parse(content)
        case _:
            return UnknownPacket.parse(PacketType.TRANSPORT_LAYER_FEEDBACK, form, content)


def _parse_payload_specific(form: int, content: bytes) -> RtcpPacket:
    match form:
        case PayloadSpecificFormat.PICTURE_LOSS:
            return PictureLoss.parse(content)
        case PayloadSpecificFormat.FULL_INTRA_REQUEST:
            return FullIntraRequest.parse(content)
        case PayloadSpecificFormat.APPLICATION_LAYER if content[8:12] == REMB_NAME:
            return ReceiverEstimatedMaximumBitrate.parse(content)
        case _:
            return UnknownPacket.parse(PacketType.PAYLOAD_SPECIFIC_FEEDBACK, form, content)


def serialize_compound(packets: Iterable[RtcpPacket]) -> bytes:
    """One datagram of packets, in order.

    Raises: ValueError where a packet that needs padding (transport-wide feedback may) is not the last.
    """
    parts = [packet.serialize() for packet in packets]
    if any(part[0] & 0x20 for part in parts[:-1]):
        raise ValueError("a padded packet must be the compound's last")
    return b"".join(parts)
