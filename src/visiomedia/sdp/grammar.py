"""SDP text as lines and sections (RFC 8866 section 5 and 9), with the bounds that hostile text meets first."""

import re
from dataclasses import dataclass

from visiomedia.errors import ParseError

MAX_CHARACTERS = 256 * 1024
MAX_LINES = 20_000
MAX_SECTIONS = 512

_LINE = re.compile("[a-z]=")


@dataclass(frozen=True, slots=True)
class Line:
    """One ``<type>=<value>`` line."""

    kind: str
    value: str

    @property
    def attribute(self) -> tuple[str, str]:
        """Name and value of an ``a=`` line; the value of a flag is empty."""
        name, _, value = self.value.partition(":")
        return name, value

    def serialize(self) -> str:
        """The line without its end."""
        return f"{self.kind}={self.value}"


def parse_lines(text: str) -> list[list[Line]]:
    """The lines of the session, and of each section beginning with its ``m=``.

    Line ends may be CRLF or LF, empty lines are passed over.

    Raises:
        ParseError: too long, no ``v=0`` at the start, or a line that is no ``<type>=<value>``.
    """
    if len(text) > MAX_CHARACTERS:
        raise ParseError("SDP", f"{len(text)} characters, at most {MAX_CHARACTERS}")
    text = text.replace("\r\n", "\n")
    # RFC 8866 section 5: a byte-string may hold any byte but NUL, CR and LF.
    if "\0" in text or "\r" in text:
        raise ParseError("SDP", "NUL or a bare CR in a line")
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        raise ParseError("SDP", f"{len(lines)} lines, at most {MAX_LINES}")
    blocks: list[list[Line]] = [[]]
    for line in lines:
        if not line:
            continue
        if not _LINE.match(line):
            raise ParseError("SDP", f"{line[:40]!r} is no <type>=<value>")
        if line[0] == "m":
            blocks.append([])
        blocks[-1].append(Line(line[0], line[2:]))
    if not blocks[0] or blocks[0][0] != Line("v", "0"):
        raise ParseError("SDP", "does not begin with v=0")
    if len(blocks) - 1 > MAX_SECTIONS:
        raise ParseError("SDP", f"{len(blocks) - 1} sections, at most {MAX_SECTIONS}")
    return blocks


def parse_number(text: str, what: str, most: int = 0xFFFFFFFF) -> int:
    """A decimal number up to ``most``. Raises ParseError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20) or int(text) > most:
        raise ParseError(what, f"{text[:40]!r} is no number up to {most}")
    return int(text)
