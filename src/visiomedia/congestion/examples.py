"""Arguments on which the kernels of transport-wide feedback are compared with their references."""

import numpy as np

from visiomedia.congestion.tables import TRANSPORT_ARRIVALS, TRANSPORT_WINDOW
from visiomedia.jit import Arguments

SECOND = 1_000_000_000
STEPS_NS = [0, 100_000, 1_000_000, 80_000_000, 9 * SECOND]


def transport_feedback_example(generator: np.random.Generator) -> Arguments:
    """Arrivals with loss in gaps and alone, reordering, pauses too long for a delta, and numbers that wrap."""
    arrivals = np.zeros(2, TRANSPORT_ARRIVALS)
    window = arrivals[1]
    window.sequence[:] = -1
    base = 0x10000 + int(generator.integers(0, 0x20000))
    count = int(generator.choice([0, 1, 20, 400, 3000]))
    loss = float(generator.choice([0.0, 0.05, 0.5, 0.98]))
    clock = int(generator.integers(0, 2_000_000 * SECOND))
    window.reported = base
    window.highest = base - 1
    window.media_ssrc = int(generator.integers(0, 2**32))
    window.feedback_count = int(generator.integers(0, 600))
    steps = generator.choice(STEPS_NS, count, p=generator.choice([[0.3, 0.4, 0.2, 0.09, 0.01], [0.5, 0.5, 0, 0, 0]]))
    is_lost = generator.random(count) < loss
    is_lost[: int(generator.choice([0, 0, 10, 300]))] = True
    for index in np.flatnonzero(~is_lost) + base:
        clock += int(steps[index - base])
        window.sequence[index % TRANSPORT_WINDOW] = index
        # A packet may have overtaken those before it.
        window.arrival[index % TRANSPORT_WINDOW] = clock + int(generator.integers(0, 3)) * 2_000_000
        window.highest = index
    window.deadline = clock
    arena = np.zeros(2048, np.uint8)
    room = int(generator.choice([10, 26, 30, 60, 200, 1200]))
    return arrivals, 1, int(generator.integers(0, 2**32)), arena, 64, room, clock
