"""Row handles: which rows of a table are free, and which use of a row a handle means."""

from collections import deque
from typing import NamedTuple

from visiomedia.errors import CapacityError


class Handle(NamedTuple):
    """A row and the generation of its use: a stale handle finds nothing."""

    row: int
    generation: int


class RowAllocator:
    """Gives out the rows of one table. The session plane's side: the turn never allocates.

    A freed row is given out again only once the turn has said that it applied the removal (``acknowledged``). The last
    to come back is the first to go out: a peer that comes and goes touches no new memory.
    """

    __slots__ = ("_free", "_generations", "_leaving", "capacity", "table")

    def __init__(self, table: str, capacity: int) -> None:
        self.table = table
        self.capacity = capacity
        self._free = list(range(capacity - 1, -1, -1))
        self._generations = [0] * capacity
        self._leaving: deque[tuple[int, int]] = deque()

    @property
    def used(self) -> int:
        """Rows given out or not yet back."""
        return self.capacity - len(self._free)

    def allocate(self) -> Handle:
        """A free row with a new generation. Raises CapacityError where there is none."""
        if not self._free:
            raise CapacityError(self.table, self.capacity)
        row = self._free.pop()
        self._generations[row] += 1
        return Handle(row, self._generations[row])

    def is_current(self, handle: Handle) -> bool:
        """Whether a handle still means the row's present use."""
        return self._generations[handle.row] == handle.generation

    def release(self, handle: Handle, command: int) -> None:
        """Give a row back; it is free once command number ``command``, which removes it, has been applied."""
        assert self.is_current(handle), "released twice"
        self._generations[handle.row] += 1
        self._leaving.append((command, handle.row))

    def acknowledged(self, applied: int) -> None:
        """The turn has applied every command below number ``applied``: rows they removed are free."""
        while self._leaving and self._leaving[0][0] < applied:
            self._free.append(self._leaving.popleft()[1])
