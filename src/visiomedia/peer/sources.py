"""Sources: which of a peer's SSRCs carries which of its tracks, from the first packet to the goodbye."""

import logging
from collections.abc import Callable, Iterable

from visiomedia.errors import CapacityError, ParseError
from visiomedia.peer.binding import MediaBinding, RepairBinding, StreamBinder
from visiomedia.plane import Plane
from visiomedia.routing.router import Track
from visiomedia.rows import Handle
from visiomedia.rtp.rtcp import Goodbye, parse_compound

logger = logging.getLogger(__name__)


class Sources:
    """What a peer sends, SSRC by SSRC. ``track_of(mid)``: what it publishes by that section, or None."""

    __slots__ = ("_bound", "_counted", "_heard", "_plane", "_refused", "_track_of", "binder")

    def __init__(self, plane: Plane, track_of: Callable[[str], Track | None]) -> None:
        self._plane = plane
        self._track_of = track_of
        self.binder = StreamBinder()
        """Told by each negotiation what may come."""
        self._bound: dict[int, tuple[Track, Handle]] = {}
        self._refused: set[int] = set()
        self._heard: dict[Handle, tuple[int, int]] = {}
        self._counted: dict[Handle, tuple[int, int]] = {}
        """Packets expected and received, when the loss was last asked for."""

    def receive_unknown_media(self, packet: bytes) -> None:
        """A packet of an SSRC that the plane does not know: find its section and layer."""
        try:
            binding = self.binder.bind(packet)
        except ParseError:
            return
        if binding is None:
            return
        bound = self._bound.get(binding.ssrc)
        if bound is not None and self._plane.router.has_source(bound[1]):
            return  # packets that came before the binding did
        track = self._track_of(binding.mid)
        if track is None:
            return
        try:
            source = self._add(track, binding)
        except CapacityError as error:
            if binding.ssrc not in self._refused:
                self._refused.add(binding.ssrc)  # as many as the binder takes
                logger.warning("an SSRC is not bound: %s", error)
            return
        if source is not None:
            self._bound[binding.ssrc] = (track, source)
            self._plane.wake()

    def _add(self, track: Track, binding: MediaBinding | RepairBinding) -> Handle | None:
        if isinstance(binding, MediaBinding):
            return self._plane.router.add_source(track, binding.ssrc, binding.layer)
        if binding.layer in track.sources:
            return self._plane.router.add_repair_source(track, binding.ssrc, track.sources[binding.layer])
        return None  # it repairs what has not come yet

    def receive_rtcp(self, compound: bytes) -> None:
        """A goodbye frees the SSRCs it names (RFC 3550 section 6.6); media of theirs would be bound again."""
        try:
            packets = parse_compound(compound)
        except ParseError:
            return
        for packet in packets:
            if isinstance(packet, Goodbye):
                for ssrc in packet.ssrcs:
                    bound = self._bound.pop(ssrc, None)
                    if bound is not None:
                        self._heard.pop(bound[1], None)
                        self._plane.router.remove_source(*bound)
        self._plane.wake()

    def remove_track(self, track: Track) -> None:
        """The track ends, and all that carried it."""
        self._bound = {ssrc: bound for ssrc, bound in self._bound.items() if bound[0] is not track}
        for source in track.sources.values():
            self._heard.pop(source, None)
        self._plane.router.remove_track(track)
        self._plane.wake()

    def loss(self, tracks: Iterable[Track]) -> float | None:
        """The share of packets of these tracks that was lost on the way here since the last call, repairs not counted;
        None where none was expected."""
        receptions = self._plane.tables.rtp.receptions
        totals = {}
        for source in (source for track in tracks for source in track.sources.values()):
            row = receptions[source.row]
            if row["highest"] >= 0 and self._plane.router.has_source(source):
                totals[source] = (int(row["highest"] - row["first"]) + 1, int(row["received"]))
        before, self._counted = self._counted, totals
        expected = sum(count - before.get(source, (0, 0))[0] for source, (count, _) in totals.items())
        received = sum(count - before.get(source, (0, 0))[1] for source, (_, count) in totals.items())
        return min(1.0, max(0.0, 1 - received / expected)) if expected > 0 else None

    def audio_levels(self, tracks: Iterable[Track]) -> dict[Track, int]:
        """How loud each was since the last call: -dBov, 0 the loudest. Tracks of which nothing came are left out."""
        levels = {}
        for track in tracks:
            source = track.sources.get(0)
            if not track.is_audio or source is None:
                continue
            total, count = self._plane.router.audio_level_sums(source)
            before_total, before_count = self._heard.get(source, (0, 0))
            self._heard[source] = (total, count)
            if count > before_count:
                levels[track] = (total - before_total) // (count - before_count)
        return levels
