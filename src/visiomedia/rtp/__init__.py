"""RTP and RTCP: packets, header extensions, payload formats, statistics, loss and its repair.

RTCP packets are in ``visiomedia.rtp.rtcp``, payload descriptors in ``visiomedia.rtp.payload``.
"""

from visiomedia.rtp.depacketizers import Frame, H264Depacketizer, OpusDepacketizer, Vp8Depacketizer
from visiomedia.rtp.extensions import (
    KIND_BY_URI,
    URI_BY_KIND,
    AbsCaptureTime,
    AudioLevel,
    DependencyDescriptor,
    ExtensionKind,
    PlayoutDelay,
    VideoOrientation,
    parse_extensions,
    serialize_extensions,
)
from visiomedia.rtp.history import PacketHistory
from visiomedia.rtp.nack import NackGenerator
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.packetizers import H264Packetizer, OpusPacketizer, Vp8Packetizer
from visiomedia.rtp.payload.codec import Codec, codec_from_name
from visiomedia.rtp.payload.description import is_key_frame, starts_frame
from visiomedia.rtp.rtx import unwrap as unwrap_rtx
from visiomedia.rtp.rtx import wrap as wrap_rtx
from visiomedia.rtp.sequence import SequenceExtender, distance, extend, is_newer
from visiomedia.rtp.statistics import ReceptionStatistics

__all__ = [
    "KIND_BY_URI",
    "URI_BY_KIND",
    "AbsCaptureTime",
    "AudioLevel",
    "Codec",
    "DependencyDescriptor",
    "ExtensionKind",
    "Frame",
    "H264Depacketizer",
    "H264Packetizer",
    "NackGenerator",
    "OpusDepacketizer",
    "OpusPacketizer",
    "PacketHistory",
    "PlayoutDelay",
    "ReceptionStatistics",
    "RtpPacket",
    "SequenceExtender",
    "VideoOrientation",
    "Vp8Depacketizer",
    "Vp8Packetizer",
    "codec_from_name",
    "distance",
    "extend",
    "is_key_frame",
    "is_newer",
    "parse_extensions",
    "serialize_extensions",
    "starts_frame",
    "unwrap_rtx",
    "wrap_rtx",
]
