"""Pictures and tones that can be told from others after a codec has had them, as aiortc's tracks."""

import asyncio
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame, VideoFrame
from numpy.typing import NDArray

WIDTH, HEIGHT, FRAME_RATE = 320, 240, 30
SAMPLE_RATE, SAMPLES = 48_000, 960

QUARTERS = ((220, 40, 40), (40, 200, 60), (50, 60, 220), (220, 210, 60))
"""Red, green, blue, yellow of the picture's quarters, in reading order."""


def picture(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """The four quarters as (height, width, 3)."""
    pixels = np.empty((height, width, 3), np.uint8)
    for number, colour in enumerate(QUARTERS):
        row, column = divmod(number, 2)
        pixels[row * height // 2 :, column * width // 2 :] = colour
        pixels[row * height // 2 :, : column * width // 2] = QUARTERS[2 * row]
    return pixels


def quarters_of(frame: VideoFrame) -> list[tuple[int, ...]]:
    """The mean colour in the middle of each quarter, away from edges that a codec may smear."""
    pixels = frame.to_ndarray(format="rgb24")
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    means = []
    for number in range(4):
        top, left = number // 2 * height, number % 2 * width
        middle = pixels[top + height // 4 : top + 3 * height // 4, left + width // 4 : left + 3 * width // 4]
        means.append(tuple(int(value) for value in middle.reshape(-1, 3).mean(axis=0)))
    return means


def shows_the_picture(frame: VideoFrame, tolerance: int = 30) -> bool:
    """Whether every quarter has its colour."""
    differences = np.abs(np.array(quarters_of(frame)) - np.array(QUARTERS))
    return bool(differences.max() <= tolerance)


def frequency_of(samples: NDArray[np.int16]) -> float:
    """The loudest frequency of one channel at 48 kHz, in Hz."""
    windowed = samples * np.hanning(len(samples))
    spectrum = np.abs(np.fft.rfft(windowed))
    return float(spectrum.argmax() * SAMPLE_RATE / len(samples))


def left_channel(frame: AudioFrame) -> NDArray[np.int16]:
    """The first channel of packed 16-bit samples."""
    samples = frame.to_ndarray().reshape(-1)[:: len(frame.layout.channels)]
    return samples.astype(np.int16, copy=False)


class _Paced(MediaStreamTrack):
    """A track whose frames come by the clock, never in a burst."""

    def __init__(self, interval: float) -> None:
        super().__init__()
        self._interval = interval
        self._next: float | None = None

    async def _turn(self) -> None:
        now = asyncio.get_running_loop().time()
        due = now if self._next is None else max(self._next, now - self._interval)
        self._next = due + self._interval
        await asyncio.sleep(max(0.0, due - now))


class PictureTrack(_Paced):
    """The four quarters, 30 times a second."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__(1 / FRAME_RATE)
        self._picture = picture()
        self._count = 0

    async def recv(self) -> Any:
        """aiortc's: the next frame."""
        await self._turn()
        frame = VideoFrame.from_ndarray(self._picture, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = self._count * 90_000 // FRAME_RATE, Fraction(1, 90_000)
        self._count += 1
        return frame


class ToneTrack(_Paced):
    """A sine of one frequency."""

    kind = "audio"

    def __init__(self, frequency: float) -> None:
        super().__init__(SAMPLES / SAMPLE_RATE)
        self._frequency = frequency
        self._count = 0

    async def recv(self) -> Any:
        """aiortc's: the next 20 ms."""
        await self._turn()
        times = (np.arange(SAMPLES) + self._count) / SAMPLE_RATE
        samples = (8000 * np.sin(2 * np.pi * self._frequency * times)).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.pts, frame.time_base = self._count, Fraction(1, SAMPLE_RATE)
        self._count += SAMPLES
        return frame
