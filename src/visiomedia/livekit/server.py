"""The application that LiveKit's clients call, on a plane."""

from collections.abc import Callable, Mapping
from typing import cast

from aiohttp import web

from visiomedia.conference.driver import ConferenceDriver
from visiomedia.livekit.http import add_service
from visiomedia.livekit.peers import AnsweringPeer, OfferingPeer
from visiomedia.livekit.service import LiveKitService
from visiomedia.livekit.settings import LiveKitSettings
from visiomedia.peer.peer import Peer
from visiomedia.plane import Plane


class PlanePeers:
    """Peer connections on a plane: a ``PeerFactory``."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    def publisher(self, on_connected: Callable[[], None], on_closed: Callable[[str], None]) -> AnsweringPeer:
        """See ``PeerFactory``."""
        return cast(AnsweringPeer, self._peer(on_connected, on_closed))

    def subscriber(self, on_connected: Callable[[], None], on_closed: Callable[[str], None]) -> OfferingPeer:
        """See ``PeerFactory``."""
        return cast(OfferingPeer, self._peer(on_connected, on_closed))

    # Casts: a peer takes back sections of its own making only, which a protocol cannot say.

    def _peer(self, on_connected: Callable[[], None], on_closed: Callable[[str], None]) -> Peer:
        peer = Peer(self._plane, on_closed=on_closed)
        peer.connected.add_done_callback(lambda done: None if done.cancelled() else on_connected())
        return peer


def make_app(
    plane: Plane,
    keys: Mapping[str, str],
    settings: LiveKitSettings | None = None,
    *,
    conference: ConferenceDriver | None = None,
) -> web.Application:
    """An application that LiveKit's clients can call. Its sessions end when it shuts down.

    Browsers write their token into the query: whoever serves this keeps queries out of its access log.

    Args:
        plane: running; media go by it.
        keys: secrets by API key.
        settings: of the service.
        conference: rooms that other services share; by default its own.
    """
    app = web.Application()
    add_service(app, LiveKitService(PlanePeers(plane), keys, settings, conference=conference, clock=plane.clock))
    return app
