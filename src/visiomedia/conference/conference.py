"""Conference: the rooms of one worker. They are made when somebody joins, and go when they have closed."""

import os
from collections.abc import Callable

from visiomedia.conference.events import RoomEvent
from visiomedia.conference.participant import LeaveReason
from visiomedia.conference.refusals import Refusal, RefusedError
from visiomedia.conference.room import Room
from visiomedia.conference.settings import RoomSettings
from visiomedia.errors import ConfigurationError


class Conference:
    """Rooms by name. After each call on one of them its owner drains ``events()`` and re-arms one timer."""

    __slots__ = ("_entropy", "_settings", "max_rooms", "rooms")

    def __init__(
        self,
        settings: RoomSettings | None = None,
        *,
        max_rooms: int = 10_000,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if max_rooms < 1:
            raise ConfigurationError("max_rooms", max_rooms, "1 or more")
        self.rooms: dict[str, Room] = {}
        self.max_rooms = max_rooms
        self._settings = settings or RoomSettings()
        self._entropy = entropy

    def open(self, name: str, now: float, settings: RoomSettings | None = None) -> Room:
        """The room of a name; it is made where there is none, with its own settings or the conference's.

        Raises RefusedError where there are too many.
        """
        room = self.rooms.get(name)
        if room is None or room.is_closed:
            if len(self.rooms) >= self.max_rooms and room is None:
                raise RefusedError(Refusal.LIMIT_EXCEEDED, "rooms")
            room = Room(name, now, settings=settings or self._settings, entropy=self._entropy)
            self.rooms[name] = room
        return room

    def events(self) -> list[tuple[Room, RoomEvent]]:
        """What happened in which room; the queue is empty afterwards, and closed rooms are gone."""
        happened = [(room, event) for room in self.rooms.values() for event in room.events()]
        for name in [name for name, room in self.rooms.items() if room.is_closed]:
            del self.rooms[name]
        return happened

    def next_timeout(self) -> float | None:
        """When ``handle_timeout`` wants to be called, or None."""
        deadlines = (room.next_timeout() for room in self.rooms.values())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what is due at ``now`` in each room."""
        for room in self.rooms.values():
            room.handle_timeout(now)

    def close(self, reason: LeaveReason, now: float) -> None:
        """End every room."""
        for room in self.rooms.values():
            room.close(reason, now)
