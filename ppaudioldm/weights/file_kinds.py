"""What a file is that was given as a checkpoint and is none, by its first bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from ppaudioldm.storage.regular import open_regular

HEAD_BYTES = 1024

LFS_POINTER = (
    "a pointer of Git LFS, not the file that it stands for: fetch that with `git lfs pull`, or download it again"
)
LFS_SIGNATURE = b"version https://git-lfs.github.com/spec/"
# The first bytes of a file -> what it is.
SIGNATURES: dict[bytes, str] = {
    LFS_SIGNATURE: LFS_POINTER,
    b"GGUF": "a GGUF file of llama.cpp",
    b"\x89HDF": "an HDF5 file",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"RIFF": "a recording or video (RIFF)",
    b"fLaC": "a FLAC recording",
    b"OggS": "an Ogg recording",
    b"ID3": "an MP3 recording",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip archive: unpack it, and give the checkpoint in it",
    b"BZh": "a bzip2 archive: unpack it, and give the checkpoint in it",
    b"\xfd7zXZ": "an xz archive: unpack it, and give the checkpoint in it",
    b"7z\xbc\xaf": "a 7z archive: unpack it, and give the checkpoint in it",
    b"Rar!": "a RAR archive: unpack it, and give the checkpoint in it",
    b"\x93NUMPY": "a NumPy array",
    b"\x7fELF": "a program",
    b"PK\x05\x06": "an empty zip archive",
}
_TAR = (257, b"ustar")  # offset and bytes
_HTML = re.compile(rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body)", re.IGNORECASE | re.DOTALL)


def kind_of(head: bytes) -> str | None:
    """What a file that begins with `head` is; None where that may be a checkpoint."""
    if not head:
        return "an empty file"
    for signature, kind in SIGNATURES.items():
        if head.startswith(signature):
            return kind
    if head[_TAR[0] :].startswith(_TAR[1]):
        return "a tar archive: unpack it, and give the checkpoint in it"
    if _HTML.match(head):
        return "an HTML page, not a checkpoint: a web server answered the download with it"
    if head.lstrip()[:1] in (b"{", b"["):
        if b"_class_name" in head and b"Pipeline" in head:
            return "the model_index.json of a diffusers folder: give the folder"
        return "a JSON file, not a checkpoint"
    if not head.strip(b"\0"):
        return "a file of zeros: its download was interrupted"
    if _is_text(head):
        return "a text file, not a checkpoint"
    return None


def _is_text(head: bytes) -> bool:
    """Whether all of `head` is printable ASCII; a safetensors file begins with a length in binary."""
    return all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)


def is_safetensors(head: bytes) -> bool:
    """Whether a file that begins with `head` looks like safetensors: the length of a JSON header, and that header."""
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 40


def is_zip(head: bytes) -> bool:
    """Whether a file that begins with `head` is a zip archive, as `torch.save` writes."""
    return head.startswith(b"PK\x03\x04")


def is_lfs_pointer(path: Path) -> bool:
    """Whether the file at `path` is a pointer that a clone without Git LFS leaves in place of a file."""
    with open_regular(path) as file:
        return file.read(len(LFS_SIGNATURE)) == LFS_SIGNATURE


def check_kind(file: BinaryIO) -> bytes:
    """The first bytes of `file`, which is left at its start. Raises ValueError, saying what the file is, where that is
    no checkpoint."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if not is_safetensors(head) and (kind := kind_of(head)):
        raise ValueError(kind)
    return head
