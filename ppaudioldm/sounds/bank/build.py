"""Making the bank: every note and take is cut from its original, judged, encoded, and listed with its licence."""

from __future__ import annotations

import io
import json
import logging
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.sounds.bank import cutting, originals
from ppaudioldm.sounds.bank.credits import credits_text
from ppaudioldm.sounds.bank.effects import TAKES, Take
from ppaudioldm.sounds.bank.fluid import Key, fluid
from ppaudioldm.sounds.bank.instruments import INSTRUMENTS, SALAMANDER_NOTES, note_key
from ppaudioldm.sounds.bank.ogg import with_serial
from ppaudioldm.sounds.bank.originals import Notice, Original
from ppaudioldm.sounds.bank.packages import PACKAGES, unpacked
from ppaudioldm.sounds.bank.pitch import pitch_near_hz
from ppaudioldm.sounds.bank.reading import FORMAT, INDEX, SAMPLE_RATE
from ppaudioldm.storage.atomic import atomic_path

logger = logging.getLogger(__name__)

Libraries = dict[str, Callable[[Any], Original]]

_OPENERS: dict[str, Callable[[Path], Callable[[Any], Original]]] = {
    "fluid-gm": fluid,
    "fluid-gs": fluid,
    "openclonk": originals.openclonk,
    "opensfx": originals.opensfx,
    "blanket": originals.blanket,
    "gcompris": originals.gcompris,
    "minetest": originals.minetest,
    "sonic-pi": originals.sonic_pi,
    "animals": originals.animals,
    "salamander": originals.salamander,
}
_HELD_OUT_FROM = 5  # a kind with fewer recordings is trained on whole
_ONE_IN = 6  # is held out of the others
_GAP = SAMPLE_RATE // 20  # silence between the recordings of a file, so that the codec does not mix them
_COMPRESSION = 0.84  # of libsndfile, between 0 and 1: 48 kbit/s, a mean log-mel difference of 0.24


@dataclass(frozen=True)
class Cut:
    """A recording that is to be stored: (samples,) float32 at 16 kHz, and the rest as in `reading.Recording`."""

    kind: str
    source: str
    notice: Notice
    samples: np.ndarray
    loopable: bool = False
    pitch_hz: float | None = None


