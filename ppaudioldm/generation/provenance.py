"""Provenance: what a sound file says of how it was generated, in tags that people and programs read.

Article 50(2) of the EU's AI Act asks for machine-readable marks in generated sound. No tag holds a path, the name of a
user or machine, or a time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ppaudioldm import __version__
from ppaudioldm.audio.tagging.content_credentials import Sign, Signer
from ppaudioldm.audio.tagging.files import COMMENT, ENCODER, MOST_CHARACTERS, SOURCE_TYPE
from ppaudioldm.audio.tagging.xmp import COMPOSITE, GENERATED
from ppaudioldm.choices import TAGS
from ppaudioldm.errors import one_line, quoted
from ppaudioldm.generation.options import Options
from ppaudioldm.weights.lora_choice import LoraChoice

logger = logging.getLogger(__name__)

SOFTWARE = f"ppaudioldm {__version__}"
MODEL, LICENCE, SETTINGS = "MODEL", "MODEL_LICENSE", "PPAUDIOLDM"  # names of tags
FORMAT_VERSION = 1  # of the settings
MOST_NAME = 200  # characters of a model's


@dataclass(frozen=True)
class Source:
    """What generates sounds.

    model: the checkpoint's name, never its path. licence: of its weights; "" where that is not known. opened_with: what
    else the samples depend on, by keyword of `AudioLDM.from_pretrained`: engine, precision, ema, vocoder.
    """

    model: str = ""
    licence: str = ""
    opened_with: Mapping[str, Any] = field(default_factory=dict)


def stored_options(options: Options) -> dict[str, Any]:
    """`options` as the tags of a file hold them: of LoRA adapters the names and scales, not the paths."""
    lora = [str(replace(choice, adapter=Path(choice.adapter).stem)) for choice in map(LoraChoice.parse, options.lora)]
    return {**asdict(options), "lora": lora}


@dataclass(frozen=True)
class Provenance:
    """How one sound was generated.

    settings: what generates it again, as JSON takes it: task, prompt, seed, options, parameters, and whether there was
    a recording; None where the caller computed some of it. is_composite: it has samples of a recording in it.
    """

    source: Source = field(default_factory=Source)
    settings: Mapping[str, Any] | None = None
    is_composite: bool = False

    def changed(self, **changes: Any) -> Provenance:
        """The same with `changes` of the settings."""
        return self if self.settings is None else replace(self, settings={**self.settings, **changes})

    def tags(self, kind: str = "all") -> dict[str, str] | None:
        """The tags of a file; None for no tags. kind: one of TAGS: "marking" leaves the settings out.

        Raises ValueError for another kind.
        """
        if kind not in TAGS:
            raise ValueError(f"tags is {quoted(kind)}, allowed: {', '.join(TAGS)}")
        if kind == "none":
            return None
        model, licence = one_line(self.source.model)[:MOST_NAME], self.source.licence
        tags = {
            ENCODER: SOFTWARE,
            COMMENT: self._sentence(model, licence),
            SOURCE_TYPE: self.source_type,
        }
        if model:
            tags[MODEL] = model
        if licence:
            tags[LICENCE] = licence
        if kind == "all" and self.settings is not None:
            text = self._settings_text(model)
            if len(text) <= MOST_CHARACTERS:
                tags[SETTINGS] = text
            else:
                logger.warning("the settings have %d characters: too long for a tag, they are left out", len(text))
        return tags

    @property
    def source_type(self) -> str:
        """The IPTC's digital source type."""
        return COMPOSITE if self.is_composite else GENERATED

    def signing(self, signer: Signer | None) -> Sign | None:
        """What signs a file with the statement that it is generated; None without a signer."""
        if signer is None:
            return None
        return lambda content, container: signer.signed(content, container, SOFTWARE, self.source_type)

    def _sentence(self, model: str, licence: str) -> str:
        beginning = "AI-generated in part" if self.is_composite else "AI-generated"
        weights = f" (licence of its weights: {licence})" if licence else ""
        return f"{beginning} with {SOFTWARE}{f' and the model {model}{weights}' if model else ''}"

    def _settings_text(self, model: str) -> str:
        values = {"version": FORMAT_VERSION, "checkpoint": model, **self.source.opened_with, **(self.settings or {})}
        # Letters of all scripts as they are; NumPy's numbers are what JSON does not take.
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=float)
