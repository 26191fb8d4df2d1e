"""Retransmission packets (RFC 4588 section 4): the original in a stream of its own."""

from visiomedia.errors import ParseError
from visiomedia.rtp.packet import RtpPacket

OSN_BYTES = 2
"""The original sequence number before the original's payload."""


def wrap(packet: RtpPacket, *, payload_type: int, ssrc: int, sequence_number: int) -> RtpPacket:
    """The retransmission of a packet, of which marker, timestamp and extensions stay; padding is left out.

    A RID in its extensions is the caller's to replace by a repaired RID (RFC 8852 section 3.2).
    """
    return RtpPacket(
        payload_type,
        sequence_number,
        packet.timestamp,
        ssrc,
        packet.sequence_number.to_bytes(OSN_BYTES, "big") + packet.payload,
        packet.marker,
        packet.csrcs,
        packet.extension_profile,
        packet.extension_data,
    )


def unwrap(packet: RtpPacket, *, payload_type: int, ssrc: int) -> RtpPacket:
    """The original packet of a retransmission, of the payload type and SSRC that it repairs.

    Raises: ParseError where it carries none: browsers probe for bandwidth with padding in this stream.
    """
    if len(packet.payload) <= OSN_BYTES:
        raise ParseError("RTX packet", f"{len(packet.payload)} bytes of payload")
    return RtpPacket(
        payload_type,
        int.from_bytes(packet.payload[:OSN_BYTES], "big"),
        packet.timestamp,
        ssrc,
        packet.payload[OSN_BYTES:],
        packet.marker,
        packet.csrcs,
        packet.extension_profile,
        packet.extension_data,
    )
