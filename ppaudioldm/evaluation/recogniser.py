"""Speech recognition by pocketsphinx, an independent judge of how well spoken English is understood.

It needs the extra `recognition`. Its acoustic model and its large vocabulary come with that package.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.errors import shown

SAMPLE_RATE = 16000  # Hz, of the acoustic model
PEAK = 0.6  # of full scale, that every clip is brought to
SILENCE_S = 0.2  # before and behind the clip, in which the recogniser measures the noise
DISCOUNT = 0.3  # taken from the count of every bigram, for pairs of words that no sentence has
BIGRAM, CHOICE, FREE = MODES = ("bigram", "choice", "free")


class Recogniser:
    """Understands words of `sentences`.

    mode: "bigram", any order of their words, likely where it is theirs; "choice", one of the sentences as a whole;
    "free", words of a large vocabulary. Raises ValueError if the extra `recognition` is missing, or a sentence has no
    words, or one that the recogniser cannot pronounce.
    """

    def __init__(self, sentences: Sequence[str], mode: str = BIGRAM) -> None:
        try:
            from pocketsphinx import Decoder
        except ModuleNotFoundError as error:
            raise ValueError("recognising speech needs an extra: pip install 'ppaudioldm[recognition]'") from error
        if mode not in MODES:
            raise ValueError(f"mode is {shown(mode)}, allowed: {', '.join(MODES)}")
        lines = [" ".join(words_of(sentence)) for sentence in sentences]
        if unsaid := [sentence for sentence, line in zip(sentences, lines, strict=True) if not line]:
            raise ValueError(f"sentence is {shown(unsaid[0])}, allowed: English words")
        if mode == FREE:
            self._decoder: Any = Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")
            return
        dictionary = _pronunciations(lines, Decoder(samprate=SAMPLE_RATE, loglevel="FATAL", lm=None))
        with tempfile.TemporaryDirectory() as folder:
            words, model = Path(folder) / "words.dict", Path(folder) / mode
            # Beside the whole dictionary, a small language model would take seconds to load.
            words.write_text(dictionary)
            model.write_text(bigram_model(lines) if mode == BIGRAM else sentence_grammar(lines))
            kind = {BIGRAM: "lm", CHOICE: "jsgf"}[mode]
            self._decoder = Decoder(
                samprate=SAMPLE_RATE, loglevel="FATAL", **{"lm": None, "dict": str(words), kind: str(model)}
            )

    def understand(self, waveform: np.ndarray) -> list[str]:
        """The words of `waveform` (samples,), mono at SAMPLE_RATE."""
        silence = np.zeros(round(SILENCE_S * SAMPLE_RATE))
        level = PEAK / max(1e-6, float(np.abs(waveform).max(initial=0)))
        samples = np.concatenate([silence, waveform * level, silence])
        self._decoder.start_utt()
        self._decoder.process_raw((samples * 32767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        best = self._decoder.hyp()
        return best.hypstr.split() if best else []


def words_of(text: str) -> list[str]:
    """The words of `text`, in lower case and without punctuation, as the recogniser writes them."""
    return re.findall(r"[a-z]+(?:'[a-z]+)*", text.lower())


def _pronunciations(lines: Sequence[str], decoder: Any) -> str:
    """The lines of the dictionary of `decoder` for the words of `lines`. Raises ValueError for one that it lacks."""
    found = []
    for word in sorted({word for line in lines for word in line.split()}):
        entry, number = word, 1
        while (phones := decoder.lookup_word(entry)) is not None:
            found.append(f"{entry} {phones}\n")
            number += 1
            entry = f"{word}({number})"
        if number == 1:
            raise ValueError(f"the recogniser cannot pronounce {shown(word)}, allowed: words of its dictionary")
    return "".join(found)


def sentence_grammar(sentences: Sequence[str]) -> str:
    """A grammar of nothing but `sentences`, in the format JSGF. Sentences are words in lower case."""
    return f"#JSGF V1.0;\ngrammar sentences;\npublic <sentence> = {' | '.join(sentences)};\n"


def bigram_model(sentences: Sequence[str]) -> str:
    """A bigram language model of `sentences` with back-off, in the ARPA format. Sentences are words in lower case."""
    pairs: Counter[tuple[str, str]] = Counter()
    contexts: Counter[str] = Counter()
    for sentence in sentences:
        words = ["<s>", *sentence.split(), "</s>"]
        pairs.update(pairwise(words))
        contexts.update(words[:-1])
    vocabulary = sorted({word for _, word in pairs})
    followers = Counter(word for word, _ in pairs)

    def back_off(word: str) -> str:
        """The logarithm of what the discount leaves for other words behind `word`."""
        return f" {math.log10(DISCOUNT * followers[word] / contexts[word]):.4f}" if contexts[word] else ""

    unigram = math.log10(1 / len(vocabulary))
    lines = ["\\data\\", f"ngram 1={len(vocabulary) + 1}", f"ngram 2={len(pairs)}", "", "\\1-grams:"]
    lines += [f"-99 <s>{back_off('<s>')}", *(f"{unigram:.4f} {word}{back_off(word)}" for word in vocabulary)]
    lines += ["", "\\2-grams:"]
    for (first, second), count in sorted(pairs.items()):
        lines.append(f"{math.log10((count - DISCOUNT) / contexts[first]):.4f} {first} {second}")
    return "\n".join([*lines, "", "\\end\\", ""])


def word_errors(said: Sequence[str], understood: Sequence[str]) -> int:
    """The least number of words to replace, insert and remove that turns `understood` into `said`."""
    row = list(range(len(understood) + 1))
    for i, word in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(understood, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]
