"""The publisher's peer connection: which of the client's sections carries which announced track."""

from visiomedia.conference.participant import Participant
from visiomedia.conference.room import Room
from visiomedia.conference.track import Track
from visiomedia.livekit.peers import AnsweringPeer, Section


class Publishing:
    """Takes the client's offers, and publishes and unpublishes by what stands in them."""

    __slots__ = ("_cids", "_participant", "_room", "_tracks", "_unmatched", "peer")

    def __init__(self, room: Room, participant: Participant, peer: AnsweringPeer) -> None:
        self._room = room
        self._participant = participant
        self._tracks: dict[str, Track] = {}
        self._unmatched: list[Section] = []
        self._cids: set[str] = set()
        self.peer = peer

    def receive_offer(self, sdp: str, now: float) -> str:
        """The answer to an offer. What begins and ends with it has begun and ended. Raises what the peer raises."""
        sections = list(self.peer.receive_offer(sdp))
        answer = self.peer.answer()
        live = {section.mid: section for section in sections if section.track is not None}
        for mid, track in list(self._tracks.items()):
            section = live.get(mid)
            if section is None or section.track is not track.media or self._has_another(section, track):
                del self._tracks[mid]
                self._room.unpublish(track, now)
        self._publish(list(live.values()), now)
        return answer

    def match(self, now: float) -> None:
        """A track was announced after the offer that has its section."""
        self._publish(self._unmatched, now)

    @property
    def tracks(self) -> list[Track]:
        """What is live."""
        return [track for track in self._tracks.values() if track.is_live]

    def _has_another(self, section: Section, track: Track) -> bool:
        cid = section.offered.track_id
        return cid is not None and cid != track.description.cid and cid in self._participant.announced

    def _publish(self, sections: list[Section], now: float) -> None:
        self._unmatched = []
        for section in sections:
            if section.mid in self._tracks:
                continue
            track, media = self._announced(section), section.track
            if track is None or media is None:
                self._unmatched.append(section)
                continue
            self._tracks[section.mid] = track
            if section.offered.track_id is not None:
                self._cids.add(section.offered.track_id)
            mime_type = f"{section.kind}/{media.format.name}"
            self._room.publish(track, media, now, mid=section.mid, mime_type=mime_type)

    def _announced(self, section: Section) -> Track | None:
        """The second word of ``a=msid`` is the cid; some clients' is not, and one candidate is no question."""
        announced = self._participant.announced
        cid = section.offered.track_id
        if cid is not None and cid in announced:
            track = announced[cid]
            return track if track.kind.value == section.kind else None
        if cid in self._cids:
            # A track that has ended goes on sending: it is not another one.
            return None
        candidates = [track for track in announced.values() if track.kind.value == section.kind]
        return candidates[0] if len(candidates) == 1 else None
