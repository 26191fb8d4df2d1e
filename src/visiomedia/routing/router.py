"""Router: tracks and who gets them, as the session plane sees it. It writes commands; the turn forwards."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from visiomedia.commands import CommandQueue, Operation
from visiomedia.errors import InvalidStateError
from visiomedia.routing.tables import CNAME_BYTES, MAX_LAYERS, RoutingTables
from visiomedia.rows import Handle, RowAllocator
from visiomedia.sdp.attributes import Codec

LOWER_HALF = 0x7FFF
"""First sequence numbers lie in the lower half, so that no receiver takes an early loss for a rollover (RFC 3711
section 3.3.1)."""


@dataclass(slots=True, eq=False)
class Track:
    """What a peer publishes: one camera, microphone or screen, in one or more layers."""

    handle: Handle
    transport: Handle
    format: Codec
    """As the publisher negotiated it: what a receiver is matched with."""
    is_audio: bool
    cname: str
    is_closed: bool = False
    sources: dict[int, Handle] = field(default_factory=dict)
    """Bound SSRCs by layer, 0 the lowest."""
    repairs: dict[Handle, list[Handle]] = field(default_factory=dict)
    """Repair streams by the source they repair."""
    subscriptions: set["Subscription"] = field(default_factory=set)
    on_closed: list[Callable[[], None]] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """``audio`` or ``video``."""
        return "audio" if self.is_audio else "video"


@dataclass(slots=True, eq=False)
class Subscription:
    """One track on its way to one receiver, under SSRCs of its own."""

    handle: Handle
    track: Track
    transport: Handle
    ssrc: int
    rtx_ssrc: int
    is_closed: bool = False


class Router:
    """Forwards tracks to their subscriptions.

    ``ssrcs`` handed out for a transport are never handed out again while it lives: under one key an SSRC is never
    restarted.
    """

    __slots__ = ("_commands", "_entropy", "_sources", "_ssrcs", "_subscriptions", "_tracks", "tables")

    def __init__(
        self,
        commands: CommandQueue,
        tables: RoutingTables,
        *,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._commands = commands
        self._entropy = entropy
        self._sources = RowAllocator("sources", len(tables.sources))
        self._tracks = RowAllocator("tracks", len(tables.tracks))
        self._subscriptions = RowAllocator("subscriptions", len(tables.subscriptions))
        self._ssrcs: dict[Handle, set[int]] = {}
        self.tables = tables

    def acknowledged(self, applied: int) -> None:
        """Commands below number ``applied`` have been applied: rows they removed can be used again."""
        self._sources.acknowledged(applied)
        self._tracks.acknowledged(applied)
        self._subscriptions.acknowledged(applied)

    def rows(self) -> dict[str, tuple[int, int]]:
        """(used, capacity) of each table, by its name."""
        allocators = (self._sources, self._tracks, self._subscriptions)
        return {each.table: (each.used, each.capacity) for each in allocators}

    # --- tracks ---------------------------------------------------------------------------------------------------

    def add_track(
        self,
        transport: Handle,
        *,
        format: Codec,
        is_audio: bool,
        cname: str,
    ) -> Track:
        """A new track that a transport publishes. ``cname``: one for all of a participant's tracks, so that lips
        stay with voices; it is cut at 64 bytes. Raises CapacityError."""
        handle = self._tracks.allocate()
        name = cname.encode()[:CNAME_BYTES]
        self._commands.append(Operation.ADD_TRACK, *handle, (transport.row, int(is_audio)), name)
        return Track(handle, transport, format, is_audio, cname)

    def add_source(self, track: Track, ssrc: int, layer: int = 0) -> Handle:
        """Bind an SSRC to a layer of a track; one that was bound to it before ends. Raises CapacityError."""
        if track.is_closed:
            raise InvalidStateError("the track is closed")
        assert 0 <= layer < MAX_LAYERS, "layers are bounded by negotiation"
        if layer in track.sources:
            self.remove_source(track, track.sources[layer])
        handle = self._sources.allocate()
        values = (
            track.transport.row,
            ssrc,
            track.handle.row,
            layer,
            -1,
            track.format.clock_rate,
            int(track.is_audio),
        )
        self._commands.append(Operation.ADD_SOURCE, *handle, values)
        track.sources[layer] = handle
        return handle

    def add_repair_source(self, track: Track, ssrc: int, repairs: Handle) -> Handle:
        """Bind a retransmission stream's SSRC (RFC 4588); ``repairs`` is the source of the track that it repairs.

        Raises InvalidStateError where that source is gone, CapacityError.
        """
        if repairs not in track.sources.values():
            raise InvalidStateError("the source to be repaired is gone")
        handle = self._sources.allocate()
        values = (track.transport.row, ssrc, -1, 0, repairs.row, track.format.clock_rate, int(track.is_audio))
        self._commands.append(Operation.ADD_SOURCE, *handle, values)
        track.repairs.setdefault(repairs, []).append(handle)
        return handle

    def remove_source(self, track: Track, source: Handle) -> None:
        """Let go of an SSRC of a track, and of those that repair it. Harmless when it is gone."""
        for layer, bound in track.sources.items():
            if bound == source:
                del track.sources[layer]
                break
        for repair in track.repairs.pop(source, []):
            self._release_source(repair)
        for repairs in track.repairs.values():
            if source in repairs:
                repairs.remove(source)
        self._release_source(source)

    def audio_level_sums(self, source: Handle) -> tuple[int, int]:
        """Audio levels of a source so far (RFC 6464, -dBov): their sum, and how many. Zeros once it is gone."""
        row = self.tables.sources[source.row]
        if not self.has_source(source) or row["generation"] != source.generation:
            return 0, 0
        return int(row["level_sum"]), int(row["levels"])

    def reported_loss(self, subscription: Subscription) -> float | None:
        """The share of packets that its receiver reported lost last (RFC 3550 section 6.4.1); None before a report."""
        row = self.tables.subscriptions[subscription.handle.row]
        if row["generation"] != subscription.handle.generation or row["rtt"] == 0:
            return None
        return int(row["fraction_lost"]) / 256

    def has_source(self, source: Handle) -> bool:
        """Whether an SSRC is still bound."""
        return self._sources.is_current(source)

    def _release_source(self, source: Handle) -> None:
        if self._sources.is_current(source):
            self._sources.release(source, self._commands.append(Operation.REMOVE_SOURCE, *source))

    def new_cname(self) -> str:
        """A short persistent name of one participant (RFC 7022 section 4.2: 96 random bits)."""
        return self._entropy(12).hex()

    def remove_track(self, track: Track) -> None:
        """End a track: its subscriptions end with it. Harmless when it has ended."""
        if track.is_closed:
            return
        track.is_closed = True
        for subscription in list(track.subscriptions):
            self.unsubscribe(subscription)
        for source in list(track.sources.values()):
            self.remove_source(track, source)
        self._tracks.release(track.handle, self._commands.append(Operation.REMOVE_TRACK, *track.handle))
        for callback in track.on_closed:
            callback()

    def request_key_frame(self, track: Track) -> None:
        """Ask the publisher for a key frame of every layer; throttled by the turn."""
        if not track.is_closed:
            self._commands.append(Operation.REQUEST_KEY_FRAME, *track.handle)

    # --- subscriptions ----------------------------------------------------------------------------------------------

    def new_ssrc(self, transport: Handle) -> int:
        """An SSRC that this transport has not sent with before."""
        used = self._ssrcs.setdefault(transport, set())
        while True:
            ssrc = int.from_bytes(self._entropy(4), "big")
            if ssrc not in used and ssrc != 0:
                used.add(ssrc)
                return ssrc

    def forget_transport(self, transport: Handle) -> None:
        """The transport's keys are gone: so are the SSRCs used under them."""
        self._ssrcs.pop(transport, None)

    def subscribe(
        self,
        track: Track,
        transport: Handle,
        *,
        ssrc: int,
        rtx_ssrc: int = 0,
        payload_type: int,
        rtx_payload_type: int = 0,
        mid: str = "",
    ) -> Subscription:
        """Forward a track over a transport whose keys are set, under SSRCs from ``new_ssrc`` that nothing was sent
        with yet. Raises CapacityError."""
        if track.is_closed:
            raise InvalidStateError("the track is closed")
        handle = self._subscriptions.allocate()
        draw = self._entropy(8)
        values = (
            track.handle.row,
            transport.row,
            ssrc,
            rtx_ssrc if rtx_payload_type else 0,
            payload_type,
            rtx_payload_type,
            track.format.payload_type,
            track.format.clock_rate,
            int.from_bytes(draw[:2], "big") & LOWER_HALF,
            int.from_bytes(draw[2:4], "big") & LOWER_HALF,
            int.from_bytes(draw[4:], "big"),
            int(track.is_audio),
        )
        self._commands.append(Operation.SUBSCRIBE, *handle, values, mid.encode())
        subscription = Subscription(handle, track, transport, ssrc, rtx_ssrc)
        track.subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop forwarding. Harmless when it has stopped."""
        if subscription.is_closed:
            return
        subscription.is_closed = True
        subscription.track.subscriptions.discard(subscription)
        number = self._commands.append(Operation.UNSUBSCRIBE, *subscription.handle)
        self._subscriptions.release(subscription.handle, number)