def build(folder: Path, credits: Path, downloads: Path) -> None:
    """Make the bank in `folder` and its notices in `credits`, from packages that are in `downloads` or fetched to it.

    A bank that is there is replaced as a whole. Raises ValueError for a folder that holds something else, and for a
    package, a licence or a sound that is not as it should be.
    """
    if folder.exists() and not (folder / INDEX).is_file() and any(folder.iterdir()):
        raise ValueError(f"{folder} holds something that is no bank, and would be replaced: name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        places = {name: unpacked(package, downloads, Path(temporary)) for name, package in PACKAGES.items()}
        libraries = {name: open_library(places[name]) for name, open_library in _OPENERS.items()}
        cuts = [*_fluid_notes(libraries), *_salamander_notes(libraries)]
        cuts += [cut for take in TAKES for cut in _cuts(take, libraries[take.library](take.name))]
        mit_notice = next(places["fluid-gm"].glob("usr/share/doc/*/copyright")).read_text(encoding="utf-8")
    with atomic_path(folder) as new_folder:
        entries = stored(cuts, new_folder)
    with atomic_path(credits) as new_credits:
        new_credits.write_text(credits_text(entries, mit_notice), encoding="utf-8")


def _fluid_notes(libraries: Libraries) -> Iterator[Cut]:
    for instrument in INSTRUMENTS:
        for number in range(instrument.lowest, instrument.highest + 1, instrument.step):
            key = Key(instrument.bank, instrument.program, number, instrument.held_s, instrument.released_s)
            yield from _note(instrument.kind, "fluid-gm", libraries["fluid-gm"](key), key.pitch_hz)


def _salamander_notes(libraries: Libraries) -> Iterator[Cut]:
    for name in SALAMANDER_NOTES:
        pitch_hz = Key(0, 0, note_key(name), 0, 0).pitch_hz
        yield from _note("piano", "salamander", libraries["salamander"](name), pitch_hz)


def _note(kind: str, library: str, original: Original, nominal_hz: float) -> Iterator[Cut]:
    """The note, unless it sounds at another pitch than it should."""
    with _naming(original):
        samples = cutting.event(original.samples, floor_db=-50, longest_s=3)
        pitch_hz = pitch_near_hz(samples, nominal_hz)
    if pitch_hz is None:
        logger.warning("%s: %s is left out, because its pitch is not %.1f Hz", kind, original.notice.title, nominal_hz)
        return
    yield Cut(kind, PACKAGES[library].name, original.notice, samples, pitch_hz=pitch_hz)


def _cuts(take: Take, original: Original) -> list[Cut]:
    samples = original.samples
    if take.span_s is not None:
        begin, end = (round(seconds * SAMPLE_RATE) for seconds in take.span_s)
        samples = samples[begin:end]
    with _naming(original):
        if take.cut == "stretch":
            pieces = cutting.stretches(samples, most=take.most)
        elif take.cut == "events":
            pieces = cutting.events(samples, take.gap_s, take.floor_db)
        elif take.cut == "hit":
            pieces = [cutting.event(samples, lead_db=-14)]
        else:
            pieces = [cutting.event(samples)]
    source = PACKAGES[take.library].name
    return [Cut(take.kind, source, original.notice, piece, loopable=take.cut == "stretch") for piece in pieces]


@contextmanager
def _naming(original: Original) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{original.notice.title}: {error}") from error


def stored(cuts: list[Cut], folder: Path) -> list[dict[str, Any]]:
    """Make `folder` with a file for each kind and the index, and return the entries of the index."""
    folder.mkdir()
    by_kind: dict[str, list[Cut]] = {}
    for cut in cuts:
        of_kind = by_kind.setdefault(cut.kind, [])
        if any(cutting.same(cut.samples, other.samples) for other in of_kind if not cut.loopable and not cut.pitch_hz):
            logger.info("%s: %s is left out, because the same sound is there already", cut.kind, cut.notice.title)
        else:
            of_kind.append(cut)
    entries = [entry for kind, of_kind in by_kind.items() for entry in _kind_entries(kind, of_kind, folder)]
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    (folder / INDEX).write_text(f'{{"format": {FORMAT}, "recordings": [\n{lines}\n]}}\n', encoding="utf-8")
    return entries


def _kind_entries(kind: str, cuts: list[Cut], folder: Path) -> Iterator[dict[str, Any]]:
    _encode(cuts, folder / f"{kind}.ogg")
    start = 0
    for number, (cut, split) in enumerate(zip(cuts, splits([cut.notice.title for cut in cuts]), strict=True)):
        yield {
            "name": f"{kind}-{number + 1:02d}",
            "kind": kind,
            "source": cut.source,
            "licence": cut.notice.licence,
            "author": cut.notice.author,
            "title": cut.notice.title,
            "address": cut.notice.address,
            "start": start,
            "length": len(cut.samples),
            "pitch_hz": None if cut.pitch_hz is None else round(cut.pitch_hz, 2),
            "onset_s": round(cutting.onset_s(cut.samples), 4),
            "loopable": cut.loopable,
            "split": split,
        }
        start += len(cut.samples) + _GAP


def splits(titles: list[str]) -> list[str]:
    """For each recording of a kind "train" or "test": one in six is held out where there are five or more.

    titles: of the original of each. Where there are five originals or more, whole originals are held out, so that
    what is held out has not been partly trained on. The lowest and the highest notes are never held out.
    """
    distinct = list(dict.fromkeys(titles))
    groups: list[Any] = list(titles) if len(distinct) >= _HELD_OUT_FROM else list(range(len(titles)))
    distinct = list(dict.fromkeys(groups))
    if len(distinct) < _HELD_OUT_FROM:
        return ["train"] * len(titles)
    held_out = set(distinct[_ONE_IN // 2 :: _ONE_IN])
    return ["test" if group in held_out else "train" for group in groups]


def _encode(cuts: list[Cut], path: Path) -> None:
    import soundfile

    silence = np.zeros(_GAP, np.float32)
    samples = np.concatenate([part for cut in cuts for part in (cut.samples, silence)])
    encoded = io.BytesIO()
    with soundfile.SoundFile(
        encoded, "w", SAMPLE_RATE, 1, format="OGG", subtype="OPUS", compression_level=_COMPRESSION
    ) as file:
        file.write(samples)
    # The same samples make the same file: a bank that was made again differs only where its sounds do.
    path.write_bytes(with_serial(encoded.getvalue(), zlib.crc32(path.stem.encode())))
