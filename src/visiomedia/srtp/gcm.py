"""AES-GCM over raw memory, for kernels: one packet's nonce, opening and sealing in pieces (RFC 7714)."""

from typing import Any

import numpy as np

from visiomedia.jit import Integer, subroutine
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

# Arguments of C functions pass through int: without a compiler ctypes takes nothing else.

TAG = 16

IV_OFFSET = 0
LENGTH_OFFSET = 16
SPILL_OFFSET = 32
"""Of scratch: the nonce; an int that C functions write lengths to; where EVP's final call writes nothing
to."""


@subroutine
def write_iv(scratch: Any, salt: Any, ssrc: Integer, index: Integer) -> None:
    """A packet's nonce into scratch.

    RFC 7714 section 8.1: 16 bits of zero, SSRC, rollover counter and sequence number, XOR the salt. Section
    9.1: of SRTCP zeros, SSRC, zeros and the 31-bit index, which is the same of an index of 48 bits.
    """
    for i in range(12):
        scratch[IV_OFFSET + i] = salt[i]
    for i in range(4):
        scratch[IV_OFFSET + 2 + i] ^= np.uint8((ssrc >> (24 - 8 * i)) & 0xFF)
    for i in range(6):
        scratch[IV_OFFSET + 6 + i] ^= np.uint8((index >> (40 - 8 * i)) & 0xFF)


@subroutine
def begin_opening(context: Integer, workspace: Integer, tag: Integer) -> bool:
    """Start on a packet whose nonce is in scratch and whose tag is at an address."""
    if decrypt_init(int(context), 0, 0, 0, int(workspace) + IV_OFFSET) != 1:
        return False
    return bool(cipher_control(int(context), GCM_SET_TAG, TAG, int(tag)) == 1)


@subroutine
def authenticate_opening(context: Integer, workspace: Integer, data: Integer, length: Integer) -> bool:
    """Take in bytes that stay clear."""
    return bool(decrypt_update(int(context), 0, int(workspace) + LENGTH_OFFSET, int(data), int(length)) == 1)


@subroutine
def finish_opening(context: Integer, workspace: Integer, data: Integer, length: Integer, out: Integer) -> bool:
    """Decrypt to ``out``, which may be where the data is; whether the tag is right."""
    if (
        length > 0
        and decrypt_update(int(context), int(out), int(workspace) + LENGTH_OFFSET, int(data), int(length)) != 1
    ):
        return False
    return bool(decrypt_final(int(context), int(workspace) + SPILL_OFFSET, int(workspace) + LENGTH_OFFSET) == 1)


@subroutine
def begin_sealing(context: Integer, workspace: Integer) -> bool:
    """Start on a packet whose nonce is in scratch."""
    return bool(encrypt_init(int(context), 0, 0, 0, int(workspace) + IV_OFFSET) == 1)


@subroutine
def authenticate_sealing(context: Integer, workspace: Integer, data: Integer, length: Integer) -> bool:
    """Take in bytes that stay clear."""
    return bool(encrypt_update(int(context), 0, int(workspace) + LENGTH_OFFSET, int(data), int(length)) == 1)


@subroutine
def encrypt_piece(context: Integer, workspace: Integer, data: Integer, length: Integer, out: Integer) -> bool:
    """Encrypt what comes next to ``out``, which may be where the data is."""
    if length <= 0:
        return True
    return bool(encrypt_update(int(context), int(out), int(workspace) + LENGTH_OFFSET, int(data), int(length)) == 1)


@subroutine
def finish_sealing(context: Integer, workspace: Integer, tag: Integer) -> bool:
    """Write the tag to an address."""
    if encrypt_final(int(context), int(workspace) + SPILL_OFFSET, int(workspace) + LENGTH_OFFSET) != 1:
        return False
    return bool(cipher_control(int(context), GCM_GET_TAG, TAG, int(tag)) == 1)
