"""Turns: receive, line, send as one kernel call, taken on the event loop or by a thread that never needs the GIL.

Both ways the turn is the one writer of the tables. On the loop it is entered when a socket is readable or a timer is
due. A thread's kernel blocks in ``ppoll`` and never returns to Python: counts of what was written and read travel
through two eventfds, each a system call and thus the memory barrier, so that neither side reads what the other is
still writing.
"""

import asyncio
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import PacketBatch
from visiomedia.clock import NANOSECONDS
from visiomedia.commands import APPLIED, WRITTEN, CommandQueue, CommandRing
from visiomedia.errors import ConfigurationError
from visiomedia.jit import Integer, compile_for, external, is_kept, record, subroutine
from visiomedia.line import FAN_OUT_WAITS, Capacities, Tables, advance, begin, ingest, make_batches, make_tables, reset
from visiomedia.net.kernels import monotonic, receive, send
from visiomedia.net.sockets import DatagramSockets, kernels_available
from visiomedia.net.structures import SocketTables, make_socket_tables
from visiomedia.routing.timer_kernels import NEXT_SCAN
from visiomedia.transport.tables import HANDED_READ, HANDED_WRITTEN

logger = logging.getLogger(__name__)

TURN_NS = 1_000_000
"""After so long a turn leaves the packets that wait for fan-out to the next one, which receives first."""

PLANE_NICE = -10
"""Priority of the thread that carries packets: it has a core before what is not urgent, ten times its share."""

COUNT_BITS = 32
COUNT_MASK = (1 << COUNT_BITS) - 1
STOP = 1 << 62
"""In the eventfd that a thread is told by: take the commands that wait, then end. In the other one: it has ended."""

IDLE_NS = 1_000_000_000
"""How long a thread waits where no timer is due."""

POLLIN = 1
POLL = record([("descriptor", "<i4"), ("events", "<i2"), ("found", "<i2")])
"""struct pollfd."""

if sys.platform == "linux":
    ppoll = external("ppoll", "i4", "u8", "u8", "u8", "u8")
    read = external("read", "i8", "i4", "u8", "u8")
    write = external("write", "i8", "i4", "u8", "u8")


class Way(StrEnum):
    """How the plane takes its turns."""

    THREAD = "thread"
    LOOP = "loop"
    PORTABLE = "portable"
    """On the loop, one system call a datagram and references where numba is missing: any platform."""


def choose_way(chosen: Way | None, environment: Mapping[str, str]) -> Way:
    """The way that was asked for, else that of ``VISIOMEDIA_PLANE``, else the fastest that this host has.

    Raises:
        ConfigurationError: the variable names none, or one that this host has not.
    """
    name = environment.get("VISIOMEDIA_PLANE", "")
    if chosen is None and name:
        if name not in set(Way):
            raise ConfigurationError("VISIOMEDIA_PLANE", name, " or ".join(Way))
        chosen = Way(name)
    if kernels_available():
        return chosen or Way.THREAD
    logger.info("this host has no recvmmsg, or no numba: one system call a datagram, on the event loop")
    if chosen in (Way.THREAD, Way.LOOP):
        raise ConfigurationError("VISIOMEDIA_PLANE", chosen, "portable here: this host has no recvmmsg, or no numba")
    return Way.PORTABLE


