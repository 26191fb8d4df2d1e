"""Where the kernels' cryptography comes from: OpenSSL's EVP for AES-GCM, libsrtp for AES-CM with HMAC-SHA1.

libsrtp is pylibsrtp's, by the addresses that its binding gives. EVP is looked for first in pylibsrtp's own
extension, which has an OpenSSL inside, then in the system's libcrypto; where there is neither, libsrtp does
AES-GCM as well. Several OpenSSLs may live in one process: functions are taken by address and known to kernels
by private names.
"""

import ctypes
import ctypes.util
from collections.abc import Callable, Iterator, Sequence
from ctypes import c_char_p, c_int, c_void_p
from dataclasses import dataclass, field
from typing import Any

import pylibsrtp
from pylibsrtp import _binding

from visiomedia.errors import ConfigurationError, InvalidStateError
from visiomedia.jit import external
from visiomedia.srtp.key_derivation import MasterKey, TransformKeys, derive_rtcp_keys, derive_rtp_keys
from visiomedia.srtp.profiles import ProtectionProfile
from visiomedia.srtp.session import make_libsrtp_session
from visiomedia.srtp.tables import Cipher

GCM_SET_IV_LENGTH = 0x9
GCM_GET_TAG = 0x10
GCM_SET_TAG = 0x11
"""EVP_CTRL_AEAD_*, part of OpenSSL's ABI since 1.0.1."""

_GCM_IV = 12
_INIT = ("i4", "u8", "u8", "u8", "u8", "u8")
_UPDATE = ("i4", "u8", "u8", "u8", "u8", "i4")
_FINAL = ("i4", "u8", "u8", "u8")
_EVP_FUNCTIONS = {
    "EVP_EncryptInit_ex": _INIT,
    "EVP_EncryptUpdate": _UPDATE,
    "EVP_EncryptFinal_ex": _FINAL,
    "EVP_DecryptInit_ex": _INIT,
    "EVP_DecryptUpdate": _UPDATE,
    "EVP_DecryptFinal_ex": _FINAL,
    "EVP_CIPHER_CTX_ctrl": ("i4", "u8", "i4", "i4", "u8"),
    "SHA1": ("u8", "u8", "u8", "u8"),
}
_EVP_FROM_PYTHON: dict[str, tuple[Any, list[Any]]] = {
    "EVP_CIPHER_CTX_new": (c_void_p, []),
    "EVP_CIPHER_CTX_free": (None, [c_void_p]),
    "EVP_CIPHER_CTX_ctrl": (c_int, [c_void_p, c_int, c_int, c_void_p]),
    "EVP_aes_128_gcm": (c_void_p, []),
    "EVP_aes_256_gcm": (c_void_p, []),
    "EVP_EncryptInit_ex": (c_int, [c_void_p, c_void_p, c_void_p, c_char_p, c_char_p]),
    "EVP_DecryptInit_ex": (c_int, [c_void_p, c_void_p, c_void_p, c_char_p, c_char_p]),
}


def _libraries() -> Iterator[str]:
    """Where EVP may be, best first."""
    yield _binding.__file__
    system = ctypes.util.find_library("crypto")
    if system is not None:
        yield system


def _find_evp() -> tuple[str, ctypes.CDLL] | None:
    """The first library that has every EVP function wanted, with its name."""
    for name in _libraries():
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        if not all(hasattr(library, symbol) for symbol in (*_EVP_FUNCTIONS, *_EVP_FROM_PYTHON)):
            continue
        for symbol, (result, arguments) in _EVP_FROM_PYTHON.items():
            function = getattr(library, symbol)
            function.restype, function.argtypes = result, arguments
        return name, library
    return None


def _libsrtp_address(symbol: str) -> int:
    return int(_binding.ffi.cast("uintptr_t", _binding.ffi.addressof(_binding.lib, symbol)))


_EVP = _find_evp()


