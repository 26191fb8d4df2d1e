"""Limits and times of rooms."""

from dataclasses import dataclass, field

from visiomedia.conference.speakers import SpeakerSettings
from visiomedia.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """Of one room. Times in seconds; a limit of 0 is none."""

    empty_timeout: float = 300.0
    """A room that nobody has joined ends after this."""
    departure_timeout: float = 20.0
    """A room that everybody has left ends after this."""
    max_participants: int = 0
    max_tracks: int = 2000
    """Of all participants together."""
    max_tracks_of_one: int = 64
    max_metadata: int = 64 * 1024
    """Bytes, of a room or a participant."""
    max_attributes: int = 64 * 1024
    """Bytes of a participant's attributes, keys and values."""
    max_name: int = 256
    """Characters of a name or an identity."""
    participant_interval: float = 0.1
    """Between two updates of participants: what changes within it is told together."""
    room_interval: float = 1.0
    """Between two updates of how many are there."""
    speakers: SpeakerSettings = field(default_factory=SpeakerSettings)

    def __post_init__(self) -> None:
        for setting in ("empty_timeout", "departure_timeout", "participant_interval", "room_interval"):
            if getattr(self, setting) < 0:
                raise ConfigurationError(setting, getattr(self, setting), "0 or more seconds")
        for setting in ("max_participants", "max_tracks", "max_tracks_of_one", "max_metadata", "max_name"):
            if getattr(self, setting) < 0:
                raise ConfigurationError(setting, getattr(self, setting), "0 or more")