def come_first() -> bool:
    """Let the calling thread run before others of the machine that wait for the same core; whether that was allowed.

    Else a loop that is busy keeps the core for its whole slice, some ms, while packets wait.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PLANE_NICE)
    except PermissionError:
        logger.info(
            "packets wait for a core like all else: root, LimitNICE=%d or CAP_SYS_NICE lets them come first", PLANE_NICE
        )
        return False
    return True


@subroutine
def turn(
    tables: Tables, batch: PacketBatch, out: PacketBatch, sockets: SocketTables, now: Integer, patience: Integer
) -> bool:
    """One turn: commands, what has arrived, what follows from it. True where fan-out was left to the next one.

    It ends ``patience`` ns after it began or with the out batch that is then being filled. Feedback and timers are not
    left over: they are bounded by the batch, and by what receivers may ask for (``RTX_TOKENS``).
    """
    begin(tables, batch, out, now)
    receive(sockets, batch, now)
    ingest(tables, batch, out, now)
    while True:
        more = advance(tables, batch, out, now)
        send(sockets, out, tables.net.paths)
        reset(out)
        if more == 0:
            return False
        if more == FAN_OUT_WAITS and monotonic(sockets) - now >= patience:
            return True


class WaitTables(NamedTuple):
    """What a thread waits on. ``polls``: (1 + sockets,) POLL, the eventfd that it is told by first; ``up``: (1,) int64,
    the eventfd that it tells by; ``value``: (1,) uint64 of an eventfd; ``time``: (2,) int64, a struct timespec."""

    polls: NDArray[Any]
    up: NDArray[np.int64]
    value: NDArray[np.uint64]
    time: NDArray[np.int64]


def make_wait_tables(down: int, up: int, sockets: list[int]) -> WaitTables:
    """For file descriptors: of both eventfds, and of the sockets."""
    polls = np.zeros(1 + len(sockets), POLL)
    polls["descriptor"] = [down, *sockets]
    polls["events"] = POLLIN
    return WaitTables(polls, np.array([up], np.int64), np.zeros(1, np.uint64), np.zeros(2, np.int64))


@subroutine
def _wait(tables: Tables, wait: WaitTables, now: Integer) -> None:
    """Until something arrives, something is told, or a timer is due."""
    routing = tables.routing
    due = now + IDLE_NS
    if routing.active_sources[0] != 0 or routing.active_subscriptions[0] != 0:
        due = max(now, min(np.int64(due), np.int64(tables.timers[NEXT_SCAN])))
    wait.time[0] = (due - now) // NANOSECONDS
    wait.time[1] = (due - now) % NANOSECONDS
    ppoll(wait.polls.ctypes.data, len(wait.polls), wait.time.ctypes.data, 0)


@subroutine
def _told(wait: WaitTables) -> Integer:
    """What the session plane has written into the eventfd since it was read last; 0 for nothing."""
    if read(wait.polls[0].descriptor, wait.value.ctypes.data, 8) != 8:
        return np.int64(0)
    return np.int64(wait.value[0])


@subroutine
def run_turns(tables: Tables, batch: PacketBatch, out: PacketBatch, sockets: SocketTables, wait: WaitTables) -> None:
    """Turns until told to stop. What each applied and handed up is told through the other eventfd."""
    commands, handed = tables.commands.state, tables.transport.handed_state
    applied, written = np.int64(commands[APPLIED]), np.int64(handed[HANDED_WRITTEN])
    is_stopping = False
    while True:
        value = _told(wait)
        commands[WRITTEN] += value & COUNT_MASK
        handed[HANDED_READ] += (value & (STOP - 1)) >> COUNT_BITS
        is_stopping = is_stopping or value & STOP != 0
        more = turn(tables, batch, out, sockets, monotonic(sockets), TURN_NS)
        news = (commands[APPLIED] - applied) | (handed[HANDED_WRITTEN] - written) << COUNT_BITS
        if news != 0:
            wait.value[0] = news
            # A counter that is full, which it never is, keeps the news for the next turn.
            if write(wait.up[0], wait.value.ctypes.data, 8) == 8:
                applied, written = np.int64(commands[APPLIED]), np.int64(handed[HANDED_WRITTEN])
        if is_stopping and commands[APPLIED] == commands[WRITTEN]:
            wait.value[0] = STOP
            write(wait.up[0], wait.value.ctypes.data, 8)
            return
        if commands[APPLIED] == commands[WRITTEN] and not more:
            _wait(tables, wait, monotonic(sockets))


def warm_up_stages(capacities: Capacities) -> list[tuple[str, Callable[..., Any], tuple[Any, ...]]]:
    """What has to be compiled before the first turn, callees first: (name, function, arguments of its types).

    The thread's kernel holds all others: where the cache has it, it alone has to be loaded.
    """
    tables = make_tables(capacities, b"warm up")
    batch, out = make_batches(capacities)
    sockets = make_socket_tables([(-1, 4)])
    now = np.int64(0)
    whole = ("run_turns", run_turns, (tables, batch, out, sockets, make_wait_tables(-1, -1, [-1])))
    if is_kept(*whole[1:]):
        return [whole]
    return [
        ("receive", receive, (sockets, batch, now)),
        ("send", send, (sockets, out, tables.net.paths)),
        ("begin", begin, (tables, batch, out, now)),
        ("ingest", ingest, (tables, batch, out, now)),
        ("advance", advance, (tables, batch, out, now)),
        ("reset", reset, (out,)),
        ("turn", turn, (tables, batch, out, sockets, now, now)),
        whole,
    ]


class SessionEnds(NamedTuple):
    """The session plane's ends of both rings: where it writes commands, and its counts of rows handed up."""

    commands: CommandQueue
    handed_state: NDArray[np.int64]


