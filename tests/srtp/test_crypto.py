"""Where cryptography comes from, and what keys become."""

import subprocess
import sys

import pytest

from visiomedia.errors import ConfigurationError
from visiomedia.srtp.crypto import KEY_MATERIAL, evp_library, make_session_keys, native_available
from visiomedia.srtp.profiles import ProtectionProfile
from visiomedia.srtp.tables import Cipher

GCM = ProtectionProfile.AEAD_AES_128_GCM
CM = ProtectionProfile.AES128_CM_SHA1_80


def test_evp_is_found_here() -> None:
    assert native_available()
    assert evp_library()


@pytest.mark.parametrize(
    ("profile", "is_portable", "cipher"),
    [(GCM, False, Cipher.AES_GCM), (GCM, True, Cipher.LIBSRTP_GCM), (CM, False, Cipher.LIBSRTP)],
)
def test_keys_fit_the_command_and_are_gone_once_freed(
    profile: ProtectionProfile, is_portable: bool, cipher: Cipher
) -> None:
    key, salt = profile.lengths.key, profile.lengths.salt
    keys = make_session_keys(profile, b"1" * key, b"2" * salt, b"3" * key, b"4" * salt, is_portable=is_portable)
    values = keys.command_values()
    assert values[0] == cipher
    assert len(set(values[1:])) == 4
    assert all(pointer in KEY_MATERIAL for pointer in values[1:])
    assert len(keys.command_body()) == 48
    assert b"2" * salt not in keys.command_body()
    assert repr(keys.salts) not in repr(keys)
    keys.free()
    keys.free()
    assert not any(pointer in KEY_MATERIAL for pointer in values[1:])


def test_keys_of_another_profile_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        make_session_keys(GCM, bytes(32), bytes(12), bytes(32), bytes(12))
    with pytest.raises(ConfigurationError):
        make_session_keys(CM, bytes(16), bytes(12), bytes(16), bytes(12))


RUN_EXAMPLES = """
import sys
{before}
import hashlib
import numpy as np
from visiomedia.srtp import examples, kernels
from visiomedia.srtp.crypto import native_available
assert native_available() is {has_evp}
for name in ("unprotect", "protect"):
    arguments = getattr(examples, name)(np.random.default_rng(5))
    getattr(kernels, name)(*arguments)
    observed = getattr(examples, "observe_" + name)(arguments)
    print(hashlib.sha256(repr(observed).encode()).hexdigest())
rows, arena, _, _, _, sessions, receive, scratch = examples.unprotect(np.random.default_rng(6))
print(sorted(set(sessions["cipher"].tolist())))
for row in rows[rows.transport >= 0][:60]:
    where = int(row.offset), int(row.length)
    print(kernels.open_unknown(arena, *where, sessions, int(row.transport), scratch))
"""


def run(before: str, has_evp: bool) -> list[str]:
    code = RUN_EXAMPLES.format(before=before, has_evp=has_evp)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_without_numba_and_without_evp_the_same_is_sealed_and_opened() -> None:
    hide_evp = "import ctypes.util, pylibsrtp._binding as binding; binding.__file__ = 'nowhere'\n"
    hide_evp += "ctypes.util.find_library = lambda name: None"
    usual = run("", True)
    assert any(int(length) > 0 for length in usual[3:])
    without_numba, without_evp = run("sys.modules['numba'] = None", True), run(hide_evp, False)
    assert without_numba == usual
    assert usual[2] == "[0, 1, 2, 3]"
    assert without_evp[2] == "[0, 2, 3]"
    # Only the SRTCP indices that libsrtp counts by itself differ.
    assert without_evp[0] == usual[0]
    assert without_evp[3:] == usual[3:]
