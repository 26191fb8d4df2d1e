"""Batches of datagrams in and out of sockets."""

from visiomedia.net.addresses import interface_addresses
from visiomedia.net.portable import PortableUdp
from visiomedia.net.sockets import DatagramSockets
from visiomedia.net.udp import BatchUdp

__all__ = ["BatchUdp", "DatagramSockets", "PortableUdp", "interface_addresses"]
