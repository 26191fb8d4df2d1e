"""Which datagrams a link loses: each for itself, or in bursts."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Protocol, Self

from visiomedia.errors import ConfigurationError


def check_share(name: str, value: float) -> None:
    """Raises ConfigurationError unless it is a share of 1."""
    if not 0 <= value <= 1:
        raise ConfigurationError(name, value, "a share between 0 and 1")


class Loss(Protocol):
    """A rule by which datagrams are lost."""

    def fates(self, random: Random) -> Iterator[bool]:
        """Without end: whether the next datagram is lost."""


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """Each datagram is lost with the same probability, whatever became of the others."""

    share: float

    def __post_init__(self) -> None:
        check_share("share", self.share)

    def fates(self, random: Random) -> Iterator[bool]:
        """See ``Loss``."""
        while True:
            yield random.random() < self.share


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Two states with a loss of their own each: what a radio link or a full queue does (Gilbert 1960, Elliott 1963).

    ``to_bad`` and ``to_good``: the probability of changing over, asked before each datagram; ``good`` and ``bad``: the
    share that is lost in either state.
    """

    to_bad: float
    to_good: float
    good: float = 0.0
    bad: float = 1.0

    def __post_init__(self) -> None:
        for name in ("to_bad", "to_good", "good", "bad"):
            check_share(name, getattr(self, name))

    @classmethod
    def bursts(cls, share: float, length: float) -> Self:
        """So much is lost in all, in bursts of ``length`` datagrams on average."""
        check_share("share", share)
        if length < 1 or share == 1:
            raise ConfigurationError("length", length, "at least 1, of a share below 1")
        return cls(min(1.0, share / (length * (1 - share))), 1 / length)

    def fates(self, random: Random) -> Iterator[bool]:
        """See ``Loss``."""
        is_bad = False
        while True:
            if random.random() < (self.to_good if is_bad else self.to_bad):
                is_bad = not is_bad
            yield random.random() < (self.bad if is_bad else self.good)
