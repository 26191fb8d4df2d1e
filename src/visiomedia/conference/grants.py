"""Grants: what a participant may do."""

from dataclasses import dataclass

from visiomedia.conference.track import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What a participant may do in one room. The defaults are those of a token that only says who joins what."""

    room: str = ""
    room_join: bool = False
    room_admin: bool = False
    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    can_publish_sources: frozenset[Source] = frozenset()
    """Only these; an empty set is every source."""
    can_update_own_metadata: bool = False
    hidden: bool = False
    """The others are not told that this one is here, and get nothing it publishes."""
    recorder: bool = False
    """Its presence means that the room is being recorded."""
    agent: bool = False

    def may_publish(self, source: Source) -> bool:
        """Whether media of this source may be published."""
        return self.can_publish and (not self.can_publish_sources or source in self.can_publish_sources)
