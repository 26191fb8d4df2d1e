"""What a link does to what it carries."""

from dataclasses import dataclass

from visiomedia.errors import ConfigurationError
from visiomedia.simulation.loss import Bernoulli, Loss, check_share

NO_LOSS = Bernoulli(0.0)
HEADERS = 28
"""Bytes of IPv4 and UDP headers, which take their share of a rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Of one direction; by default nothing happens and it takes no time. Times are seconds, shares of 1."""

    delay: float = 0.0
    jitter: float = 0.0
    """At most so much more, evenly spread; what left first still arrives first."""
    loss: Loss = NO_LOSS
    duplicated: float = 0.0
    """Share of datagrams that arrive twice."""
    reordered: float = 0.0
    """Share of datagrams that arrive ``reordering_delay`` later than they would have, behind others."""
    reordering_delay: float = 0.02
    rate: float | None = None
    """Bits a second, headers of IP and UDP included; None for as fast as may be."""
    queue: int = 64_000
    """Bytes that may wait for the rate, with those that are just leaving; what comes on top is lost."""

    def __post_init__(self) -> None:
        for name in ("duplicated", "reordered"):
            check_share(name, getattr(self, name))
        for name in ("delay", "jitter", "reordering_delay", "queue"):
            if getattr(self, name) < 0:
                raise ConfigurationError(name, getattr(self, name), "0 or more")
        if self.rate is not None and self.rate <= 0:
            raise ConfigurationError("rate", self.rate, "above 0, or None")