def _evp_address(symbol: str) -> int:
    """A function's address. Without EVP any will do that can be linked: no session then asks for AES_GCM."""
    if _EVP is None:
        return _libsrtp_address("srtp_protect")
    address = ctypes.cast(getattr(_EVP[1], symbol), c_void_p).value
    assert address is not None, "a library's function has an address"
    return address


def _evp(symbol: str) -> Callable[..., int]:
    result, *arguments = _EVP_FUNCTIONS[symbol]
    return external(f"visiomedia_{symbol}", result, *arguments, address=_evp_address(symbol))


def _libsrtp(symbol: str, *arguments: str) -> Callable[..., int]:
    return external(f"visiomedia_{symbol}", "i4", *arguments, address=_libsrtp_address(symbol))


encrypt_init = _evp("EVP_EncryptInit_ex")
encrypt_update = _evp("EVP_EncryptUpdate")
encrypt_final = _evp("EVP_EncryptFinal_ex")
decrypt_init = _evp("EVP_DecryptInit_ex")
decrypt_update = _evp("EVP_DecryptUpdate")
decrypt_final = _evp("EVP_DecryptFinal_ex")
cipher_control = _evp("EVP_CIPHER_CTX_ctrl")
sha1 = _evp("SHA1")
"""(data, length, where 20 bytes go): for what STUN's integrity is made of, and nothing else."""

libsrtp_protect = _libsrtp("srtp_protect", "u8", "u8", "u8")
libsrtp_unprotect = _libsrtp("srtp_unprotect", "u8", "u8", "u8")
libsrtp_protect_rtcp = _libsrtp("srtp_protect_rtcp", "u8", "u8", "u8")
libsrtp_unprotect_rtcp = _libsrtp("srtp_unprotect_rtcp", "u8", "u8", "u8")
libsrtp_remove_stream = _libsrtp("srtp_remove_stream", "u8", "u4")


def native_available() -> bool:
    """Whether AES-GCM runs by EVP, at a third of libsrtp's cost."""
    return _EVP is not None


def evp_library() -> str | None:
    """The file that EVP comes from, for reports."""
    return None if _EVP is None else _EVP[0]


@dataclass(slots=True, eq=False)
class KeyMaterial:
    """What is behind one pointer of a SESSION row. ``session``: libsrtp's, kept. ``rtcp_sent``: by SSRC,
    for references of libsrtp, which counts SRTCP indices by SSRC from 1."""

    profile: ProtectionProfile
    keys: TransformKeys
    session: pylibsrtp.Session | None
    rtcp_sent: dict[int, int] = field(default_factory=dict)


KEY_MATERIAL: dict[int, KeyMaterial] = {}
"""By pointer, from ``make_session_keys`` to ``free``: a reference cannot look behind a pointer as a kernel
does."""


@dataclass(slots=True, eq=False)
class SessionKeys:
    """What SET_KEYS gives to a transport, and what lies behind it until ``free``.

    ``pointers`` and ``salts``: receive RTP, receive RTCP, send RTP, send RTCP. The pointers are EVP contexts
    or libsrtp sessions; they are used by one thread at a time, the turn's.
    """

    profile: ProtectionProfile
    cipher: Cipher
    pointers: tuple[int, ...]
    salts: tuple[bytes, ...] = field(repr=False)
    _is_freed: bool = field(default=False, repr=False)

    def command_values(self) -> tuple[int, ...]:
        """The values of SET_KEYS: cipher and four pointers."""
        assert not self._is_freed, "keys are used after free"
        return (int(self.cipher), *self.pointers)

    def command_body(self) -> bytes:
        """The body of SET_KEYS: four salts of 12 bytes; zeros where libsrtp has them."""
        return b"".join(self.salts)

    def free(self) -> None:
        """Give the contexts back. Only after the turn has acknowledged that the transport's row is clear."""
        if self._is_freed:
            return
        self._is_freed = True
        for pointer in self.pointers:
            del KEY_MATERIAL[pointer]
            if self.cipher is Cipher.AES_GCM:
                _free_context(pointer)


