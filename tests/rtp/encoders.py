"""Frames that other people's encoders made, for tests of payload formats."""

from fractions import Fraction
from functools import cache

import av

WIDTH, HEIGHT = 160, 120
FRAMES = 6
KEY_FRAME_EVERY = 3

OPTIONS = {
    "libvpx": {"lag-in-frames": "0"},
    "libvpx-vp9": {"lag-in-frames": "0", "deadline": "realtime", "cpu-used": "8"},
    "libx264": {"tune": "zerolatency"},
    "libx265": {"tune": "zerolatency", "preset": "ultrafast", "x265-params": "log-level=none:pools=none:scenecut=0"},
    "libsvtav1": {"preset": "12", "svtav1-params": "pred-struct=1:rc=2:lp=1"},
}


@cache
def encoded(encoder: str) -> tuple[bytes, ...]:
    """Six frames of a moving pattern: the first and the fourth are key frames."""
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.bit_rate = WIDTH, HEIGHT, "yuv420p", 2_000_000
    context.framerate, context.time_base = Fraction(30), Fraction(1, 30)
    context.options = {"g": str(KEY_FRAME_EVERY), **OPTIONS[encoder]}
    frames: list[bytes] = []
    for number in range(FRAMES):
        picture = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes((7 * number + place * place) % 251 for place in range(plane.buffer_size)))
        picture.pts = number
        frames += [bytes(packet) for packet in context.encode(picture)]
    frames += [bytes(packet) for packet in context.encode(None)]
    return tuple(frames)
