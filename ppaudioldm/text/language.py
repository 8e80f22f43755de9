"""Whether a text that is to be spoken is English, the only language of the speech checkpoints."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from ppaudioldm.errors import shown

logger = logging.getLogger(__name__)

# With more, short English texts such as names would resemble a rare one.
LANGUAGES = (
    "ar", "cs", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "hu", "id", "it", "ja", "ko", "nl", "no", "pl",
    "pt", "ro", "ru", "sv", "tr", "uk", "vi", "zh",
)  # fmt: skip
NOT_ENGLISH = "is not English, the only language that is spoken: expect wrong sounds"  # said of a text
LEAST_PROBABILITY = 0.02  # of English: "Dimitri Papadopoulos" has 0.04, "Guten Morgen" 0.016


def warn_of_other_language(text: str) -> None:
    """Warn of a `text` in another language than English. A few letters, or numbers alone, may be of any language."""
    if not may_be_english(text):
        logger.warning("%s %s", shown(text[:60]), NOT_ENGLISH)


def may_be_english(text: str) -> bool:
    """Whether `text` may be English; True without the library that tells languages apart, of the extra `speech`."""
    try:
        identifier = _identifier()
    except ModuleNotFoundError:
        return True
    return bool(dict(identifier.rank(text))["en"] >= LEAST_PROBABILITY)


@lru_cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier
