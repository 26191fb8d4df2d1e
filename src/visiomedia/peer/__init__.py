"""Remote endpoints."""

from visiomedia.peer.peer import Peer, Transceiver

__all__ = ["Peer", "Transceiver"]
