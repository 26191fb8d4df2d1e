"""RTCP compounds, reduced-size packets among them: bytes to packets and back (RFC 3550 section 6.1, RFC 5506)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from visiomedia.errors import ParseError
from visiomedia.rtp.rtcp.extended_report import ExtendedReport
from visiomedia.rtp.rtcp.feedback import (
    REMB_NAME,
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverEstimatedMaximumBitrate,
)
from visiomedia.rtp.rtcp.reports import Application, Goodbye, ReceiverReport, SenderReport, SourceDescription
from visiomedia.rtp.rtcp.transport_feedback import TransportFeedback


class PacketType(IntEnum):
    """RTCP packet types."""

    SENDER_REPORT = 200
    RECEIVER_REPORT = 201
    SOURCE_DESCRIPTION = 202
    GOODBYE = 203
    APPLICATION = 204
    TRANSPORT_FEEDBACK = 205
    PAYLOAD_FEEDBACK = 206
    EXTENDED_REPORT = 207


class Format(IntEnum):
    """Feedback formats: of transport feedback NACK and TRANSPORT_WIDE, of payload feedback the others."""

    NACK = 1
    TRANSPORT_WIDE = 15
    PICTURE_LOSS = 1
    FULL_INTRA_REQUEST = 4
    APPLICATION_LAYER = 15


@dataclass(slots=True)
class UnknownPacket:
    """A packet of a type or format that is not modelled, as it came."""

    packet_type: int
    count: int
    content: bytes

    def body(self) -> tuple[int, bytes]:
        """Count and body."""
        return self.count, self.content


RtcpPacket = (
    SenderReport
    | ReceiverReport
    | SourceDescription
    | Goodbye
    | Application
    | Nack
    | PictureLoss
    | FullIntraRequest
    | ReceiverEstimatedMaximumBitrate
    | TransportFeedback
    | ExtendedReport
    | UnknownPacket
)


def parse_compound(data: bytes) -> list[RtcpPacket]:
    """The packets of a datagram, in order. Raises ParseError where one of them is malformed."""
    packets: list[RtcpPacket] = []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise ParseError("RTCP", "header is cut short")
        if data[at] >> 6 != 2:
            raise ParseError("RTCP", f"version {data[at] >> 6}")
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            raise ParseError("RTCP", "packet is cut short")
        content = data[at + 4 : end]
        if data[at] & 0x20:
            # "padding should only be required on one individual packet ... that MUST be the last packet".
            padding = content[-1] if content else 0
            is_whole_words = padding % 4 == 0 or _is_transport_feedback(data, at)
            if end != len(data) or not 0 < padding <= len(content) or not is_whole_words:
                raise ParseError("RTCP", "padding does not fit")
            content = content[:-padding]
        packets.append(_parse(data[at + 1], data[at] & 0x1F, content))
        at = end
    return packets


def _is_transport_feedback(data: bytes, at: int) -> bool:
    """Its deltas may end anywhere, so its padding is 1 to 3 octets (draft section 3.1)."""
    return data[at] & 0x1F == Format.TRANSPORT_WIDE and data[at + 1] == PacketType.TRANSPORT_FEEDBACK


def _parse(packet_type: int, count: int, body: bytes) -> RtcpPacket:
    match packet_type:
        case PacketType.SENDER_REPORT:
            return SenderReport.parse(count, body)
        case PacketType.RECEIVER_REPORT:
            return ReceiverReport.parse(count, body)
        case PacketType.SOURCE_DESCRIPTION:
            return SourceDescription.parse(count, body)
        case PacketType.GOODBYE:
            return Goodbye.parse(count, body)
        case PacketType.APPLICATION:
            return Application.parse(count, body)
        case PacketType.EXTENDED_REPORT:
            return ExtendedReport.parse(body)
        case PacketType.TRANSPORT_FEEDBACK if count == Format.NACK:
            return Nack.parse(body)
        case PacketType.TRANSPORT_FEEDBACK if count == Format.TRANSPORT_WIDE:
            return TransportFeedback.parse(body)
        case PacketType.PAYLOAD_FEEDBACK if count == Format.PICTURE_LOSS:
            return PictureLoss.parse(body)
        case PacketType.PAYLOAD_FEEDBACK if count == Format.FULL_INTRA_REQUEST:
            return FullIntraRequest.parse(body)
        case PacketType.PAYLOAD_FEEDBACK if count == Format.APPLICATION_LAYER and body[8:12] == REMB_NAME:
            return ReceiverEstimatedMaximumBitrate.parse(body)
    if packet_type in (PacketType.TRANSPORT_FEEDBACK, PacketType.PAYLOAD_FEEDBACK) and len(body) < 8:
        raise ParseError("feedback", f"{len(body)} bytes")
    return UnknownPacket(packet_type, count, body)


def _serialize(packet: RtcpPacket) -> bytes:
    match packet:
        case SenderReport():
            packet_type, (count, body) = int(PacketType.SENDER_REPORT), packet.body()
        case ReceiverReport():
            packet_type, (count, body) = int(PacketType.RECEIVER_REPORT), packet.body()
        case SourceDescription():
            packet_type, (count, body) = int(PacketType.SOURCE_DESCRIPTION), packet.body()
        case Goodbye():
            packet_type, (count, body) = int(PacketType.GOODBYE), packet.body()
        case Application():
            packet_type, (count, body) = int(PacketType.APPLICATION), packet.body()
        case UnknownPacket():
            packet_type, (count, body) = packet.packet_type, packet.body()
        case Nack():
            packet_type, count, body = int(PacketType.TRANSPORT_FEEDBACK), int(Format.NACK), packet.body()
        case TransportFeedback():
            packet_type, count = int(PacketType.TRANSPORT_FEEDBACK), int(Format.TRANSPORT_WIDE)
            body = packet.body()
        case PictureLoss():
            packet_type, count, body = int(PacketType.PAYLOAD_FEEDBACK), int(Format.PICTURE_LOSS), packet.body()
        case FullIntraRequest():
            packet_type, count = int(PacketType.PAYLOAD_FEEDBACK), int(Format.FULL_INTRA_REQUEST)
            body = packet.body()
        case ReceiverEstimatedMaximumBitrate():
            packet_type, count = int(PacketType.PAYLOAD_FEEDBACK), int(Format.APPLICATION_LAYER)
            body = packet.body()
        case ExtendedReport():
            packet_type, count, body = int(PacketType.EXTENDED_REPORT), 0, packet.body()
    padding = -len(body) % 4
    if padding:
        body += bytes(padding - 1) + bytes([padding])
    first = 0x80 | bool(padding) << 5 | count
    return bytes([first, packet_type]) + (len(body) // 4).to_bytes(2, "big") + body


def serialize_compound(packets: Iterable[RtcpPacket]) -> bytes:
    """One datagram of packets. What needs padding (transport feedback) must stand last."""
    return b"".join(_serialize(packet) for packet in packets)