def make_session_keys(
    profile: ProtectionProfile,
    local_key: bytes,
    local_salt: bytes,
    remote_key: bytes,
    remote_salt: bytes,
    *,
    is_portable: bool = False,
) -> SessionKeys:
    """Derive session keys and make their contexts. Master keys as ``HandshakeCompleted`` has them.

    ``is_portable``: take libsrtp though EVP is there.

    Raises:
        ConfigurationError: a key or salt is not of the profile's length.
    """
    local, remote = MasterKey(local_key, local_salt), MasterKey(remote_key, remote_salt)
    for master in (local, remote):
        if (len(master.key), len(master.salt)) != (profile.lengths.key, profile.lengths.salt):
            got = f"{len(master.key)} and {len(master.salt)} bytes"
            wanted = f"{profile.lengths.key} and {profile.lengths.salt} for {profile.name}"
            raise ConfigurationError("master key and salt", got, wanted)
    transforms = (
        derive_rtp_keys(profile, remote),
        derive_rtcp_keys(profile, remote),
        derive_rtp_keys(profile, local),
        derive_rtcp_keys(profile, local),
    )
    if profile.is_aead and native_available() and not is_portable:
        return make_evp_keys(profile, transforms)
    # One session for each pointer: what RTCP's senders do must not touch the state of RTP's.
    sessions = tuple(
        make_libsrtp_session(profile, master.key, master.salt, is_inbound=is_inbound)
        for master, is_inbound in ((remote, True), (remote, True), (local, False), (local, False))
    )
    cipher = Cipher.LIBSRTP_GCM if profile.is_aead else Cipher.LIBSRTP
    pointers = tuple(_libsrtp_pointer(session) for session in sessions)
    for pointer, transform, session in zip(pointers, transforms, sessions, strict=True):
        KEY_MATERIAL[pointer] = KeyMaterial(profile, transform, session)
    return SessionKeys(profile, cipher, pointers, (bytes(12),) * 4)


def make_evp_keys(profile: ProtectionProfile, transforms: Sequence[TransformKeys]) -> SessionKeys:
    """Contexts for session keys that are known already: receive RTP, receive RTCP, send RTP, send RTCP.

    Raises:
        InvalidStateError: there is no EVP.
    """
    if not native_available():
        raise InvalidStateError("no library here has OpenSSL's EVP")
    pointers = tuple(_make_context(transform, is_encrypting=i >= 2) for i, transform in enumerate(transforms))
    for pointer, transform in zip(pointers, transforms, strict=True):
        KEY_MATERIAL[pointer] = KeyMaterial(profile, transform, None)
    return SessionKeys(profile, Cipher.AES_GCM, pointers, tuple(transform.salt for transform in transforms))


def _libsrtp_pointer(session: Any) -> int:
    """The srtp_t inside a session of pylibsrtp."""
    return int(_binding.ffi.cast("uintptr_t", session._srtp[0]))


def _make_context(transform: TransformKeys, *, is_encrypting: bool) -> int:
    """An EVP context with cipher, key and IV length set; each packet sets its IV."""
    assert _EVP is not None, "only asked for where EVP is"
    library = _EVP[1]
    initialize = library.EVP_EncryptInit_ex if is_encrypting else library.EVP_DecryptInit_ex
    make_cipher = library.EVP_aes_128_gcm if len(transform.key) == 16 else library.EVP_aes_256_gcm
    context: int | None = library.EVP_CIPHER_CTX_new()
    if context is None:
        raise MemoryError("no memory for an EVP context")
    done = initialize(context, make_cipher(), None, None, None) == 1
    done = done and library.EVP_CIPHER_CTX_ctrl(context, GCM_SET_IV_LENGTH, _GCM_IV, None) == 1
    done = done and initialize(context, None, None, transform.key, None) == 1
    if not done:
        _free_context(context)
        raise MemoryError("OpenSSL refuses AES-GCM")
    return context


def _free_context(context: int) -> None:
    assert _EVP is not None, "made by it"
    _EVP[1].EVP_CIPHER_CTX_free(context)
