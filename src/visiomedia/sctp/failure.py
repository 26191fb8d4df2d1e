"""What ends an association from within."""

from visiomedia.sctp.parameters import CauseCode


class AssociationFailed(Exception):  # noqa: N818  # it never leaves the floor: the engine turns it into an event
    """Raised where the reason is found, caught at the engine's doors. With a ``code`` the peer is sent an ABORT."""

    def __init__(self, reason: str, code: CauseCode | None = None, info: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.info = info
