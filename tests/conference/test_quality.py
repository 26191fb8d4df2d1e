"""Grades of connections, from the share of packets lost."""

import pytest

from visiomedia.conference.quality import ConnectionQuality, quality_of


@pytest.mark.parametrize(
    ("loss", "grade"),
    [
        (None, ConnectionQuality.EXCELLENT),
        (0.0, ConnectionQuality.EXCELLENT),
        (0.019, ConnectionQuality.EXCELLENT),
        (0.02, ConnectionQuality.GOOD),
        (0.069, ConnectionQuality.GOOD),
        (0.07, ConnectionQuality.POOR),
        (1.0, ConnectionQuality.POOR),
    ],
)
def test_grades_follow_the_loss(loss: float | None, grade: ConnectionQuality) -> None:
    assert quality_of(loss) is grade
