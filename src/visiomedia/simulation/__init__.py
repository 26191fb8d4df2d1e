"""A network in virtual time: links that lose, delay, double, reorder and throttle as a seed says; hours in seconds.

``Network`` holds the clock, ``Link`` is one direction between two places, ``Host`` runs a sans-IO engine at one end.
"""

from visiomedia.simulation.conditions import Conditions
from visiomedia.simulation.host import Host, connect
from visiomedia.simulation.link import Link, LinkCounts
from visiomedia.simulation.loss import Bernoulli, GilbertElliott, Loss
from visiomedia.simulation.network import Network, Timer

__all__ = [
    "Bernoulli",
    "Conditions",
    "GilbertElliott",
    "Host",
    "Link",
    "LinkCounts",
    "Loss",
    "Network",
    "Timer",
    "connect",
]
