"""Training small byte-level BPE tokenizers on the captions of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.training.dataset import Dataset
from ppaudioldm.training.recordings import Recordings
from ppaudioldm.training.tiny import CLIP_SECONDS, VOCABULARY
from ppaudioldm.weights.tokenizer_files import TOKENIZERS

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


def sound_captions(per_kind: int = 300, duration: float = CLIP_SECONDS) -> Iterator[str]:
    """Training captions of every kind of synthesised sound. Words that only the held-out captions use do not occur."""
    from ppaudioldm.sounds import KINDS
    from ppaudioldm.sounds.captions import caption

    for number, kind in enumerate(KINDS.values()):
        rng = np.random.default_rng(number)
        for _ in range(per_kind):
            text, is_noun_phrase = kind.describe(rng, kind.draw(rng, duration), "train")
            yield caption(rng, text, is_noun_phrase, "train")


def dataset_captions(clips: Dataset) -> Iterator[str]:
    """The captions to train tokenizers for `clips` on: of all recordings, or of all kinds of synthesised sound."""
    return (caption for _, caption in clips.entries) if isinstance(clips, Recordings) else sound_captions()


def write_tokenizers(folder: Path, captions: Iterable[str], size: int = VOCABULARY) -> None:
    """Train both tokenizers and write them under `folder` as in a checkpoint: tokenizer/ and tokenizer_2/.

    size: the number of tokens of each, at most.
    """
    captions = list(captions)
    for kind, (name, _) in TOKENIZERS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / name / "tokenizer.json") as path:
            path.write_text(train_tokenizer(kind, captions, size), "utf-8")
