"""Retransmission packets (RFC 4588 section 4): the original in a stream of its own."""

from visiomedia.errors import ParseError
from visiomedia.rtp.packet import RtpPacket


def wrap(packet: RtpPacket, *, payload_type: int, ssrc: int, sequence_number: int) -> RtpPacket:
    """The retransmission of a packet. Marker, timestamp and extensions stay its own."""
    payload = packet.sequence_number.to_bytes(2, "big") + packet.payload
    return RtpPacket(
        payload_type,
        sequence_number,
        packet.timestamp,
        ssrc,
        payload,
        packet.marker,
        packet.csrcs,
        packet.extension_profile,
        packet.extension_data,
    )


def unwrap(packet: RtpPacket, *, payload_type: int, ssrc: int) -> RtpPacket:
    """The original packet of a retransmission. Raises ParseError where it carries none, as padding does."""
    if len(packet.payload) <= 2:
        raise ParseError("RTX packet", f"{len(packet.payload)} bytes of payload")
    return RtpPacket(
        payload_type,
        int.from_bytes(packet.payload[:2], "big"),
        packet.timestamp,
        ssrc,
        packet.payload[2:],
        packet.marker,
        packet.csrcs,
        packet.extension_profile,
        packet.extension_data,
    )
