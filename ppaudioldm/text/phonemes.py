"""Grapheme-to-phoneme conversion, and the phoneme ids of the speech checkpoints.

Text needs the extra `speech`; input that already consists of phonemes does not.
Source: the alphabet of VITS (arXiv:2106.06103) for LJSpeech, five more symbols, espeak's American English.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import lru_cache
from typing import Any

import numpy as np

from ppaudioldm.errors import shown

logger = logging.getLogger(__name__)

PAD = "_"  # id 0
END = "⚠"  # the last symbol of every sequence
_PUNCTUATION = ';:,.!?¡¿—…"«»“” '
_LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VOWELS_AND_CONSONANTS = "ɑɐɒæɓʙβɔɕçɗɖðʤəɘɚɛɜɝɞɟʄɡɠɢʛɦɧħɥʜɨɪʝɭɬɫɮʟɱɯɰŋɳɲɴøɵɸθœɶʘɹɺɾɻʀʁɽʂʃʈʧʉʊʋⱱʌɣɤʍχʎʏʑʐʒʔʡʕʢǀǁǂǃ"
_MARKS = "ˈˌːˑʼʴʰʱʲʷˠˤ˞↓↑→↗↘'\u0329'ᵻ"  # the apostrophe occurs twice: training used its second id
_OTHER = "♪☎☒☝"
SYMBOLS = PAD + _PUNCTUATION + _LATIN + _VOWELS_AND_CONSONANTS + _MARKS + _OTHER + END
IDS = {symbol: index for index, symbol in enumerate(SYMBOLS)}

MAX_PHONEMES = 310  # in a sequence, with the end symbol

ABBREVIATIONS = {
    "mrs": "misess",
    "mr": "mister",
    "dr": "doctor",
    "st": "saint",
    "co": "company",
    "jr": "junior",
    "maj": "major",
    "gen": "general",
    "drs": "doctors",
    "rev": "reverend",
    "lt": "lieutenant",
    "hon": "honorable",
    "sgt": "sergeant",
    "capt": "captain",
    "esq": "esquire",
    "ltd": "limited",
    "col": "colonel",
    "ft": "fort",
}
_ABBREVIATION = re.compile(rf"\b({'|'.join(ABBREVIATIONS)})\.")
_TAG = re.compile(r"<[^<>\s][^<>]*>")

# Where a long text is split, best first: after a sentence, after a clause, between words.
_BOUNDARIES = (r"(?:(?<=[.!?…])|(?<=[.!?…][\"»”]))\s+", r"(?<=[,;:—])\s+", r"\s+")


def clean(text: str) -> str:
    """`text` normalised for espeak: lower-case ASCII without tags such as <b>, common abbreviations in full.

    Raises ValueError if the extra `speech` is not installed.
    """
    try:
        from unidecode import unidecode
    except ModuleNotFoundError as error:
        raise _missing() from error
    text = unidecode(_TAG.sub("", text)).lower()
    return " ".join(_ABBREVIATION.sub(lambda match: ABBREVIATIONS[match[1]], text).split())


def to_phonemes(text: str) -> str:
    """The phonemes of `text` in American English, with stress marks and punctuation.

    Raises ValueError if the extra `speech` is not installed, or if `text` has nothing to pronounce.
    """
    cleaned = clean(text)
    lines = _espeak().phonemize([cleaned], strip=True) if cleaned else []
    phonemes = " ".join(" ".join(lines).split())
    if not _is_pronounceable(phonemes):
        raise ValueError(f"transcription is {shown(text)}, which has nothing to pronounce")
    return phonemes


def phoneme_ids(phonemes: str, length: int = MAX_PHONEMES) -> np.ndarray:
    """The ids of `phonemes` and the end symbol, (1, length) int64, padded with 0.

    Symbols outside the alphabet are left out, with a warning: as the padding id they would end the sentence early.
    Raises ValueError if there is nothing to pronounce, or if the ids exceed `length`: see `split_text`.
    """
    phonemes = " ".join(unicodedata.normalize("NFC", phonemes).removesuffix(END).split())
    unknown = sorted({symbol for symbol in phonemes if symbol not in IDS or symbol in (PAD, END)})
    if unknown:
        logger.warning("left out symbols that are no phonemes: %s", " ".join(map(shown, unknown[:20])))
    symbols = [symbol for symbol in phonemes if symbol not in unknown]
    if not _is_pronounceable("".join(symbols)):
        raise ValueError(f"phonemes are {shown(phonemes)}, which have nothing to pronounce")
    if len(symbols) >= length:
        raise ValueError(f"transcription has {len(symbols)} phonemes, allowed: up to {length - 1} at once")
    ids = np.zeros((1, length), np.int64)
    ids[0, : len(symbols) + 1] = [IDS[symbol] for symbol in [*symbols, END]]
    return ids


def split_text(text: str, limit: int) -> list[str]:
    """`text`, words or phonemes, in pieces of up to `limit` characters, each of as many whole sentences as fit.

    A sentence beyond the limit is split after a clause, a clause between words, a word anywhere. Only white space is
    lost.
    """
    return _split(" ".join(text.split()), limit, _BOUNDARIES)


def _split(text: str, limit: int, boundaries: tuple[str, ...]) -> list[str]:
    if len(text) <= limit:
        return [text] if text else []
    if not boundaries:
        return [text[start : start + limit] for start in range(0, len(text), limit)]
    pieces: list[str] = []
    for unit in re.split(boundaries[0], text):
        for piece in _split(unit, limit, boundaries[1:]):
            if pieces and len(pieces[-1]) + 1 + len(piece) <= limit:
                pieces[-1] += f" {piece}"
            else:
                pieces.append(piece)
    return pieces


def _is_pronounceable(phonemes: str) -> bool:
    return any(symbol.isalpha() for symbol in phonemes)


@lru_cache
def _espeak() -> Any:
    try:
        import espeakng_loader
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ModuleNotFoundError as error:
        raise _missing() from error
    try:
        # The library from the wheel, so that none has to be installed on the system.
        EspeakWrapper.set_library(espeakng_loader.get_library_path())
        EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
        # phonemizer warns where espeak merges two words, such as "for a", which does not matter for speech.
        quiet = logging.getLogger(f"{__name__}.espeak")
        quiet.setLevel(logging.ERROR)
        return EspeakBackend(
            "en-us", preserve_punctuation=True, with_stress=True, language_switch="remove-flags", logger=quiet
        )
    except (RuntimeError, OSError) as error:
        raise ValueError(f"espeak, which converts text to phonemes, does not start: {error}") from error


def _missing() -> ValueError:
    return ValueError("text to speech needs an extra: pip install 'ppaudioldm[speech]'")
