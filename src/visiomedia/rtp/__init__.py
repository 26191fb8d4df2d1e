"""RTP and RTCP: packets, header extensions, payload formats, statistics, loss and its repair."""

from visiomedia.rtp.depacketizers import Frame, H264Depacketizer, OpusDepacketizer, Vp8Depacketizer
from visiomedia.rtp.extensions import (
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
from visiomedia.rtp.sequence import SequenceExtender, distance, extend, is_newer
from visiomedia.rtp.statistics import ReceptionStatistics

__all__ = [
    "AbsCaptureTime",
    "AudioLevel",
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
    "distance",
    "extend",
    "is_newer",
    "parse_extensions",
    "serialize_extensions",
]
