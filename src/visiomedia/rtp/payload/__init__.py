"""Payload formats: what a codec puts before its bytes."""

from visiomedia.rtp.payload.av1 import AggregationHeader, ObuType
from visiomedia.rtp.payload.codec import Codec, codec_from_name
from visiomedia.rtp.payload.description import is_key_frame, starts_frame
from visiomedia.rtp.payload.h264 import NalType
from visiomedia.rtp.payload.h265 import H265NalType
from visiomedia.rtp.payload.opus import OpusBandwidth, OpusMode, OpusPacket
from visiomedia.rtp.payload.vp8 import Vp8Descriptor
from visiomedia.rtp.payload.vp9 import PictureGroupEntry, ScalabilityStructure, Vp9Descriptor

__all__ = [
    "AggregationHeader",
    "Codec",
    "H265NalType",
    "NalType",
    "ObuType",
    "OpusBandwidth",
    "OpusMode",
    "OpusPacket",
    "PictureGroupEntry",
    "ScalabilityStructure",
    "Vp8Descriptor",
    "Vp9Descriptor",
    "codec_from_name",
    "is_key_frame",
    "starts_frame",
]
