"""The subscriber's peer connection: what the client is sent, and our offers of it, one at a time."""

import logging

from visiomedia.conference.track import Track
from visiomedia.errors import VisiomediaError
from visiomedia.livekit.peers import OfferingPeer, SendingSection

logger = logging.getLogger(__name__)


class Subscribing:
    """Adds and removes what is sent; whatever has changed goes into the next offer."""

    __slots__ = ("_answered", "_begun", "_sections", "offer_id", "peer")

    def __init__(self, peer: OfferingPeer, first_id: int) -> None:
        self.peer = peer
        self.offer_id = first_id
        """Of the last offer."""
        self._sections: dict[Track, SendingSection] = {}
        self._answered: set[Track] = set()
        self._begun = False

    def begin(self) -> None:
        """Offer from now on, even without a track: the channels for data want a connection."""
        self._begun = True

    def start(self, track: Track) -> None:
        """Send a track. One that cannot be sent is left out, and said in the log."""
        if track.media is None or track.media.is_closed or track in self._sections:
            return
        try:
            # The stream's id names the publisher, so that clients know whose track comes.
            self._sections[track] = self.peer.add_sender(
                track.media, stream_id=f"{track.publisher.sid}|{track.sid}", track_id=track.sid
            )
        except VisiomediaError as error:
            logger.warning("a track is not sent: %s", error)
        self._begun = True

    def stop(self, track: Track) -> None:
        """Send it no longer. Harmless when it was not sent."""
        section = self._sections.pop(track, None)
        self._answered.discard(track)
        if section is not None:
            self.peer.remove_sender(section)

    @property
    def wants_to_offer(self) -> bool:
        """Whether an offer is due, and may be made."""
        return self._begun and self.peer.needs_negotiation and not self.peer.is_negotiating

    def offer(self) -> str:
        """The next offer; ``offer_id`` is its number."""
        self.offer_id += 1
        return self.peer.create_offer()

    def restart(self) -> None:
        """The client's side may have lost what was said: make the next offer a new beginning."""
        if self._begun:
            self.peer.restart_ice()

    def track_ids(self) -> dict[str, str]:
        """Sids of what is sent, by mid."""
        return {section.mid: track.sid for track, section in self._sections.items()}

    def receive_answer(self, sdp: str, offer_id: int) -> list[Track]:
        """What the client receives with this answer for the first time. ``offer_id``: 0 where it does not say.

        An answer to an offer that another has replaced is passed over. Raises what the peer raises.
        """
        if not self.peer.is_negotiating or offer_id not in (0, self.offer_id):
            return []
        self.peer.receive_answer(sdp)
        fresh = [track for track in self._sections if track not in self._answered]
        self._answered.update(fresh)
        return fresh
