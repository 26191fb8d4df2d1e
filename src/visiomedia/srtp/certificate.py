"""The certificate we show in DTLS, and fingerprints as SDP carries them (RFC 8122, RFC 8827 section 6.5)."""

import datetime
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from visiomedia.errors import ParseError

_DIGESTS = {"sha-512": "sha512", "sha-384": "sha384", "sha-256": "sha256", "sha-1": "sha1"}
"""Hash functions by their SDP name, strongest first."""

_HEXADECIMAL_PAIRS = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*")

VALIDITY = datetime.timedelta(days=365)
CLOCK_SKEW = datetime.timedelta(days=1)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A certificate's hash: ``algorithm`` in lower case, as SDP names it; ``digest`` its bytes."""

    algorithm: str
    digest: bytes

    @classmethod
    def parse(cls, value: str) -> "Fingerprint":
        """From the value of an ``a=fingerprint`` attribute.

        Raises:
            ParseError: not two words, not hexadecimal pairs, or of a length that its hash function does not
            have.
        """
        words = value.split()
        if len(words) != 2 or not _HEXADECIMAL_PAIRS.fullmatch(words[1]):
            raise ParseError("fingerprint", "not a hash function and hexadecimal pairs")
        # RFC 8122 section 5: hash-func is a token compared without case; unknown ones are kept, and never
        # match.
        algorithm, digest = words[0].lower(), bytes.fromhex(words[1].replace(":", ""))
        name = _DIGESTS.get(algorithm)
        if name is not None and len(digest) != hashlib.new(name, usedforsecurity=False).digest_size:
            raise ParseError("fingerprint", f"{len(digest)} bytes are not a {algorithm}")
        return cls(algorithm, digest)

    def serialize(self) -> str:
        """The value of an ``a=fingerprint`` attribute: upper-case hexadecimal (RFC 8122 section 5)."""
        return f"{self.algorithm} {self.digest.hex(':').upper()}"

    @classmethod
    def of(cls, certificate_der: bytes, algorithm: str = "sha-256") -> "Fingerprint":
        """The fingerprint of a certificate in DER."""
        return cls(algorithm, hashlib.new(_DIGESTS[algorithm], certificate_der, usedforsecurity=False).digest())


def matches_fingerprints(certificate_der: bytes, expected: Sequence[Fingerprint]) -> bool:
    """Whether a certificate is one of those a description promised. False when none of the hashes is known.

    RFC 8122 section 5.1: of the hash functions offered the strongest decides, and one fingerprint of it must
    match (there may be several certificates, each with several hashes).
    """
    offered = {fingerprint.algorithm for fingerprint in expected}
    strongest = next((algorithm for algorithm in _DIGESTS if algorithm in offered), None)
    if strongest is None:
        return False
    actual = Fingerprint.of(certificate_der, strongest)
    return any(
        fingerprint.algorithm == strongest and hmac.compare_digest(fingerprint.digest, actual.digest)
        for fingerprint in expected
    )


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """A certificate with its private key. Nobody's name is in it: peers know it by its fingerprint."""

    private_key: PrivateKey
    certificate: x509.Certificate

    @classmethod
    def generate(cls, now: datetime.datetime | None = None) -> "Certificate":
        """A new self-signed ECDSA P-256 certificate, valid for a year (RFC 8827 section 6.5). ``now``:
        aware."""
        moment = datetime.datetime.now(datetime.UTC) if now is None else now
        private_key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "WebRTC")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment - CLOCK_SKEW)
            .not_valid_after(moment + VALIDITY)
            .sign(private_key, hashes.SHA256())
        )
        return cls(private_key, certificate)

    @property
    def der(self) -> bytes:
        """The certificate as it goes over the wire."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def fingerprint(self) -> Fingerprint:
        """Its SHA-256, for our description."""
        return Fingerprint.of(self.der)
