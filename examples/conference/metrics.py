"""Prometheus metrics, read from the plane and the rooms when somebody asks: nothing is counted per packet for them."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from visiomedia import __version__
from visiomedia.batch import Drop
from visiomedia.conference.conference import Conference
from visiomedia.plane import Plane

PATH_COUNTERS = ("received_packets", "received_bytes", "sent_packets", "sent_bytes")
UNSENT = "unsent_"


class PathTotals:
    """Sums over all paths there have been. A path's row counts from 0 again when it gets to another address.

    Short of the whole by what a row counted between the last look and its next use; never goes back.
    """

    def __init__(self, plane: Plane) -> None:
        self._paths = plane.tables.net.paths
        self._seen = self._paths.copy()
        self._past = dict.fromkeys(PATH_COUNTERS, 0)

    def read(self) -> dict[str, int]:
        """The sums by counter."""
        now = self._paths.copy()
        is_other = now["generation"] != self._seen["generation"]
        for name in PATH_COUNTERS:
            self._past[name] += int(self._seen[name][is_other].sum())
        self._seen = now
        return {name: self._past[name] + int(now[name].sum()) for name in PATH_COUNTERS}


class NodeCollector(Collector):
    """What the node is doing."""

    def __init__(self, plane: Plane, conference: Conference) -> None:
        self._plane = plane
        self._conference = conference
        self._totals = PathTotals(plane)

    def collect(self) -> Iterator[Metric]:
        """See the base class."""
        yield InfoMetricFamily("visiomedia", "The library that runs.", {"version": __version__})
        yield from self._rooms()
        yield from self._datagrams()
        yield from self._traffic()
        transports = self._plane.tables.transport.transports
        yield GaugeMetricFamily(
            "visiomedia_transports", "Peer connections.", int(np.count_nonzero(transports["in_use"]))
        )
        yield GaugeMetricFamily("visiomedia_transports_limit", "Peer connections there is room for.", len(transports))

    def _rooms(self) -> Iterator[Metric]:
        rooms = list(self._conference.rooms.values())
        participants = [one for room in rooms for one in room.participants.values()]
        yield GaugeMetricFamily("visiomedia_rooms", "Rooms that are open.", len(rooms))
        by_state = GaugeMetricFamily("visiomedia_participants", "People and programs in rooms.", labels=["state"])
        states = Counter(one.state.name.lower() for one in participants)
        for state in ("joining", "active"):
            by_state.add_metric([state], states[state])
        yield by_state
        by_kind = GaugeMetricFamily("visiomedia_tracks", "Tracks that are live.", labels=["kind"])
        kinds = Counter(track.description.kind.value for one in participants for track in one.tracks.values())
        for kind in ("audio", "video"):
            by_kind.add_metric([kind], kinds[kind])
        yield by_kind

    def _datagrams(self) -> Iterator[Metric]:
        reasons = {reason.name.lower() for reason in Drop}
        received = CounterMetricFamily(
            "visiomedia_datagrams_received", "Datagrams by what became of them.", labels=["outcome"]
        )
        unsent = CounterMetricFamily("visiomedia_packets_unsent", "What was to leave and did not.", labels=["reason"])
        sessions = CounterMetricFamily("visiomedia_session_events", "What sessions met, by name.", labels=["event"])
        for name, count in self._plane.counters().items():
            if name == "accepted" or name in reasons:
                received.add_metric([name], count)
            elif name.startswith(UNSENT):
                unsent.add_metric([name.removeprefix(UNSENT)], count)
            else:
                sessions.add_metric([name], count)
        yield from (received, unsent, sessions)

    def _traffic(self) -> Iterator[Metric]:
        totals = self._totals.read()
        for unit, meaning in (("packets", "Datagrams to and from peers."), ("bytes", "Bytes of them, as UDP payload.")):
            family = CounterMetricFamily(f"visiomedia_{unit}", meaning, labels=["direction"])
            family.add_metric(["in"], totals[f"received_{unit}"])
            family.add_metric(["out"], totals[f"sent_{unit}"])
            yield family


def make_registry(plane: Plane, conference: Conference) -> CollectorRegistry:
    """The node's metrics with those of its process."""
    registry = CollectorRegistry()
    registry.register(NodeCollector(plane, conference))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
