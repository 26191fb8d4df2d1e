"""Transport-wide feedback written from its draft over dicts, by the RTCP packets of the rtp floor."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.congestion.tables import TRANSPORT_WINDOW
from visiomedia.jit import Integer
from visiomedia.rtp.rtcp import TransportFeedback

TICK_NS = 250_000
REFERENCE_TICKS = 256
REPORT_BYTES = 20
SIGN = 1 << 23


def write_transport_feedback(
    arrivals: NDArray[Any],
    transport: Integer,
    sender_ssrc: Integer,
    arena: NDArray[np.uint8],
    at: Integer,
    room: Integer,
    now: Integer,
) -> Integer:
    """See ``kernels.write_transport_feedback``."""
    window = arrivals[transport]
    highest = int(window.highest)
    base = max(int(window.reported), highest - TRANSPORT_WINDOW + 1)
    ticks = {
        int(index): int(arrival) // TICK_NS
        for index, arrival in zip(window.sequence, window.arrival, strict=True)
        if base <= index <= highest
    }
    if not ticks:
        window.reported, window.deadline = highest + 1, 0
        return 0
    first = min(ticks)
    reference_time = ticks[first] // REFERENCE_TICKS
    told: list[tuple[int, int]] = []
    clock = delta_bytes = 0
    for index in sorted(ticks):
        time = ticks[index] - reference_time * REFERENCE_TICKS
        delta_bytes += 1 if 0 <= time - clock <= 255 else 2
        if not -0x8000 <= time - clock <= 0x7FFF:
            break
        if REPORT_BYTES + _most_chunk_bytes(first - base, index - first + 1) + delta_bytes + 3 > room:
            break
        told.append((index - base, time))
        clock = time
    if not told:
        return 0
    count = told[-1][0] + 1
    data = TransportFeedback(
        int(sender_ssrc),
        int(window.media_ssrc),
        base & 0xFFFF,
        count,
        (reference_time + SIGN) % (2 * SIGN) - SIGN,
        int(window.feedback_count) & 0xFF,
        tuple(told),
    ).serialize()
    arena[at : at + len(data)] = np.frombuffer(data, np.uint8)
    window.feedback_count += 1
    window.reported = base + count
    if base + count > highest:
        window.deadline = 0
    return len(data)


def _most_chunk_bytes(lost: int, rest: int) -> int:
    """At worst each two bytes hold seven statuses; but losses in front of all are one run."""
    return 2 * min(-(-(lost + rest) // 7), 1 - (-rest // 7))
