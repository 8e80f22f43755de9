"""Small tokenizers, made of the captions that a model is trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.training.clips import Clips
from ppaudioldm.training.recordings import Recordings
from ppaudioldm.training.tiny import CLIP_SECONDS, VOCABULARY
from ppaudioldm.weights.tokenizer_files import TOKENIZERS

# The same special tokens, in the same places, as the published tokenizers have.
SPECIAL = {"clap": ["<s>", "<pad>", "</s>", "<unk>"], "flan_t5": ["<pad>", "</s>", "<unk>"]}
TEMPLATE = {"clap": "<s> $A </s>", "flan_t5": "$A </s>"}


def tokenizer_of(kind: str, captions: Iterable[str], size: int = VOCABULARY) -> str:
    """A tokenizer.json for "clap" or "flan_t5" of at most `size` tokens: pieces of words, down to single bytes.

    Letters are lowered and spaces joined, so that "A  Bell" and "a bell" are the same. The same captions give the same
    tokenizer.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    special = SPECIAL[kind]
    tokenizer: Any = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
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
    """Captions of every kind of synthesised sound, without the sounds. Words that are only for testing stay unknown."""
    from ppaudioldm.sounds import KINDS
    from ppaudioldm.sounds.captions import caption

    for number, kind in enumerate(KINDS.values()):
        rng = np.random.default_rng(number)
        for _ in range(per_kind):
            text, is_noun_phrase = kind.describe(rng, kind.draw(rng, duration), "train")
            yield caption(rng, text, is_noun_phrase, "train")


def captions_of(clips: Clips) -> Iterator[str]:
    """What a tokenizer for `clips` is made of: the captions of all recordings, or of all kinds of synthesised sound."""
    return (caption for _, caption in clips.entries) if isinstance(clips, Recordings) else sound_captions()


def write_tokenizers(folder: Path, captions: Iterable[str]) -> None:
    """Both tokenizers under `folder`, where a checkpoint has them: tokenizer/ and tokenizer_2/."""
    captions = list(captions)
    for kind, (name, _) in TOKENIZERS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / name / "tokenizer.json") as path:
            path.write_text(tokenizer_of(kind, captions), "utf-8")
