"""Settings of the LiveKit service."""

import os
from dataclasses import dataclass, field

from visiomedia.conference.settings import RoomSettings
from visiomedia.errors import ConfigurationError

SERVER_VERSION = "1.13.3"
"""The LiveKit server whose behaviour this is modelled on. Clients read it as a semantic version, and use chat, RPC and
streams only from 1.8.3 on."""

PROTOCOL = 17
"""Of signalling, as that server says."""


INTERVALS = (
    "resume_timeout",
    "join_timeout",
    "negotiation_timeout",
    "refresh_interval",
    "quality_interval",
    "heartbeat",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A STUN or TURN server that clients are told of."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKitSettings:
    """Of the service. Times in seconds, sizes in bytes."""

    room: RoomSettings = field(default_factory=RoomSettings)
    max_rooms: int = 10_000
    auto_create: bool = True
    """Whether a room is made when somebody joins it."""
    publish_codecs: tuple[str, ...] = ("video/VP8", "audio/opus")
    """What clients are told to publish, best first. A browser that would rather send something else takes the first of
    its kind."""
    ice_servers: tuple[IceServer, ...] = ()
    region: str = ""
    node_id: str = field(default_factory=lambda: f"ND_{os.urandom(6).hex()}")
    ping_interval: int = 5
    ping_timeout: int = 15
    """A client that pings and then says nothing for so long has lost its signalling."""
    resume_timeout: float = 60.0
    """How long a participant whose signalling is lost is kept while its media flow."""
    join_timeout: float = 60.0
    """How long its media may take to flow."""
    negotiation_timeout: float = 15.0
    """How long a client may take to answer an offer."""
    refresh_interval: float = 300.0
    """Between two tokens that are sent for reconnecting."""
    max_message: int = 2 * 1024 * 1024
    """Of one message from a client."""
    max_queue: int = 4 * 1024 * 1024
    """Of messages that a client has not read: one that falls behind further loses its signalling."""
    max_buffered: int = 2 * 1024 * 1024
    """Of reliable messages between clients that a receiver has not acknowledged: more are dropped."""
    max_lossy_buffered: int = 64 * 1024
    """The same of lossy ones."""
    quality_interval: float = 5.0
    """Between two looks at what networks lose."""
    heartbeat: float = 10.0
    """Between two websocket pings."""

    def __post_init__(self) -> None:
        # The Rust SDK, under Python and others, ends its process where an interval is 0.
        if self.ping_interval < 1 or self.ping_timeout <= self.ping_interval:
            raise ConfigurationError("ping_timeout", self.ping_timeout, "more than ping_interval, which is 1 or more")
        for setting in INTERVALS:
            if getattr(self, setting) <= 0:
                raise ConfigurationError(setting, getattr(self, setting), "a positive number of seconds")
        if not self.publish_codecs:
            raise ConfigurationError("publish_codecs", self.publish_codecs, "at least one")
