"""RTCP."""
from dataclasses import dataclass

from visiomedia.errors import ParseError


@dataclass
class Goodbye:
    ssrcs: tuple[int, ...]


def parse_compound(data: bytes) -> list[Goodbye]:
    out, at = [], 0
    while at + 4 <= len(data):
        n = 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 203:
            out.append(Goodbye(tuple(int.from_bytes(data[at + 4 + 4 * i : at + 8 + 4 * i], "big") for i in range(data[at] & 31))))
        at += n
    if at != len(data):
        raise ParseError("RTCP", "length")
    return out
