"""Payload formats: what a codec puts before its bytes."""

from visiomedia.rtp.payload.codec import Codec, codec_from_name
from visiomedia.rtp.payload.description import is_key_frame, starts_frame
from visiomedia.rtp.payload.opus import OpusPacket
from visiomedia.rtp.payload.vp8 import Vp8Descriptor
from visiomedia.rtp.payload.vp9 import Vp9Descriptor

__all__ = [
    "Codec",
    "OpusPacket",
    "Vp8Descriptor",
    "Vp9Descriptor",
    "codec_from_name",
    "is_key_frame",
    "starts_frame",
]
