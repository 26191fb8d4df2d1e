"""The network of a run: a namespace of its own, in which everything goes over loopback to one address."""

import subprocess

from tests.network.namespace import enter_private_network

ADDRESS = "10.99.9.1"
"""Janus takes no loopback address; what is sent to any address of this host goes over loopback all the same."""


def enter() -> None:
    """Leave the machine's network for good, children included. Raises: NamespaceError."""
    enter_private_network()
    for command in (
        "link add bench0 type veth peer name bench1",
        f"addr add {ADDRESS}/24 dev bench0",
        "link set bench0 up",
        "link set bench1 up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
