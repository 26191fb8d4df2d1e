"""Virtual time: a clock that jumps from one thing that happens to the next."""

import heapq
from collections.abc import Callable, Iterable
from functools import partial
from random import Random

from visiomedia.clock import NANOSECONDS
from visiomedia.errors import VisiomediaError
from visiomedia.simulation.conditions import Conditions
from visiomedia.simulation.link import Link


class NothingHappensError(VisiomediaError):
    """What was waited for will not come any more, or not in time."""


class Timer:
    """Something that will happen, unless it is cancelled."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """It does not happen."""
        self.callback = None


class Network:
    """A clock, the links that stand on it, and all their chance: one seed decides everything, to the byte.

    ``start``: monotonic seconds at which its time begins. Nothing waits in real time; what happens at the same instant
    happens in the order in which it was asked for.
    """

    def __init__(self, seed: int = 0, *, start: float = 1000.0) -> None:
        self.seed = seed
        self.now_ns = round(start * NANOSECONDS)
        self._queue: list[tuple[int, int, Timer]] = []
        self._count = 0
        self._links = 0

    @property
    def now(self) -> float:
        """Monotonic seconds: the ``now`` of every engine."""
        return self.now_ns / NANOSECONDS

    def random(self, *names: object) -> Random:
        """A source of chance of its own for whatever is named: it does not depend on what others draw."""
        return Random(repr((self.seed, *names)))  # noqa: S311  # it has to be the same again

    def link(
        self,
        deliver: Callable[[bytes], object],
        conditions: Conditions | None = None,
        *,
        script: Iterable[tuple[float, Conditions]] = (),
    ) -> Link:
        """A way for datagrams to ``deliver``. ``script``: (seconds from now, conditions from then on)."""
        self._links += 1
        made = Link(self, deliver, conditions or Conditions(), self.random("link", self._links))
        for seconds, later in script:
            self.call_at(self.now + seconds, partial(made.change, later))
        return made

    # --- time -------------------------------------------------------------------------------------------------

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Have something happen at a time, monotonic seconds; what is past happens next."""
        return self.call_at_ns(round(when * NANOSECONDS), callback)

    def call_at_ns(self, when: int, callback: Callable[[], object]) -> Timer:
        """The same in ns."""
        timer = Timer(callback)
        self._count += 1
        heapq.heappush(self._queue, (max(when, self.now_ns), self._count, timer))
        return timer

    def step(self, until: int | None = None) -> bool:
        """Go to what happens next, and let it; False where nothing will, or not ``until`` that time in ns."""
        while self._queue and self._queue[0][2].callback is None:
            heapq.heappop(self._queue)
        if not self._queue or (until is not None and self._queue[0][0] > until):
            return False
        self.now_ns, _, timer = heapq.heappop(self._queue)
        callback, timer.callback = timer.callback, None
        assert callback is not None, "those that were cancelled are gone"
        callback()
        return True

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now_ns + round(seconds * NANOSECONDS)
        while self.step(end):
            pass
        self.now_ns = end

    def run_until(self, is_so: Callable[[], bool], seconds: float) -> None:
        """Let time pass until it is so.

        Raises:
            NothingHappensError: it is not so within ``seconds``.
        """
        end = self.now_ns + round(seconds * NANOSECONDS)
        while not is_so():
            if not self.step(end):
                raise NothingHappensError(f"it is not so after {seconds} s")
