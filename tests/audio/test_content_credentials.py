"""Content Credentials: signed offline with a certificate of one's own, read back by c2pa's reader."""

from __future__ import annotations

import datetime
import io
import json

import c2pa
import numpy as np
import pytest
import soundfile
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ppaudioldm.audio.tagging.content_credentials import MEDIA_TYPES, Signer
from ppaudioldm.audio.tagging.files import tags_in
from ppaudioldm.audio.tagging.xmp import COMPOSITE, GENERATED
from ppaudioldm.cli import main
from ppaudioldm.generation.clip import Clip
from ppaudioldm.generation.provenance import Provenance, Source
from tests.tasks.examples import sound
from tests.test_cli import failure

EXTENSIONS = {"WAV": ".wav", "FLAC": ".flac", "MP3": ".mp3"}
USAGES = (
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "encipher_only",
    "decipher_only",
)


def certificate(name: str, key, issuer: str, issuer_key, is_authority: bool) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(oid, text) for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)])

    now = datetime.datetime.now(datetime.timezone.utc)
    usage = {**dict.fromkeys(USAGES, False), "digital_signature": not is_authority}
    builder = (
        x509.CertificateBuilder(named(issuer), named(name), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(is_authority, None), True)
        .add_extension(x509.KeyUsage(**usage, key_cert_sign=is_authority, crl_sign=is_authority), True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    if not is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return builder.sign(issuer_key, hashes.SHA256())


def write_certificates(folder):
    """chain.pem, a chain of certificates, and key.pem, the key of the first, in `folder`."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    chain = [
        certificate("Someone", key, "Root", root_key, False),
        certificate("Root", root_key, "Root", root_key, True),
    ]
    (folder / "chain.pem").write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A certificate chain and its key."""
    folder = tmp_path_factory.mktemp("keys")
    write_certificates(folder)
    return folder / "chain.pem", folder / "key.pem"


@pytest.mark.parametrize("container", MEDIA_TYPES)
@pytest.mark.parametrize("is_composite", [False, True])
def test_the_reader_of_c2pa_finds_them(tmp_path, files, container, is_composite):
    made = Provenance(Source("tiny", "Apache-2.0"), {"prompt": "x", "seed": 1}, is_composite)
    clip = Clip(sound(0.3).T, 16000, ("x",), (1,), provenance=(made,))
    plain, signed = tmp_path / f"a{EXTENSIONS[container]}", tmp_path / f"b{EXTENSIONS[container]}"
    clip.save(plain)
    clip.save(signed, signer=Signer(*files))
    content = signed.read_bytes()
    reader = c2pa.Reader(MEDIA_TYPES[container], io.BytesIO(content))
    assert reader.get_validation_state() in ("Valid", "Trusted")
    manifest = json.dumps(reader.get_active_manifest())
    assert (COMPOSITE if is_composite else GENERATED) in manifest and "ppaudioldm" in manifest
    assert str(tmp_path) not in manifest
    np.testing.assert_array_equal(soundfile.read(signed)[0], soundfile.read(plain)[0])
    assert tags_in(io.BytesIO(content)) == tags_in(io.BytesIO(plain.read_bytes())) != {}
    damaged = bytearray(content)
    damaged[len(content) // 2 if container == "WAV" else -10] ^= 1
    assert c2pa.Reader(MEDIA_TYPES[container], io.BytesIO(bytes(damaged))).get_validation_state() == "Invalid"


def test_on_the_command_line(tmp_path, capsys, files):
    path = tmp_path / "x.wav"
    chain, key = map(str, files)
    sign = ["--c2pa-certificate", chain, "--c2pa-key", key]
    base = ["generate", "rain", "-c", "untrained", "-d", "0.3", "--steps", "1", "-o"]
    assert main([*base, str(path), *sign, "--no-tags"]) == 0
    assert c2pa.Reader("audio/wav", io.BytesIO(path.read_bytes())).get_validation_state() in ("Valid", "Trusted")
    (tmp_path / "no.pem").write_text("no key")
    capsys.readouterr()
    for arguments, message in (
        ([str(tmp_path / "x.ogg"), *sign], "x.ogg cannot have Content Credentials, allowed: .wav, .flac, .mp3"),
        ([str(path), "--c2pa-key", key], "belong together"),
        ([str(path), "--c2pa-certificate", chain, "--c2pa-key", str(tmp_path / "no.pem")], "is no private key in PEM"),
        ([str(path), "--c2pa-certificate", str(tmp_path / "no.pem"), "--c2pa-key", key], "cannot sign"),
        ([str(path), "--c2pa-certificate", str(tmp_path / "none"), "--c2pa-key", key], "none"),
    ):
        assert message in failure(capsys, *base, *arguments)
    assert not (tmp_path / "x.ogg").exists()
