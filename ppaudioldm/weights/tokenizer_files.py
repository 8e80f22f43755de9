"""A checkpoint's tokenizers as tokenizer.json texts: from its folder, from the hub, or of bytes for random weights."""

from __future__ import annotations

import json
from pathlib import Path

from ppaudioldm.errors import naming
from ppaudioldm.storage.regular import read_bounded
from ppaudioldm.weights.hub import fetch_file

# Sub-folder beside a checkpoint (as in a diffusers folder), and the public repository that has the same tokenizer.
TOKENIZERS = {
    "clap": ("tokenizer", "FacebookAI/roberta-base"),
    "flan_t5": ("tokenizer_2", "google/flan-t5-large"),
}
SIZE_LIMIT = 64 << 20  # bytes


def folder_of(checkpoint: Path) -> Path:
    """The folder with the tokenizers of `checkpoint`: the checkpoint, or for FILE.pth the folder FILE beside it."""
    return checkpoint if checkpoint.is_dir() else checkpoint.with_suffix("")


def tokenizer_json(kind: str, checkpoint: Path) -> str:
    """The tokenizer.json of `kind`, "clap" or "flan_t5", of the checkpoint at this path. Raises CheckpointError."""
    subfolder, repo = TOKENIZERS[kind]
    path = folder_of(checkpoint) / subfolder / "tokenizer.json"
    if not path.is_file():
        path = fetch_file(repo, "tokenizer.json")
    with naming(path):
        return read_bounded(path, SIZE_LIMIT).decode()


def write_tokenizer(kind: str, folder: Path, text: str) -> None:
    """Write `text` to the place in `folder` where `tokenizer_json` looks for it."""
    subfolder = folder / TOKENIZERS[kind][0]
    subfolder.mkdir(parents=True, exist_ok=True)
    (subfolder / "tokenizer.json").write_text(text, "utf-8")


def byte_tokenizer_json(kind: str) -> str:
    """A byte-level tokenizer with the special tokens of `kind`, for random weights, which need no download."""
    from tokenizers.pre_tokenizers import ByteLevel

    special, template = {
        "clap": (["<s>", "<pad>", "</s>", "<unk>"], ["<s>", None, "</s>"]),
        "flan_t5": (["<pad>", "</s>", "<unk>"], [None, "</s>"]),
    }[kind]
    vocabulary = {token: i for i, token in enumerate([*special, *sorted(ByteLevel.alphabet())])}
    single = [
        {"Sequence": {"id": "A", "type_id": 0}} if token is None else {"SpecialToken": {"id": token, "type_id": 0}}
        for token in template
    ]
    used = [token for token in template if token]
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                {
                    "id": i,
                    "content": token,
                    "single_word": False,
                    "lstrip": False,
                    "rstrip": False,
                    "normalized": False,
                    "special": True,
                }
                for i, token in enumerate(special)
            ],
            "normalizer": None,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": single,
                "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {t: {"id": t, "ids": [vocabulary[t]], "tokens": [t]} for t in used},
            },
            "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", "unk_token": "<unk>", "vocab": vocabulary, "merges": []},
        }
    )
