"""Identifiers of rooms, participants and tracks: a prefix that names the kind, and twelve random characters."""

from collections.abc import Callable

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
"""Without those that people confuse."""

LENGTH = 12


def new_identifier(prefix: str, entropy: Callable[[int], bytes]) -> str:
    """``prefix`` and twelve characters: 70 of 128 random bits, so that the remainder favours none."""
    number = int.from_bytes(entropy(16), "big")
    characters = []
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[digit])
    return prefix + "".join(characters)
