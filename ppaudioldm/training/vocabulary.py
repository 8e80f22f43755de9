"""Training small byte-level BPE tokenizers on the captions of a dataset."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ppaudioldm.errors import CheckpointError, naming
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.storage.documents import json_value
from ppaudioldm.storage.lock import waiting_lock
from ppaudioldm.storage.regular import read_bounded
from ppaudioldm.training.dataset import Dataset, SpokenClips
from ppaudioldm.training.recordings import Recordings
from ppaudioldm.training.tiny import CLIP_SECONDS, VOCABULARY
from ppaudioldm.weights.tokenizer_files import TOKENIZERS, tokenizer_json

logger = logging.getLogger(__name__)

RECORD_FILE = "vocabulary.json"  # beside the tokenizers: what they were trained on
RECORD_BYTES_LIMIT = 1 << 16

# The special tokens of the published tokenizers, with the same ids.
SPECIAL = {"clap": ["<s>", "<pad>", "</s>", "<unk>"], "flan_t5": ["<pad>", "</s>", "<unk>"]}
HAN = r"\p{Han}"  # one Chinese character
TEMPLATE = {"clap": "<s> $A </s>", "flan_t5": "$A </s>"}


def train_tokenizer(kind: str, captions: Iterable[str], size: int = VOCABULARY) -> str:
    """The tokenizer.json for "clap" or "flan_t5" of at most `size` tokens, byte-level BPE.

    Text is lowercased and white space collapsed, so that "A  Bell" and "a bell" are the same. Chinese characters stay
    apart, so that a word has the same tokens in every sentence. The same captions give the same tokenizer.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    special = SPECIAL[kind]
    tokenizer: Any = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(HAN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=True)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    used = [(token, special.index(token)) for token in special if token in TEMPLATE[kind]]
    tokenizer.post_processor = processors.TemplateProcessing(single=TEMPLATE[kind], special_tokens=used)
    return str(tokenizer.to_str())


def sound_captions(per_kind: int = 100, duration: float = CLIP_SECONDS) -> Iterator[str]:
    """Training captions of every kind of sound, and all their words, those of both languages.

    Words that only the held-out captions use do not occur: there are none.
    """
    from ppaudioldm.sounds.clips import captions
    from ppaudioldm.sounds.collection import KINDS, SINGLE_KINDS
    from ppaudioldm.sounds.wording import LANGUAGES, vocabulary

    for kind in KINDS:
        yield from captions(per_kind, (kind,), duration)
    for single in SINGLE_KINDS.values():
        for language in LANGUAGES:
            yield from vocabulary(single.words, language, "train")


def dataset_captions(clips: Dataset) -> Iterator[str]:
    """The captions to train tokenizers for `clips` on: of all recordings, kinds of sound or speakers."""
    if isinstance(clips, SpokenClips):
        from ppaudioldm.sounds.speech.speakers import descriptions

        return iter(descriptions())
    return (caption for _, caption in clips.entries) if isinstance(clips, Recordings) else sound_captions()


def prepare_tokenizers(folder: Path, clips: Dataset, size: int, keep: bool = False) -> None:
    """Train the tokenizers of a run on `clips`, where `folder` does not hold them yet.

    size: the number of tokens of each, at most. Of several processes the first one trains them. Raises CheckpointError
    if those in `folder` were trained on other captions, unless `keep`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with waiting_lock(folder.parent / f".{folder.name}.lock"):
        found = [kind for kind in TOKENIZERS if _path(kind, folder).is_file()]
        if len(found) < len(TOKENIZERS):
            _check_half(folder, found, clips, size)
            write_tokenizers(folder, dataset_captions(clips), size, captions_of(clips))
            return
    trained_on = _trained_on(folder)
    if trained_on is None and isinstance(clips, Recordings):
        logger.warning("%s: its vocabulary is kept, though the captions that it was trained on are not known", folder)
    elif trained_on not in (None, captions_of(clips)) and not keep:
        raise CheckpointError(
            f"{folder}: its vocabulary was trained on other captions than these: name a new folder in `tokenizers`,"
            " or set keep_vocabulary = true to use it as it is"
        )


def warn_of_other_captions(folder: Path, clips: Dataset) -> None:
    """Log a warning if the vocabulary in `folder`, which stays, was trained on other captions than those of `clips`."""
    if _trained_on(folder) not in (None, captions_of(clips)):
        logger.warning("%s: its vocabulary was trained on other captions; it stays, for CLAP depends on it", folder)


def trained_tokenizer(kind: str, folder: Path) -> str:
    """The tokenizer.json of `kind` in `folder`. Raises CheckpointError where there is none: none is downloaded."""
    if not _path(kind, folder).is_file():
        raise CheckpointError(f"{_path(kind, folder)}: no tokenizer; the stage clap writes it")
    return tokenizer_json(kind, folder)


def write_tokenizers(folder: Path, captions: Iterable[str], size: int = VOCABULARY, trained_on: str = "") -> None:
    """Train both tokenizers and write them under `folder` as in a checkpoint: tokenizer/ and tokenizer_2/.

    All of them or none: a new folder appears with both, and in one that exists they appear one after the other when
    both are trained. size: the number of tokens of each, at most. trained_on: what `captions_of` says of the captions.
    """
    captions = list(captions)
    texts = {kind: train_tokenizer(kind, captions, size) for kind in TOKENIZERS}
    with nullcontext(folder) if folder.exists() else atomic_path(folder) as place:
        for kind, text in texts.items():
            _path(kind, place).parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(_path(kind, place)) as path:
                path.write_text(text, "utf-8")
        if trained_on:
            with atomic_path(place / RECORD_FILE) as path:
                path.write_text(json.dumps({"captions": trained_on}) + "\n", "utf-8")


def captions_of(clips: Dataset) -> str:
    """What distinguishes the captions of `clips` from others: for recordings a hash of them, in any order.

    The sounds of another version of this package count as the same, unless it had other languages.
    """
    if isinstance(clips, SpokenClips):
        return "descriptions of speakers in English"
    if not isinstance(clips, Recordings):
        return "sounds in English and Chinese"
    return hashlib.sha256("\n".join(sorted(dataset_captions(clips))).encode()).hexdigest()


def _check_half(folder: Path, found: Sequence[str], clips: Dataset, size: int) -> None:
    """Raise CheckpointError if the tokenizers `found`, which are not all, are none that an interrupted start left."""
    for kind in found:
        if tokenizer_json(kind, folder) != train_tokenizer(kind, dataset_captions(clips), size):
            raise CheckpointError(
                f"{folder}: holds {TOKENIZERS[kind][0]}/tokenizer.json alone, of other captions than these: remove it,"
                " or add the other one"
            )


def _path(kind: str, folder: Path) -> Path:
    return folder / TOKENIZERS[kind][0] / "tokenizer.json"


def _trained_on(folder: Path) -> str | None:
    """What `write_tokenizers` noted in `folder`; None for folders of version 0.1.0 and others without a note."""
    path = folder / RECORD_FILE
    if not path.is_file():
        return None
    with naming(path):
        record = json_value(read_bounded(path, RECORD_BYTES_LIMIT))
        return str(record["captions"]) if isinstance(record, dict) and "captions" in record else None
