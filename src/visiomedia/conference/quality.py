"""Connection quality: one of four grades for each participant, from the share of packets that its network loses."""

from enum import IntEnum

GOOD_LOSS = 0.02
"""Repaired without anybody noticing."""
POOR_LOSS = 0.07
"""Beyond what repairs and concealment hide."""


class ConnectionQuality(IntEnum):
    """How well somebody's network carries media. The higher the better."""

    LOST = 0
    POOR = 1
    GOOD = 2
    EXCELLENT = 3


def quality_of(loss: float | None) -> ConnectionQuality:
    """The grade of a share of packets lost, 0 to 1; ``None``: nothing was expected, so nothing is wrong."""
    if loss is None or loss < GOOD_LOSS:
        return ConnectionQuality.EXCELLENT
    return ConnectionQuality.GOOD if loss < POOR_LOSS else ConnectionQuality.POOR
