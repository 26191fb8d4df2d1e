"""Commands: how the session plane writes to tables whose one writer is the turn.

A command is a record in a ring that the turn applies first. What does not fit is kept and retried, never dropped.
"""

from collections import deque
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import layout, record

COMMAND_VALUES = 12
NO_VALUES = (0,) * COMMAND_VALUES
COMMAND_DATA = 1536
"""Bytes that travel with one command: a datagram to send, or a name."""


class Operation(IntEnum):
    """What the session plane may ask of the turn. Values and data of each: beside the kernel that applies it."""

    ADD_PATH = 1
    REMOVE_PATH = 2
    ADD_TRANSPORT = 3
    SELECT_PATH = 4
    SET_KEYS = 5
    SET_EXTENSIONS = 6
    SET_PAYLOAD_TYPES = 7
    REMOVE_TRANSPORT = 8
    ADD_TRACK = 9
    REMOVE_TRACK = 10
    ADD_SOURCE = 11
    REMOVE_SOURCE = 12
    SUBSCRIBE = 13
    UNSUBSCRIBE = 14
    REQUEST_KEY_FRAME = 15
    SEND_DATAGRAM = 16
    SEND_RTCP = 17
    SET_CHECK = 18


COMMAND = record(
    [
        ("operation", "<u2"),
        ("length", "<u2"),
        ("row", "<i4"),
        ("generation", "<i4"),
        ("values", "<i8", (COMMAND_VALUES,)),
        ("body", "u1", (COMMAND_DATA,)),
    ]
)


_HEAD = layout(COMMAND, "operation", "length", "row", "generation", "values")
_BODY = int(COMMAND.fields["body"][1])  # type: ignore[index]  # a record has fields


class CommandRing(NamedTuple):
    """``records``: (capacity,) COMMAND; ``state``: (2,) int64: commands written, commands applied, since the start."""

    records: NDArray[Any]
    state: NDArray[np.int64]


WRITTEN = 0
APPLIED = 1


def make_command_ring(capacity: int) -> CommandRing:
    """An empty ring."""
    return CommandRing(np.zeros(capacity, COMMAND), np.zeros(2, np.int64))


class CommandQueue:
    """The session plane's end of the ring: numbers commands, keeps those that do not fit yet."""

    __slots__ = ("_backlog", "_bytes", "_next", "ring")

    def __init__(self, ring: CommandRing) -> None:
        self.ring = ring
        self._bytes = ring.records.view(np.uint8).data  # by bytes: a record's attributes cost microseconds each
        self._backlog: deque[tuple[Operation, int, int, tuple[int, ...], bytes]] = deque()
        self._next = 0

    @property
    def applied(self) -> int:
        """Every command with a number below this has been applied."""
        return int(self.ring.state[APPLIED])

    @property
    def waiting(self) -> int:
        """Commands written and not applied yet, those in the backlog included."""
        return self._next - self.applied

    def append(
        self,
        operation: Operation,
        row: int,
        generation: int = 0,
        values: tuple[int, ...] = (),
        data: bytes = b"",
    ) -> int:
        """Queue a command; returns its number. Order is kept."""
        assert len(values) <= COMMAND_VALUES, "a command has a fixed number of values"
        assert len(data) <= COMMAND_DATA, "a command's data is bounded by who makes it"
        number = self._next
        self._next += 1
        self._backlog.append((operation, row, generation, values, data))
        self.flush()
        return number

    def flush(self) -> None:
        """Move what fits from the backlog into the ring."""
        records, state = self.ring
        while self._backlog and state[WRITTEN] - state[APPLIED] < len(records):
            operation, row, generation, values, data = self._backlog.popleft()
            at = int(state[WRITTEN]) % len(records) * COMMAND.itemsize
            _HEAD.pack_into(self._bytes, at, operation, len(data), row, generation, *values, *NO_VALUES[len(values) :])
            self._bytes[at + _BODY : at + _BODY + len(data)] = data
            state[WRITTEN] += 1
