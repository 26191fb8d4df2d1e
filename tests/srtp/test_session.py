"""One peer's SRTP through libsrtp."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.errors import AuthenticationError, ParseError
from visiomedia.srtp.profiles import ProtectionProfile
from visiomedia.srtp.session import SrtpSession

RTCP = bytes.fromhex("80c9000100001234")


def pair(profile: ProtectionProfile) -> tuple[SrtpSession, SrtpSession]:
    key, salt = profile.lengths.key, profile.lengths.salt
    one, other = (b"1" * key, b"2" * salt), (b"3" * key, b"4" * salt)
    return SrtpSession(profile, *one, *other), SrtpSession(profile, *other, *one)


def rtp(sequence_number: int) -> bytes:
    return b"\x80\x60" + sequence_number.to_bytes(2, "big") + bytes(4) + b"\0\0\x12\x34" + b"payload"


@pytest.mark.parametrize("profile", list(ProtectionProfile))
def test_what_one_side_seals_the_other_opens(profile: ProtectionProfile) -> None:
    ours, theirs = pair(profile)
    for sequence_number in (65534, 65535, 0, 1):
        sealed = ours.protect(rtp(sequence_number))
        assert len(sealed) == len(rtp(0)) + profile.lengths.tag
        assert theirs.unprotect(sealed) == rtp(sequence_number)
    sealed = theirs.protect_rtcp(RTCP)
    assert len(sealed) == len(RTCP) + profile.lengths.tag + 4
    assert ours.unprotect_rtcp(sealed) == RTCP


@pytest.mark.parametrize("profile", list(ProtectionProfile))
def test_replayed_forged_and_old_packets_do_not_authenticate(profile: ProtectionProfile) -> None:
    ours, theirs = pair(profile)
    sealed = [ours.protect(rtp(number)) for number in range(2100)]
    theirs.unprotect(sealed[2099])
    for packet in (sealed[2099], sealed[0], sealed[2000][:-1] + bytes([sealed[2000][-1] ^ 1])):
        with pytest.raises(AuthenticationError):
            theirs.unprotect(packet)
    theirs.unprotect(sealed[2099 - 2000])
    control = ours.protect_rtcp(RTCP)
    theirs.unprotect_rtcp(control)
    with pytest.raises(AuthenticationError):
        theirs.unprotect_rtcp(control)


def test_an_index_is_not_sealed_twice() -> None:
    ours, _ = pair(ProtectionProfile.AEAD_AES_128_GCM)
    ours.protect(rtp(7))
    with pytest.raises(AuthenticationError):
        ours.protect(rtp(7))


@given(st.binary(max_size=1600))
def test_any_bytes_are_refused_with_an_error_of_the_tree(data: bytes) -> None:
    ours, _ = pair(ProtectionProfile.AEAD_AES_128_GCM)
    for function in (ours.unprotect, ours.unprotect_rtcp):
        with pytest.raises((ParseError, AuthenticationError)):
            function(data)
