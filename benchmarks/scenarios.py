"""Who is in the rooms of a run, and what they send when."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TRACE = Path(__file__).with_name("chromium_trace.json")
"""How a Chromium publisher of 1280x720 sends: recorded, see benchmarks/README.md."""

PACKET_BYTES = 1200
AUDIO_BYTES = 100
KEY_FRAMES_NS = 1_000_000_000
"""From one key frame of a stream to its next: who joins, or lost one, sees a picture then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Rooms, who publishes in each, and who receives all of the others."""

    name: str
    rooms: int = 1
    publishers: int = 1
    watchers: int = 0
    """Receivers that publish nothing."""
    publishers_receive: bool = False
    audio: bool = False
    traced: bool = False
    """Sizes and gaps of packets as a browser sends them."""

    @property
    def copies(self) -> int:
        """Forwarded packets of one published packet."""
        return self.watchers + (self.publishers - 1 if self.publishers_receive else 0)

    @property
    def streams(self) -> int:
        """Published streams of all rooms."""
        return self.rooms * self.publishers

    @property
    def receivers(self) -> int:
        """Of all rooms."""
        return self.rooms * (self.watchers + (self.publishers if self.publishers_receive else 0))


SCENARIOS = {
    each.name: each
    for each in (
        Scenario(name="1x10", watchers=10),
        Scenario(name="1x50", watchers=50),
        Scenario(name="1x100", watchers=100),
        Scenario(name="1x1000", watchers=1000),
        Scenario(name="25x24", publishers=25, publishers_receive=True),
        Scenario(name="100x2", rooms=100, publishers=2, publishers_receive=True, traced=True),
        Scenario(name="50x4", rooms=50, publishers=4, publishers_receive=True, traced=True),
        Scenario(name="audio10x1000", publishers=10, watchers=1000, audio=True),
        Scenario(name="audio10x100", publishers=10, watchers=100, audio=True),
    )
}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of one stream. ``packets``: (ns after the frame's time, bytes) of each."""

    due: int
    stream: int
    packets: tuple[tuple[int, int], ...]
    is_key_frame: bool


Shape = tuple[tuple[int, int], ...]


def even(streams: int, packets_s: float, seconds: float, burst: int, size: int) -> list[Frame]:
    """Frames of ``burst`` packets, the streams in turn, so that ``packets_s`` are published together."""
    interval = burst * 1e9 / packets_s
    shape: Shape = ((0, size),) * burst
    return _with_key_frames(
        [
            (round(number * interval), number % streams, shape)
            for number in range(max(streams, round(seconds * 1e9 / interval)))
        ]
    )


def traced(trace: Sequence[Shape], streams: int, packets_s: float, seconds: float) -> list[Frame]:
    """Frames as they were recorded, each stream from another place of the trace; only how often they come follows
    from ``packets_s``."""
    mean = sum(len(shape) for shape in trace) / len(trace)
    interval = streams * mean * 1e9 / packets_s
    frames = []
    for stream in range(streams):
        phase = stream * interval / streams
        for number in range(max(1, round(seconds * 1e9 / interval))):
            shape = trace[(stream * 37 + number) % len(trace)]
            frames.append((round(phase + number * interval), stream, shape))
    return _with_key_frames(frames)


def _with_key_frames(frames: list[tuple[int, int, Shape]]) -> list[Frame]:
    made = []
    last: dict[int, int] = {}
    for due, stream, shape in sorted(frames):
        is_key_frame = due - last.get(stream, -KEY_FRAMES_NS) >= KEY_FRAMES_NS
        if is_key_frame:
            last[stream] = due
        made.append(Frame(due, stream, shape, is_key_frame))
    return made


def read_trace() -> list[Shape]:
    """The recorded frames: (ns after the frame's first packet, bytes) of each packet."""
    frames = json.loads(TRACE.read_text())["frames"]
    return [tuple((gap * 1000, size) for gap, size in frame) for frame in frames]


def schedule(scenario: Scenario, forwarded_s: float, seconds: float, burst: int) -> list[Frame]:
    """What the scenario's streams send so that so many packets a second are forwarded."""
    published_s = forwarded_s / scenario.copies
    if scenario.traced:
        return traced(read_trace(), scenario.streams, published_s, seconds)
    size = AUDIO_BYTES if scenario.audio else PACKET_BYTES
    return even(scenario.streams, published_s, seconds, burst, size)
