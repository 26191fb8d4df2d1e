"""Who speaks: audio levels (RFC 6464) of all microphones, heard over an interval, smoothed, coarse."""

import math
from dataclasses import dataclass, field

from visiomedia.conference.track import Track
from visiomedia.errors import ConfigurationError

SILENCE = 127
"""-dBov, RFC 6464 section 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerSettings:
    """What counts as speech."""

    active_level: int = 35
    """-dBov: what is softer is no speech."""
    least_active: float = 0.4
    """Part of an interval's samples that must be speech."""
    interval: float = 0.3
    """Seconds between two decisions."""
    smoothing: float = 2 / 3
    """How much of the way to a new level is gone at once."""
    steps: int = 8
    """Levels are told in this many steps, so that small changes are no news."""

    def __post_init__(self) -> None:
        if not 0 <= self.active_level <= SILENCE:
            raise ConfigurationError("active_level", self.active_level, "0 to 127")
        if not 0 < self.smoothing <= 1:
            raise ConfigurationError("smoothing", self.smoothing, "more than 0, at most 1")
        if self.interval <= 0 or self.steps < 1:
            raise ConfigurationError("interval and steps", (self.interval, self.steps), "positive numbers")


@dataclass(slots=True)
class _Heard:
    samples: int = 0
    active: int = 0
    loudest: int = SILENCE
    level: float = 0.0
    """Smoothed, 0 to 1."""

    def sample(self, level: int | None, settings: SpeakerSettings) -> None:
        self.samples += 1
        if level is not None and level <= settings.active_level:
            self.active += 1
            self.loudest = min(self.loudest, level)

    def decide(self, settings: SpeakerSettings) -> float:
        share = self.active / self.samples if self.samples else 0.0
        target = 0.0
        if share >= settings.least_active:
            # Who speaks half of the time counts as half as loud: -dBov is 20 log10 of an amplitude.
            target = share * 10 ** (-self.loudest / 20)
        self.level += (target - self.level) * settings.smoothing
        self.samples, self.active, self.loudest = 0, 0, SILENCE
        told = math.ceil(self.level * settings.steps) / settings.steps
        return told if self.level * settings.steps >= 1 / settings.steps else 0.0


@dataclass(slots=True)
class ActiveSpeakers:
    """Takes samples of tracks' levels, and says each interval whose level has changed."""

    settings: SpeakerSettings = field(default_factory=SpeakerSettings)
    _heard: dict[Track, _Heard] = field(default_factory=dict)
    _told: dict[Track, float] = field(default_factory=dict)
    _due: float | None = None

    def sample(self, track: Track, level: int | None, now: float) -> None:
        """What was heard of a track. ``level``: 0 (loudest) to 127 in -dBov; None where nothing came."""
        heard = self._heard.get(track)
        if heard is None:
            if level is None:
                return
            heard = self._heard[track] = _Heard()
        heard.sample(level, self.settings)
        if self._due is None:
            self._due = now + self.settings.interval

    def forget(self, track: Track) -> None:
        """The track has ended or is muted; if it was told as speaking, the next decision says that it stopped."""
        self._heard.pop(track, None)

    def next_timeout(self) -> float | None:
        """When the next decision is due."""
        return self._due

    def decide(self, now: float) -> dict[Track, float]:
        """Levels (0 to 1) that have changed since they were told, of an interval that is over; else nothing."""
        if self._due is None or now < self._due:
            return {}
        levels = {track: heard.decide(self.settings) for track, heard in self._heard.items()}
        changed = {track: level for track, level in levels.items() if level != self._told.get(track, 0.0)}
        changed |= {track: 0.0 for track in self._told if track not in levels}
        self._told = {track: level for track, level in levels.items() if level > 0}
        self._heard = {track: heard for track, heard in self._heard.items() if heard.level > 1e-3}
        self._due = now + self.settings.interval if self._heard or self._told else None
        return changed

    def levels(self) -> dict[Track, float]:
        """Levels as they were last told; those of 0 are left out."""
        return dict(self._told)
