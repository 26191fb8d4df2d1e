"""Why a conference refuses what it was asked."""

from enum import Enum

from visiomedia.errors import VisiomediaError


class Refusal(Enum):
    """What stands in the way."""

    NOT_ALLOWED = "the grants do not cover it"
    NOT_FOUND = "there is no such thing"
    LIMIT_EXCEEDED = "a limit is reached"
    DUPLICATE = "it is there already"
    UNSUPPORTED = "it cannot be done here"


class RefusedError(VisiomediaError):
    """The room stays as it was."""

    def __init__(self, refusal: Refusal, what: str) -> None:
        super().__init__(f"{what}: {refusal.value}")
        self.refusal = refusal
        self.what = what
