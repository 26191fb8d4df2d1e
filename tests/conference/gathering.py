"""A room in virtual time."""

from typing import Any

from visiomedia.conference.events import RoomEvent
from visiomedia.conference.grants import Grants
from visiomedia.conference.participant import Arrival, Participant
from visiomedia.conference.room import Room
from visiomedia.conference.settings import RoomSettings
from visiomedia.conference.track import Kind, Source, Track, TrackDescription
from visiomedia.routing.router import Track as MediaTrack
from visiomedia.rows import Handle
from visiomedia.sdp.attributes import Codec

OPUS = Codec(111, "opus", 48000, 2)


def numbers() -> Any:
    """Entropy that repeats."""
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        return (count * 0x9E3779B97F4A7C15).to_bytes(16, "big")[:size].rjust(size, b"\x01")

    return draw


def media() -> MediaTrack:
    return MediaTrack(Handle(0, 0), Handle(0, 0), OPUS, True, "cname")


class Gathering:
    def __init__(self, **settings: Any) -> None:
        self.now = 100.0
        self.room = Room("r1", self.now, settings=RoomSettings(**settings), entropy=numbers())

    def join(self, identity: str, *, is_active: bool = True, auto_subscribe: bool = True, **grants: Any) -> Participant:
        arrival = Arrival(identity=identity, grants=Grants(**grants), auto_subscribe=auto_subscribe)
        participant = self.room.join(arrival, self.now)
        if is_active:
            self.room.activate(participant, self.now)
        return participant

    def publish(self, participant: Participant, cid: str = "mic", source: Source = Source.MICROPHONE) -> Track:
        description = TrackDescription(cid=cid, kind=Kind.AUDIO, source=source)
        track = self.room.announce(participant, description)
        self.room.publish(track, media(), self.now)
        return track

    def events(self) -> list[RoomEvent]:
        return self.room.events()

    def advance(self, seconds: float) -> list[RoomEvent]:
        """Let time pass, deadline by deadline; returns what happened."""
        end = self.now + seconds
        while (due := self.room.next_timeout()) is not None and due <= end:
            self.now = due
            self.room.handle_timeout(due)
        self.now = end
        return self.events()
