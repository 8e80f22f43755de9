"""Words to the phoneme ids that speech checkpoints were trained with.

Needs the extra `speech` for words; phonemes that are given as such need nothing.
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
END = "⚠"  # closes every sequence
_PUNCTUATION = ';:,.!?¡¿—…"«»“” '
_LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VOWELS_AND_CONSONANTS = "ɑɐɒæɓʙβɔɕçɗɖðʤəɘɚɛɜɝɞɟʄɡɠɢʛɦɧħɥʜɨɪʝɭɬɫɮʟɱɯɰŋɳɲɴøɵɸθœɶʘɹɺɾɻʀʁɽʂʃʈʧʉʊʋⱱʌɣɤʍχʎʏʑʐʒʔʡʕʢǀǁǂǃ"
_MARKS = "ˈˌːˑʼʴʰʱʲʷˠˤ˞↓↑→↗↘'\u0329'ᵻ"  # the apostrophe twice: its second place is the one that was used
_OTHER = "♪☎☒☝"
SYMBOLS = PAD + _PUNCTUATION + _LATIN + _VOWELS_AND_CONSONANTS + _MARKS + _OTHER + END
IDS = {symbol: index for index, symbol in enumerate(SYMBOLS)}

MAX_PHONEMES = 310  # with the end symbol

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

# Where a long text is cut, best first: after a sentence, after a clause, between words.
_CUTS = (r"(?:(?<=[.!?…])|(?<=[.!?…][\"»”]))\s+", r"(?<=[,;:—])\s+", r"\s+")


def clean(text: str) -> str:
    """`text` as espeak is to read it: lower-case ASCII without tags such as <b>, common abbreviations in full.

    Raises ValueError if the extra `speech` is not installed.
    """
    try:
        from unidecode import unidecode
    except ModuleNotFoundError as error:
        raise _missing() from error
    text = unidecode(_TAG.sub("", text)).lower()
    return " ".join(_ABBREVIATION.sub(lambda match: ABBREVIATIONS[match[1]], text).split())


def to_phonemes(text: str) -> str:
    """The phonemes of `text`, read aloud in American English, with stress and punctuation.

    Raises ValueError if the extra `speech` is not installed, or if there is nothing to say in `text`.
    """
    cleaned = clean(text)
    found = _espeak().phonemize([cleaned], strip=True) if cleaned else []
    phonemes = " ".join(" ".join(found).split())
    if not _sayable(phonemes):
        raise ValueError(f"transcription is {shown(text)}, in which there is nothing to say")
    return phonemes


def phoneme_ids(phonemes: str, length: int = MAX_PHONEMES) -> np.ndarray:
    """The ids of `phonemes` and the end symbol, (1, length) int64, padded with 0.

    What is not in the alphabet is left out, with a warning: as the padding id it would end the sentence early.
    Raises ValueError if there is nothing to say, or more than `length` holds: see `split_text`.
    """
    phonemes = " ".join(unicodedata.normalize("NFC", phonemes).removesuffix(END).split())
    unknown = sorted({symbol for symbol in phonemes if symbol not in IDS or symbol in (PAD, END)})
    if unknown:
        logger.warning("left out what is no phoneme: %s", " ".join(map(shown, unknown[:20])))
    symbols = [symbol for symbol in phonemes if symbol not in unknown]
    if not _sayable("".join(symbols)):
        raise ValueError(f"phonemes are {shown(phonemes)}, in which there is nothing to say")
    if len(symbols) >= length:
        raise ValueError(f"transcription has {len(symbols)} phonemes, allowed: up to {length - 1} at once")
    ids = np.zeros((1, length), np.int64)
    ids[0, : len(symbols) + 1] = [IDS[symbol] for symbol in [*symbols, END]]
    return ids


def split_text(text: str, limit: int) -> list[str]:
    """`text`, words or phonemes, in pieces of up to `limit` characters, as few as whole sentences allow.

    A sentence beyond the limit is cut after a clause, a clause between words, a word anywhere. Nothing but white space
    is lost.
    """
    return _split(" ".join(text.split()), limit, _CUTS)


def _split(text: str, limit: int, cuts: tuple[str, ...]) -> list[str]:
    if len(text) <= limit:
        return [text] if text else []
    if not cuts:
        return [text[start : start + limit] for start in range(0, len(text), limit)]
    pieces: list[str] = []
    for part in re.split(cuts[0], text):
        for piece in _split(part, limit, cuts[1:]):
            if pieces and len(pieces[-1]) + 1 + len(piece) <= limit:
                pieces[-1] += f" {piece}"
            else:
                pieces.append(piece)
    return pieces


def _sayable(phonemes: str) -> bool:
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
        # The library from the wheel: none has to be on the system.
        EspeakWrapper.set_library(espeakng_loader.get_library_path())
        EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
        # It counts words and warns where "for a" became one, which means nothing to who wants them read aloud.
        quiet = logging.getLogger(f"{__name__}.espeak")
        quiet.setLevel(logging.ERROR)
        return EspeakBackend(
            "en-us", preserve_punctuation=True, with_stress=True, language_switch="remove-flags", logger=quiet
        )
    except (RuntimeError, OSError) as error:
        raise ValueError(f"espeak, which reads text aloud, does not start: {error}") from error


def _missing() -> ValueError:
    return ValueError("text to speech needs an extra: pip install 'ppaudioldm[speech]'")
