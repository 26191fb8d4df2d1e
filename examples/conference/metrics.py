"""Prometheus metrics, read from the plane and the rooms when somebody asks: nothing is counted per packet for them."""

import asyncio
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from visiomedia import __version__
from visiomedia.batch import Drop
from visiomedia.livekit.service import LiveKitService
from visiomedia.plane import Plane

UNSENT = "unsent_"


class NodeCollector(Collector):
    """What the node is doing."""

    def __init__(self, plane: Plane, service: LiveKitService) -> None:
        self._plane = plane
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """See the base class."""
        yield InfoMetricFamily("visiomedia", "The library that runs.", {"version": __version__})
        yield from self._rooms()
        yield from self._datagrams()
        yield from self._traffic()
        yield from self._sockets()
        yield from self._rows()
        events = CounterMetricFamily(
            "visiomedia_livekit_events", "What LiveKit's clients did, by name.", labels=["event"]
        )
        for name, count in sorted(self._service.counters.items()):
            events.add_metric([name], count)
        yield events
        # Collected on the loop, by the request that asks.
        yield GaugeMetricFamily("visiomedia_tasks", "Tasks of the event loop.", len(asyncio.all_tasks()))

    def _sockets(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "visiomedia_socket", "Datagrams by what the system did with them.", labels=["event"]
        )
        for name, count in self._plane.socket_counters().items():
            family.add_metric([name], count)
        yield family

    def _rows(self) -> Iterator[Metric]:
        used = GaugeMetricFamily("visiomedia_rows", "Rows of the plane's tables in use.", labels=["table"])
        limit = GaugeMetricFamily("visiomedia_rows_limit", "Rows that the plane's tables have.", labels=["table"])
        for table, (count, capacity) in self._plane.rows().items():
            used.add_metric([table], count)
            limit.add_metric([table], capacity)
        yield from (used, limit)

    def _rooms(self) -> Iterator[Metric]:
        rooms = list(self._service.driver.conference.rooms.values())
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
        paths = self._plane.tables.net.paths
        for unit, meaning in (("packets", "Datagrams to and from peers."), ("bytes", "Bytes of them, as UDP payload.")):
            family = CounterMetricFamily(f"visiomedia_{unit}", meaning, labels=["direction"])
            family.add_metric(["in"], int(paths[f"received_{unit}"].sum()))
            family.add_metric(["out"], int(paths[f"sent_{unit}"].sum()))
            yield family


def make_registry(plane: Plane, service: LiveKitService) -> CollectorRegistry:
    """The node's metrics with those of its process."""
    registry = CollectorRegistry()
    registry.register(NodeCollector(plane, service))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
