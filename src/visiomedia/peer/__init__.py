"""Remote endpoints."""

from visiomedia.peer.data_channel import DataChannel
from visiomedia.peer.dial import dial
from visiomedia.peer.peer import Peer
from visiomedia.peer.transceiver import Transceiver

__all__ = ["DataChannel", "Peer", "Transceiver", "dial"]
