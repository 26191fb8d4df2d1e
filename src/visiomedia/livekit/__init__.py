"""LiveKit's protocols: what its client SDKs speak."""

from visiomedia.livekit.server import make_app
from visiomedia.livekit.service import LiveKitService
from visiomedia.livekit.settings import IceServer, LiveKitSettings

__all__ = ["IceServer", "LiveKitService", "LiveKitSettings", "make_app"]
