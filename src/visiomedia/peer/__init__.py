"""Remote endpoints."""

from visiomedia.peer.dial import dial
from visiomedia.peer.peer import Peer
from visiomedia.peer.transceiver import Transceiver

__all__ = ["Peer", "Transceiver", "dial"]
