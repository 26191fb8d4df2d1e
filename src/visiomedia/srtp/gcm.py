"""AES-GCM over raw memory, for kernels: one packet's nonce, opening and sealing in pieces (RFC 7714)."""

from typing import Any

import numpy as np

from visiomedia.jit import subroutine
from visiomedia.srtp.crypto import (
    GCM_GET_TAG,
    GCM_SET_TAG,
    cipher_control,
    decrypt_final,
    decrypt_init,
    decrypt_update,
    encrypt_final,
    encrypt_init,
    encrypt_update,
)

TAG = 16

IV_OFFSET = 0
LENGTH_OFFSET = 16
SPILL_OFFSET = 32
"""Of scratch: the nonce; an int that C functions write lengths to; where EVP's final call writes nothing to."""


@subroutine
def address_of(array: Any) -> int:
    """Where an array's bytes begin."""
    return np.int64(array.ctypes.data)


@subroutine
def write_iv(scratch: Any, salt: Any, ssrc: int, index: int) -> None:
    """A packet's nonce into scratch.

    RFC 7714 section 8.1: 16 bits of zero, SSRC, rollover counter and sequence number, XOR the salt. Section 9.1:
    of SRTCP zeros, SSRC, zeros and the 31-bit index; which is the same where the index is that number of 48 bits.
    """
    for i in range(12):
        scratch[IV_OFFSET + i] = salt[i]
    for i in range(4):
        scratch[IV_OFFSET + 2 + i] ^= np.uint8((ssrc >> (24 - 8 * i)) & 0xFF)
    for i in range(6):
        scratch[IV_OFFSET + 6 + i] ^= np.uint8((index >> (40 - 8 * i)) & 0xFF)


@subroutine
def begin_opening(context: int, workspace: int, tag: int) -> bool:
    """Start on a packet whose nonce is in scratch and whose tag is at an address."""
    if decrypt_init(context, 0, 0, 0, workspace + IV_OFFSET) != 1:
        return False
    return bool(cipher_control(context, GCM_SET_TAG, TAG, tag) == 1)


@subroutine
def authenticate_opening(context: int, workspace: int, data: int, length: int) -> bool:
    """Take in bytes that stay clear."""
    return bool(decrypt_update(context, 0, workspace + LENGTH_OFFSET, data, length) == 1)


@subroutine
def finish_opening(context: int, workspace: int, data: int, length: int, out: int) -> bool:
    """Decrypt to ``out``, which may be where the data is; whether the tag is right."""
    if length > 0 and decrypt_update(context, out, workspace + LENGTH_OFFSET, data, length) != 1:
        return False
    return bool(decrypt_final(context, workspace + SPILL_OFFSET, workspace + LENGTH_OFFSET) == 1)


@subroutine
def begin_sealing(context: int, workspace: int) -> bool:
    """Start on a packet whose nonce is in scratch."""
    return bool(encrypt_init(context, 0, 0, 0, workspace + IV_OFFSET) == 1)


@subroutine
def authenticate_sealing(context: int, workspace: int, data: int, length: int) -> bool:
    """Take in bytes that stay clear."""
    return bool(encrypt_update(context, 0, workspace + LENGTH_OFFSET, data, length) == 1)


@subroutine
def encrypt_piece(context: int, workspace: int, data: int, length: int, out: int) -> bool:
    """Encrypt what comes next to ``out``, which may be where the data is."""
    if length <= 0:
        return True
    return bool(encrypt_update(context, out, workspace + LENGTH_OFFSET, data, length) == 1)


@subroutine
def finish_sealing(context: int, workspace: int, tag: int) -> bool:
    """Write the tag to an address."""
    if encrypt_final(context, workspace + SPILL_OFFSET, workspace + LENGTH_OFFSET) != 1:
        return False
    return bool(cipher_control(context, GCM_GET_TAG, TAG, tag) == 1)