def make_ends(way: Way, tables: Tables) -> SessionEnds:
    """On the loop both sides share their counts; a thread's are its own, and learnt of by eventfd."""
    if way is not Way.THREAD:
        return SessionEnds(CommandQueue(tables.commands), tables.transport.handed_state)
    ring = CommandRing(tables.commands.records, np.zeros_like(tables.commands.state))
    return SessionEnds(CommandQueue(ring), np.zeros_like(tables.transport.handed_state))


class Turns(Protocol):
    """A way of taking turns."""

    def start(self, loop: asyncio.AbstractEventLoop, after: Callable[[], None]) -> None:
        """Begin; ``after`` is called on the loop when turns have applied commands or handed rows up."""

    def wake(self) -> None:
        """Take a turn soon: commands wait, or rows were read."""

    async def close(self) -> None:
        """Apply every command, then end."""


class LoopTurns:
    """Turns on the event loop, with kernels or without."""

    def __init__(
        self, tables: Tables, capacities: Capacities, sockets: DatagramSockets, ends: SessionEnds, *, compiled: bool
    ) -> None:
        self._tables, self._sockets, self._commands = tables, sockets, ends.commands
        self._batch, self._out = make_batches(capacities)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._after: Callable[[], None] = lambda: None
        self._tick: asyncio.TimerHandle | None = None
        self._is_due = False
        self._run = self._compiled() if compiled else self._portable

    def _compiled(self) -> Callable[[int], bool]:
        arguments = (self._tables, self._batch, self._out, self._sockets.tables, np.int64(0), np.int64(0))
        entry = compile_for(turn, arguments)
        fixed = arguments[:4]
        return lambda now: bool(entry(*fixed, now, TURN_NS))

    def _portable(self, now: int) -> bool:
        tables, batch, out = self._tables, self._batch, self._out
        begin(tables, batch, out, now)
        self._sockets.receive(batch, now)
        ingest(tables, batch, out, now)
        while True:
            more = advance(tables, batch, out, now)
            self._sockets.send(out, tables.net.paths)
            reset(out)
            if more == 0:
                return False
            if more == FAN_OUT_WAITS and time.monotonic_ns() - now >= TURN_NS:
                return True

    def start(self, loop: asyncio.AbstractEventLoop, after: Callable[[], None]) -> None:
        """See ``Turns``."""
        self._loop, self._after = loop, after
        for descriptor in self._sockets.filenos():
            loop.add_reader(descriptor, self._turn)

    def wake(self) -> None:
        """See ``Turns``."""
        if not self._is_due and self._loop is not None:
            self._is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_due = False
        if self._loop is None:
            return
        more = self._run(time.monotonic_ns())
        self._after()
        if more:
            self.wake()
        routing = self._tables.routing
        if self._tick is None and (routing.active_sources[0] or routing.active_subscriptions[0]):
            due = int(self._tables.timers[NEXT_SCAN]) / NANOSECONDS
            self._tick = self._loop.call_at(due, self._ticked)

    def _ticked(self) -> None:
        self._tick = None
        self._turn()

    async def close(self) -> None:
        """See ``Turns``."""
        if self._loop is None:
            return
        self._turn()
        while self._commands.waiting:
            self._commands.flush()
            self._turn()
        for descriptor in self._sockets.filenos():
            self._loop.remove_reader(descriptor)
        if self._tick is not None:
            self._tick.cancel()
        self._loop = None


