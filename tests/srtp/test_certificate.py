"""Certificates and fingerprints."""

import contextlib
import datetime
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from tests.srtp.association import ecdsa_certificate
from visiomedia.errors import ParseError
from visiomedia.srtp.certificate import Certificate, Fingerprint, matches_fingerprints


def test_a_new_certificate_is_p256_and_valid_around_now() -> None:
    now = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
    certificate = Certificate.generate(now)
    assert isinstance(certificate.private_key, ec.EllipticCurvePrivateKey)
    assert certificate.private_key.curve.name == "secp256r1"
    assert certificate.certificate.not_valid_before_utc < now < certificate.certificate.not_valid_after_utc


def test_two_certificates_have_nothing_in_common() -> None:
    assert Certificate.generate().fingerprint != Certificate.generate().fingerprint


def test_fingerprint_is_the_hash_of_the_der_in_upper_case_pairs() -> None:
    certificate = ecdsa_certificate()
    expected = hashlib.sha256(certificate.der).hexdigest().upper()
    text = certificate.fingerprint.serialize()
    assert text.startswith("sha-256 ")
    assert text.removeprefix("sha-256 ").replace(":", "") == expected
    assert text.count(":") == 31


@given(
    st.sampled_from([("sha-1", 20), ("sha-256", 32), ("sha-384", 48), ("sha-512", 64), ("md5", 16)]),
    st.data(),
)
def test_fingerprints_survive_a_round_trip(kind: tuple[str, int], data: st.DataObject) -> None:
    fingerprint = Fingerprint(kind[0], data.draw(st.binary(min_size=kind[1], max_size=kind[1])))
    assert Fingerprint.parse(fingerprint.serialize()) == fingerprint
    assert Fingerprint.parse(fingerprint.serialize().swapcase()) == fingerprint


@pytest.mark.parametrize(
    "text",
    ["", "sha-256", "sha-256 ", "sha-256 AB", "sha-256 " + "AB:" * 32, "sha-1 " + "GG:" * 19 + "GG", "a b c"],
)
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        Fingerprint.parse(text)


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(ParseError):
        Fingerprint.parse(text)


def test_the_strongest_hash_offered_decides() -> None:
    der = ecdsa_certificate().der
    weak, strong = Fingerprint.of(der, "sha-1"), Fingerprint.of(der, "sha-512")
    wrong_strong = Fingerprint("sha-512", bytes(64))
    assert matches_fingerprints(der, [weak])
    assert matches_fingerprints(der, [wrong_strong, weak, strong])
    assert not matches_fingerprints(der, [weak, wrong_strong])
    assert not matches_fingerprints(der, [])
    assert not matches_fingerprints(der, [Fingerprint("md5", hashlib.md5(der).digest())])
