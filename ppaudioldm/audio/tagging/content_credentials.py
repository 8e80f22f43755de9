"""Content Credentials (C2PA): a signed statement in a sound file that it is generated, with a user's own certificate.

c2pa-python, the extra `c2pa`, embeds and signs them; nothing is asked of any server, so there is no time stamp.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from ppaudioldm.audio.formats import format_of
from ppaudioldm.errors import one_line
from ppaudioldm.storage.regular import read_bounded

MEDIA_TYPES = {"WAV": "audio/wav", "FLAC": "audio/flac", "MP3": "audio/mpeg"}  # of libsndfile's containers
EC_ALGORITHMS = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
MOST_BYTES = 1 << 20  # of a certificate or key

Sign = Callable[[bytes, str], bytes]  # (content of a file, libsndfile's container) -> signed content


class Signer:
    """Signs files with the certificate chain and the private key in these PEM files.

    Raises ValueError where they cannot be used or c2pa-python is not installed, OSError where they cannot be read.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        try:
            import c2pa
        except ModuleNotFoundError as error:
            raise ValueError("Content Credentials need c2pa-python: pip install 'ppaudioldm[c2pa]'") from error
        self._c2pa: Any = c2pa
        chain, private_key = read_bounded(certificate, MOST_BYTES), read_bounded(key, MOST_BYTES)
        algorithm = _algorithm(private_key, key)
        try:
            self._signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm.encode(), chain, private_key, None))
            self.signed(_SILENT_WAV, "WAV", "", "")  # so that a wrong certificate is found before any work
        except (c2pa.C2paError, ValueError) as error:
            raise ValueError(f"{certificate} with {key} cannot sign: {one_line(error)}") from error

    def signed(self, content: bytes, container: str, software: str, source_type: str) -> bytes:
        """`content`, a file of that container, with the statement that `software` generated it. Raises ValueError.

        source_type: the IPTC's, an address. The encoded samples stay as they are.
        """
        if container not in MEDIA_TYPES:
            raise ValueError(f"Content Credentials cannot be written to {container}, allowed: {', '.join(MEDIA_TYPES)}")
        name, _, version = software.partition(" ")
        action = {"action": "c2pa.created", "digitalSourceType": source_type}
        manifest = {
            "claim_generator_info": [{"name": name or "unknown", "version": version}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
        }
        signed = BytesIO()
        try:
            self._c2pa.Builder(manifest).sign(self._signer, MEDIA_TYPES[container], BytesIO(content), signed)
        except self._c2pa.C2paError as error:
            raise ValueError(f"Content Credentials cannot be written: {one_line(error)}") from error
        return signed.getvalue()


def check_container(path: Path) -> None:
    """Raise ValueError for a file whose format holds no Content Credentials."""
    container, _ = format_of(path)
    if container not in MEDIA_TYPES:
        raise ValueError(f"{path} cannot have Content Credentials, allowed: .wav, .flac, .mp3")


def _algorithm(private_key: bytes, path: Path) -> str:
    """C2PA's name of the algorithm of a key. Raises ValueError for one that it does not have."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(private_key, password=None)
    except (ValueError, TypeError) as error:  # such as one with a password
        raise ValueError(f"{path} is no private key in PEM without a password: {one_line(error)}") from error
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in EC_ALGORITHMS:
        return EC_ALGORITHMS[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    raise ValueError(f"{path} is a key that C2PA does not know, allowed: EC (P-256, P-384, P-521), Ed25519, RSA")


# One sample at 16 kHz.
_SILENT_WAV = b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80>\0\0\0}\0\0\x02\0\x10\0data\x02\0\0\0\0\0"
