"""The plane: receive, line, send, in turns (``turns``), and the session plane's side of them.

    UdpSocket.receive ─► line ─► UdpSocket.send

The session plane writes to the tables through commands only, and reads what the turn hands up.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from visiomedia.batch import Drop, RowKind
from visiomedia.clock import NANOSECONDS, Clock
from visiomedia.commands import Operation
from visiomedia.engine import Address
from visiomedia.ice.directory import UfragDirectory
from visiomedia.jit import layout
from visiomedia.line import Capacities, make_tables
from visiomedia.net.addresses import address_from_bytes, path_command
from visiomedia.net.portable import PortableUdp
from visiomedia.net.sockets import DatagramSockets
from visiomedia.net.structures import TURNS
from visiomedia.net.udp import BatchUdp
from visiomedia.routing.router import Router
from visiomedia.rows import Handle, RowAllocator
from visiomedia.srtp.crypto import SessionKeys, native_available
from visiomedia.srtp.handshake_limiter import HandshakeLimiter
from visiomedia.transport.check_kernels import BLOCK
from visiomedia.transport.tables import HANDED, HANDED_READ, HANDED_WRITTEN, MAX_USERNAME
from visiomedia.transport.webrtc import DtlsIdentity
from visiomedia.turns import Turns, Way, choose_way, make_ends, make_turns

logger = logging.getLogger(__name__)

DEFAULT_PORT = 7882
DRAIN_NS = 1_000_000
"""Rows handed up are worked on for a millisecond at a time, then the loop has its turn."""


# By bytes: a record's attributes cost microseconds each.
_HANDED_HEAD = layout(HANDED, "kind", "socket", "port", "address", "path", "transport", "generation", "flow", "length")
_HANDED_BODY = int(HANDED.fields["body"][1])  # type: ignore[index]  # a record has fields
_HANDED_UP = [f"handed_up_{kind.name.lower()}" for kind in RowKind]


class TransportOwner(Protocol):
    """Who a transport's row belongs to: gets what the turn hands up."""

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """STUN or DTLS of this transport, or a check that names one of its ufrags."""

    def receive_unknown_media(self, packet: bytes) -> None:
        """An opened RTP packet of an SSRC that nothing has bound; it is held for a second."""

    def receive_rtcp(self, compound: bytes) -> None:
        """An opened RTCP compound with something to judge: a goodbye."""

    def path_lost(self, address: Address) -> None:
        """Another transport has proven that this address is its peer's."""

    def counters(self) -> Mapping[str, int]:
        """What became of the datagrams it was given, by reason."""