class ThreadTurns:
    """Turns on a thread of their own: no join, collection or log line holds a packet up. Linux, with numba."""

    def __init__(self, tables: Tables, capacities: Capacities, sockets: DatagramSockets, ends: SessionEnds) -> None:
        self._commands, self._handed_state = ends
        self._down = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._up = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._told_written = self._told_read = 0
        wait = make_wait_tables(self._down, self._up, sockets.filenos())
        arguments = (tables, *make_batches(capacities), sockets.tables, wait)
        entry = compile_for(run_turns, arguments)

        def run() -> None:
            come_first()
            entry(*arguments)

        self._thread = threading.Thread(target=run, name="visiomedia-plane", daemon=True)
        # A process that ends without closing must not take the tables from under a thread that runs.
        self._end = weakref.finalize(self, _end, self._thread, self._down)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._after: Callable[[], None] = lambda: None
        self._is_due = False
        self._heard, self._has_ended = asyncio.Event(), False

    def start(self, loop: asyncio.AbstractEventLoop, after: Callable[[], None]) -> None:
        """See ``Turns``."""
        self._loop, self._after = loop, after
        loop.add_reader(self._up, self._hear)
        self._thread.start()

    def wake(self) -> None:
        """See ``Turns``."""
        if not self._is_due and self._loop is not None:
            self._is_due = True
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        self._is_due = False
        if self._loop is None:
            return
        written, read_ = int(self._commands.ring.state[WRITTEN]), int(self._handed_state[HANDED_READ])
        news = (written - self._told_written) | (read_ - self._told_read) << COUNT_BITS
        if news:
            os.eventfd_write(self._down, news)
            self._told_written, self._told_read = written, read_

    def _hear(self) -> None:
        try:
            news = os.eventfd_read(self._up)
        except BlockingIOError:
            return
        self._commands.ring.state[APPLIED] += news & COUNT_MASK
        self._handed_state[HANDED_WRITTEN] += (news & (STOP - 1)) >> COUNT_BITS
        self._has_ended = news & STOP != 0
        self._heard.set()
        self._is_due = True  # what the session plane answers is told at once
        self._after()
        self._tell()

    async def close(self) -> None:
        """See ``Turns``."""
        if self._loop is None:
            return
        self._tell()
        while self._commands.waiting:
            await self._hear_more()
        os.eventfd_write(self._down, STOP)
        while not self._has_ended:
            await self._hear_more()
        self._loop.remove_reader(self._up)
        self._loop = None
        self._end.detach()
        os.close(self._down)
        os.close(self._up)

    async def _hear_more(self) -> None:
        self._heard.clear()
        await self._heard.wait()


def _end(thread: threading.Thread, down: int) -> None:
    if thread.is_alive():
        os.eventfd_write(down, STOP)
        thread.join()


def make_turns(way: Way, tables: Tables, capacities: Capacities, sockets: DatagramSockets, ends: SessionEnds) -> Turns:
    """The way as an object; kernels are compiled here if they are not yet."""
    if way is Way.THREAD:
        return ThreadTurns(tables, capacities, sockets, ends)
    return LoopTurns(tables, capacities, sockets, ends, compiled=way is Way.LOOP)
