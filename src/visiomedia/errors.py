"""The tree of errors. Fields first; the message is made from the fields."""


class VisiomediaError(Exception):
    """Root of every error this library raises on purpose."""


class ParseError(VisiomediaError):
    """Bytes from the network are not what their protocol says they must be."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.what = what
        self.reason = reason


class AuthenticationError(VisiomediaError):
    """A message's integrity, a certificate's fingerprint or a replay check failed."""


class NegotiationError(VisiomediaError):
    """Two descriptions have nothing in common, or an answer does not fit its offer."""


class InvalidStateError(VisiomediaError):
    """The caller asked for something that the object's state does not allow."""


class ConfigurationError(VisiomediaError):
    """A setting has a value that cannot work. Names the setting, what it got and what it wants."""

    def __init__(self, setting: str, got: object, wanted: str) -> None:
        super().__init__(f"{setting}: got {got!r}, wants {wanted}")
        self.setting = setting
        self.got = got
        self.wanted = wanted


class CapacityError(VisiomediaError):
    """A table or buffer of a fixed size is full. Names it, its capacity and the capacity's unit."""

    def __init__(self, table: str, capacity: int, unit: str = "rows") -> None:
        super().__init__(f"{table} is full: {capacity} {unit}")
        self.table = table
        self.capacity = capacity
        self.unit = unit