class Plane:
    """One worker's packet plane on the running event loop, with the router that steers it.

    ``async with Plane(["127.0.0.1"]) as plane:`` binds one socket an address, all on one port. ``way``: how turns are
    taken, by default what the environment variable ``VISIOMEDIA_PLANE`` says, else the fastest that this host has.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        port: int = DEFAULT_PORT,
        *,
        capacities: Capacities | None = None,
        identity: DtlsIdentity | None = None,
        limiter: HandshakeLimiter | None = None,
        way: Way | None = None,
    ) -> None:
        self.capacities = capacities or Capacities()
        self.clock = Clock()
        self.identity = identity or DtlsIdentity.generate()
        self.limiter = limiter or HandshakeLimiter()
        self.cname = os.urandom(9).hex()
        self.tables = make_tables(self.capacities, self.cname.encode())
        self.way = choose_way(way, os.environ)
        self._ends = make_ends(self.way, self.tables)
        self.commands = self._ends.commands
        self.router = Router(self.commands, self.tables.routing)
        self.directory: UfragDirectory[TransportOwner] = UfragDirectory(2 * self.capacities.transports)
        self._addresses, self._port = list(addresses), port
        self._sockets: DatagramSockets | None = None
        self._turns: Turns | None = None
        self._transports = RowAllocator("transports", self.capacities.transports)
        self._paths = RowAllocator("paths", self.capacities.paths)
        self._handed = self.tables.transport.handed.view(np.uint8).data
        self._owners: dict[Handle, TransportOwner] = {}
        self._path_of: dict[Address, tuple[Handle, Handle]] = {}
        self._unsegmented: set[Handle] = set()
        """Paths whose refusal of segments was logged."""
        self._refusals = 0
        self._keys: list[tuple[int, SessionKeys]] = []
        self._session_counters: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drain_is_due = False

    # --- life -----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        open_sockets = PortableUdp if self.way is Way.PORTABLE else BatchUdp
        self._sockets = open_sockets(self._addresses, self._port)
        self._turns = make_turns(self.way, self.tables, self.capacities, self._sockets, self._ends)
        self._turns.start(self._loop, self._after_turns)
        self.wake()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop: send what is queued, close the sockets. Transports must have been removed by their owners."""
        if self._sockets is None or self._turns is None:
            return
        await self._turns.close()
        self._turns = None
        self._sockets.close()
        self._sockets = None
        for _, keys in self._keys:
            keys.free()
        self._keys.clear()

    @property
    def local_addresses(self) -> list[Address]:
        """Where we listen: socket index, host, port."""
        assert self._sockets is not None, "open before it is asked"
        return self._sockets.local_addresses

    # --- turns ------------------------------------------------------------------------------------------------------

    def _after_turns(self) -> None:
        """Let the session plane see what turns handed up, and free what they cannot use any more."""
        self.commands.flush()
        self._acknowledge()
        if self._handed_waits() and not self._drain_is_due:
            self._drain()
        self._tell_of_refusals()
        if self.commands.waiting:
            self.wake()

    def _tell_of_refusals(self) -> None:
        """Log once a path that its route takes no segments."""
        refusals = int(self._sockets.tables.sockets["segments_refused"].sum()) if self._sockets is not None else 0
        if refusals == self._refusals:
            return
        self._refusals = refusals
        refusing = self.tables.net.paths["refuses_segments"]
        for address, (path, _) in self._path_of.items():
            if refusing[path.row] and path not in self._unsegmented:
                self._unsegmented.add(path)
                logger.info("the route to %s takes no UDP segments: one datagram a message there", address.host)

    def _handed_waits(self) -> bool:
        return bool(self._ends.handed_state[HANDED_READ] != self._ends.handed_state[HANDED_WRITTEN])

    def wake(self) -> None:
        """Take a turn soon: commands wait."""
        if self._turns is not None:
            self._turns.wake()

    def _command(self, operation: Operation, handle: Handle, values: tuple[int, ...] = (), body: bytes = b"") -> int:
        number = self.commands.append(operation, *handle, values, body)
        self.wake()
        return number

    def _acknowledge(self) -> None:
        applied = self.commands.applied
        self._transports.acknowledged(applied)
        self._paths.acknowledged(applied)
        self.router.acknowledged(applied)
        while self._keys and self._keys[0][0] < applied:
            self._keys.pop(0)[1].free()

    # --- rows handed up ---------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        self._drain_is_due = False
        ring, state = self._handed, self._ends.handed_state
        rows = len(ring) // HANDED.itemsize
        start = self.clock.monotonic_ns()
        while self._handed_waits():
            at = int(state[HANDED_READ]) % rows * HANDED.itemsize
            try:
                self._dispatch(ring[at : at + HANDED.itemsize])
            finally:
                # Whatever became of it, it is not handed up again.
                state[HANDED_READ] += 1
            if self.clock.monotonic_ns() - start > DRAIN_NS:
                assert self._loop is not None, "rows come up from a turn"
                self._drain_is_due = True
                self._loop.call_soon(self._drain)
                break
        self.wake()

    def _dispatch(self, record: memoryview) -> None:
        kind, socket, port, host, _, transport, generation, _, length = _HANDED_HEAD.unpack_from(record)
        data = bytes(record[_HANDED_BODY : _HANDED_BODY + length])
        self._session_counters[_HANDED_UP[kind]] += 1
        owner = None
        if kind == RowKind.STUN:
            # By ufrag first: a peer may come back as another session from an address that had one.
            owner = self.directory.find(data)
        if owner is None and transport >= 0:
            owner = self._owners.get(Handle(transport, generation))
        if owner is None:
            self._session_counters[f"unclaimed_{RowKind(kind).name.lower()}"] += 1
        elif kind == RowKind.RTP:
            owner.receive_unknown_media(data)
        elif kind == RowKind.RTCP:
            owner.receive_rtcp(data)
        else:
            address = Address(socket, address_from_bytes(host), port)
            owner.receive_datagram(data, address, self.clock.monotonic())

    # --- what transports ask for --------------------------------------------------------------------------------------

    def add_transport(self, owner: TransportOwner, *, takes_reduced_size: bool) -> Handle:
        """A row for a peer's transport. Raises CapacityError."""
        handle = self._transports.allocate()
        self._owners[handle] = owner
        ssrc = self.router.new_ssrc(handle)
        self._command(Operation.ADD_TRANSPORT, handle, (ssrc, int(takes_reduced_size)))
        return handle

    def remove_transport(self, handle: Handle, keys: SessionKeys | None) -> None:
        """Let a transport go; its keys are freed once the turn cannot use them any more."""
        self._session_counters.update(self._owners.pop(handle).counters())
        self.router.forget_transport(handle)
        number = self._command(Operation.REMOVE_TRANSPORT, handle)
        self._transports.release(handle, number)
        if keys is not None:
            self._keys.append((number, keys))

    def add_path(self, transport: Handle, address: Address) -> Handle:
        """Datagrams from an address are this transport's from now on. Raises CapacityError."""
        previous = self._path_of.get(address)
        if previous is not None:
            owner = self._owners.get(previous[1])
            self.remove_path(previous[0], address)
            if owner is not None:
                owner.path_lost(address)
        handle = self._paths.allocate()
        values, body = path_command(address, transport.row)
        self._command(Operation.ADD_PATH, handle, values, body)
        self._path_of[address] = (handle, transport)
        return handle

    def remove_path(self, path: Handle, address: Address) -> None:
        """Forget an address."""
        self._path_of.pop(address, None)
        self._unsegmented.discard(path)
        self._paths.release(path, self._command(Operation.REMOVE_PATH, path))

    def select_path(self, transport: Handle, path: Handle | None) -> None:
        """Send a transport's packets there, or nowhere."""
        self._command(Operation.SELECT_PATH, transport, (-1 if path is None else path.row,))

    def set_check(self, path: Handle, username: str, password: str) -> None:
        """Checks over the selected path with this username, made with this password, are answered in the turn."""
        name, key = username.encode(), password.encode()
        if not native_available() or len(name) > MAX_USERNAME or len(key) > BLOCK:
            return
        padded = key.ljust(BLOCK, b"\0")
        masked = bytes(byte ^ 0x36 for byte in padded) + bytes(byte ^ 0x5C for byte in padded)
        self._command(Operation.SET_CHECK, path, (len(name),), name + masked)

    def heard(self, path: Handle) -> float:
        """Monotonic seconds of the last check over a path that was answered in the turn, 0 before the first."""
        return int(self.tables.transport.checks["heard"][path.row]) / NANOSECONDS

    def set_keys(self, transport: Handle, keys: SessionKeys) -> None:
        """Open and seal a transport's packets with these."""
        self._command(Operation.SET_KEYS, transport, keys.command_values(), keys.command_body())

    def set_extensions(self, transport: Handle, *, received: dict[int, int], sent: dict[int, int], mixed: bool) -> None:
        """``received``: kind by id; ``sent``: id by kind (``rtp.extensions.ExtensionKind``)."""
        body = bytearray(256 + 16)
        for identifier, kind in received.items():
            body[identifier] = kind
        for kind, identifier in sent.items():
            body[256 + kind] = identifier
        self._command(Operation.SET_EXTENSIONS, transport, (int(mixed),), bytes(body))

    def set_payload_types(self, transport: Handle, entries: Sequence[tuple[int, int, bool, int, int]]) -> None:
        """(payload type, codec, is audio, payload type repaired or 255, clock rate) of what the peer may send."""
        body = b"".join(
            bytes([number, codec, is_audio, primary]) + clock_rate.to_bytes(4, "big")
            for number, codec, is_audio, primary, clock_rate in entries
        )
        self._command(Operation.SET_PAYLOAD_TYPES, transport, (), body)

    def send_datagram(self, path: Handle, data: bytes) -> None:
        """Send a STUN or DTLS datagram with the next turn."""
        self._command(Operation.SEND_DATAGRAM, path, (), data)

    def send_unproven(self, data: bytes, address: Address) -> None:
        """Send one datagram to an address that has no path: an error response to a check."""
        if self._sockets is not None:
            self._sockets.send_one(data, address)

    def rows(self) -> dict[str, tuple[int, int]]:
        """(used, capacity) of each table, by its name: a row that was let go counts until the turn has applied it."""
        own = {each.table: (each.used, each.capacity) for each in (self._transports, self._paths)}
        return own | self.router.rows()

    def socket_counters(self) -> dict[str, int]:
        """Datagrams of all sockets since the start.

        ``turns`` taken; ``received``; ``sent`` in so many ``messages``, and of those ``segmented``, in one with others;
        errors of both ways; ``overflowed``: what the system lost in a full receive buffer; ``segments_refused``:
        messages that a route did not take, and that left as datagrams.
        """
        if self._sockets is None:
            return {}
        sockets = self._sockets.tables.sockets
        arrived = ("received", "receive_errors", "overflowed")
        left = ("sent", "messages", "send_errors", "segmented", "segments_refused")
        turns = int(self._sockets.tables.state[TURNS])
        return {"turns": turns} | {name: int(sockets[name].sum()) for name in (*arrived, *left)}

    def counters(self) -> dict[str, int]:
        """What became of datagrams since the start; each one received is in one of the first group.

        ``accepted`` and the reasons of ``batch.Drop``: media stored, feedback taken and what was handed up, or why
        not. ``unsent_*``: what was to leave and did not. ``handed_up_*`` by kind, ``unclaimed_*`` that were nobody's,
        and what transports' engines did with theirs (``ice_*``, ``dtls_*``, ``transport_*``); of ICE's checks those
        ``checks_answered_in_the_turn`` did not reach an engine.
        """
        tables = self.tables.transport
        counted = {reason.name.lower(): int(tables.drops[reason]) for reason in Drop if reason}
        counted |= {f"unsent_{reason.name.lower()}": int(tables.unsent[reason]) for reason in Drop if reason}
        session = self._session_counters.copy()
        for owner in self._owners.values():
            session.update(owner.counters())
        session["checks_answered_in_the_turn"] = int(tables.checks["answered"].sum())
        return {"accepted": int(tables.drops[Drop.NONE]), **counted, **session}
