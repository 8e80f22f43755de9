"""Making the bank: readers of packages, notices, cuts, pitches and the stored files, on small fabricated packages."""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import tarfile
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from ppaudioldm.sounds.bank import SAMPLE_RATE, __main__, build, cutting, open_bank, originals, packages
from ppaudioldm.sounds.bank.containers import read_gresource, read_group, read_qt_resource, read_sound_set
from ppaudioldm.sounds.bank.credits import credits_text
from ppaudioldm.sounds.bank.effects import TAKES, Take
from ppaudioldm.sounds.bank.fluid import DRUMS, Key, fluid
from ppaudioldm.sounds.bank.instruments import SALAMANDER_NOTES, note_key
from ppaudioldm.sounds.bank.ogg import with_serial
from ppaudioldm.sounds.bank.originals import Notice
from ppaudioldm.sounds.bank.pitch import measured_pitch_hz, pitch_near_hz


def wav(samples, rate=SAMPLE_RATE):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def scrambled(header):
    header = bytearray(header)
    for start in range(0, len(header) - 2, 3):
        header[start], header[start + 2] = header[start + 2], header[start]
    return bytes(byte ^ 237 for byte in header)


def group(files):
    """An OpenClonk group before compression; a value that is a dict is a group in it."""
    entries, contents = b"", b""
    for name, content in files.items():
        is_group = isinstance(content, dict)
        data = group(content) if is_group else content
        place = struct.pack("<iiiii", 0, is_group, len(data), 0, len(contents))
        entries += (name.encode().ljust(260, b"\0") + place).ljust(316, b"\0")
        contents += data
    header = b"RedWolf Design GrpFolder".ljust(28, b"\0") + struct.pack("<iii", 1, 2, len(files))
    return scrambled(header.ljust(204, b"\0")) + entries + contents


def packed_group(files):
    stream = zlib.compressobj(wbits=31)
    return b"\x1e\x8c" + (stream.compress(group(files)) + stream.flush())[2:]


def test_an_openclonk_group_is_read_with_the_groups_in_it():
    files = {"authors.txt": b"somebody", "Animals.ocg": {"Cow.ocg": {"Moo.wav": b"RIFF"}}}
    assert read_group(packed_group(files)) == {"authors.txt": b"somebody", "Animals.ocg/Cow.ocg/Moo.wav": b"RIFF"}
    damaged = group({"Moo.wav": b"RIFF"})[:-2]
    stream = zlib.compressobj(wbits=31)
    with pytest.raises(ValueError, match=r"entry 'Moo.wav' .* lies outside"):
        read_group(b"\x1e\x8c" + (stream.compress(damaged) + stream.flush())[2:])
    with pytest.raises(ValueError, match="does not begin with 1e 8c"):
        read_group(b"PK")


def sound_set(sounds):
    table, body = b"", b""
    for label, content in sounds:
        offset = 8 * len(sounds) + len(body)
        table += struct.pack("<II", offset | 0x80000000, len(content) - 8)
        body += bytes([len(label) + 1]) + label.encode() + b"\0" + content
    return table + body


def test_an_openttd_sound_set_is_read_with_its_labels():
    sounds = [("one", wav(np.zeros(10))), ("two", wav(np.ones(20)))]
    assert read_sound_set(sound_set(sounds)) == sounds
    with pytest.raises(ValueError, match="not an OpenTTD sound set"):
        read_sound_set(b"RIFF....WAVE")


def gresource(path, content, flags=0):
    """A GResource file of a folder and a file in it."""
    folder, name = path
    names = folder + name
    first = 24 + 8 + 4  # header, bloom and bucket counts, one bucket
    body = 24 * 2 + first
    variant = struct.pack("<II", len(content), flags) + (zlib.compress(content) if flags else content) + b"\0"
    items = struct.pack("<IIIHBxII", 0, 0xFFFFFFFF, body, len(folder), ord("L"), 0, 0)
    items += struct.pack("<IIIHBxII", 0, 0, body + len(folder), len(name), ord("v"), body + len(names), 0)
    end = body + len(names) + len(variant)
    items = items[:-4] + struct.pack("<I", end)
    header = b"GVariant" + struct.pack("<IIII", 0, 0, 24, body)
    return header + struct.pack("<III", 0, 1, 0) + items + names.encode() + variant


@pytest.mark.parametrize("flags", [0, 1])
def test_a_gresource_file_is_read_compressed_or_not(flags):
    assert read_gresource(gresource(("/sounds/", "rain.ogg"), b"OggS" * 9, flags)) == {"/sounds/rain.ogg": b"OggS" * 9}
    with pytest.raises(ValueError, match="not a GResource file"):
        read_gresource(b"GVARIANT")


def qt_resource(name, content, flags):
    data = struct.pack(">I", len(content)) + zlib.compress(content) if flags else content
    encoded = name.encode("utf-16-be")
    names = struct.pack(">HI", len(name), 0) + encoded
    tree = struct.pack(">IHII8x", 0, 2, 1, 1) + struct.pack(">IHII8x", 0, flags, 0, 0)
    content_at, names_at = 20 + len(tree), 20 + len(tree) + 4 + len(data)
    return (
        struct.pack(">4sIIII", b"qres", 2, 20, content_at, names_at)
        + tree
        + struct.pack(">I", len(data))
        + data
        + names
    )


@pytest.mark.parametrize("flags", [0, 1])
def test_a_qt_resource_file_is_read_compressed_or_not(flags):
    data = qt_resource("bell.wav", b"RIFF" * 9, flags)
    assert read_qt_resource(data) == {"/bell.wav": b"RIFF" * 9}
    with pytest.raises(ValueError, match="cut short"):
        read_qt_resource(data[:40])
    with pytest.raises(ValueError, match="circles"):
        read_qt_resource(data[:20] + struct.pack(">IHII8x", 0, 2, 1, 0) + data[42:])


AUTHORS = """If not stated otherwise, the sound effects are licensed under the
CC Attribution 3.0 license (http://creativecommons.org/licenses/by/3.0/)

ala             - Fire/Spark1&2&3, Hits/BucketHit*,
                  Animals/Bat: Chirp
ERH\t\t\t- WindLoop (http://www.freesound.org/people/ERH/sounds/34338/)
two\t\t- Crack (http://one.org/1/), Snap (http://two.org/2/)

The following sound effects are licensed under the CC 0 license (public domain):
kibibu\t\t\t- LightMetalHit2 (http://www.freesound.org/people/kibibu/sounds/22435/)
"""


@pytest.mark.parametrize(
    ("listed_as", "author", "licence", "address"),
    [
        ("BucketHit*", "ala", "CC-BY-3.0", ""),
        ("Bat: Chirp", "ala", "CC-BY-3.0", ""),
        ("WindLoop", "ERH", "CC-BY-3.0", "http://www.freesound.org/people/ERH/sounds/34338/"),
        ("Snap", "two", "CC-BY-3.0", "http://two.org/2/"),
        ("LightMetalHit2", "kibibu", "CC0-1.0", "http://www.freesound.org/people/kibibu/sounds/22435/"),
    ],
)
def test_openclonk_notices(listed_as, author, licence, address):
    assert originals.openclonk_notice(AUTHORS, "a title", listed_as) == Notice("a title", author, licence, address)


def test_a_sound_that_openclonk_does_not_list_is_refused():
    with pytest.raises(ValueError, match="does not list 'Hits/Bang' as 'Bang'"):
        originals.openclonk_notice(AUTHORS, "Hits/Bang", "Bang")


def test_opensfx_notices():
    label = '"Cow". Original "Moo.wav" by "Ann". Edited by "Wuzzy". License: Creative Commons {}.'
    notice = originals.opensfx_notice(label.format("Zero 1.0"))
    assert notice == Notice("Cow", 'Original "Moo.wav" by "Ann", edited by "Wuzzy"', "CC0-1.0", "")
    assert originals.opensfx_notice(label.format("Attribution 3.0 Unported")).licence == "CC-BY-3.0"
    with pytest.raises(ValueError, match="ShareAlike 3.0 Unported', which is not allowed"):
        originals.opensfx_notice(label.format("Attribution-ShareAlike 3.0 Unported"))


def test_debian_notices():
    text = """Files: a.ogg
 b.ogg
Copyright: 2014, Ann,
           Bob
License: CC-BY-4.0
Comment: https://example.org/people/ann/

Files: c.ogg
Copyright: Cid
License: CC-BY-SA-3.0
"""
    expected = Notice("B", "2014, Ann, Bob", "CC-BY-4.0", "https://example.org/people/ann/")
    assert originals.debian_notice(text, "b.ogg", "B") == expected
    with pytest.raises(ValueError, match="CC-BY-SA-3.0', which is not allowed"):
        originals.debian_notice(text, "c.ogg", "C")
    with pytest.raises(ValueError, match=r"no stanza of d.ogg"):
        originals.debian_notice(text, "d.ogg", "D")


def test_sonic_pi_and_animal_notices():
    text = """Creative Commons 0
* `:perc_bell_2`- https://freesound.org/people/The%20One/sounds/4/
* `tbd` - Donated by X Y under a CC0 license
"""
    assert originals.sonic_pi_notice(text, "perc_bell2") == Notice(
        "perc_bell2", "The One", "CC0-1.0", "https://freesound.org/people/The%20One/sounds/4/"
    )
    assert originals.sonic_pi_notice(text, "tbd").author == "X Y"
    with pytest.raises(ValueError, match="does not list 'kick'"):
        originals.sonic_pi_notice(text, "kick")
    table = "CC0 license by Joseph SARDIN\n| Cow | https://example.org/cow.html |\n"
    assert originals.animal_notice(table, "Cow").address == "https://example.org/cow.html"
    with pytest.raises(ValueError, match="does not list 'Dog'"):
        originals.animal_notice(table, "Dog")


def test_a_package_whose_checksum_differs_is_refused_before_it_is_unpacked(tmp_path):
    content = b"a sample"
    with tarfile.open(tmp_path / "sounds-1.0.tgz", "w:gz") as tar:
        entry = tarfile.TarInfo("package/a.flac")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    checksum = hashlib.sha256((tmp_path / "sounds-1.0.tgz").read_bytes()).hexdigest()
    good = packages.Package("sounds", "1.0", "npm", checksum)
    place = packages.unpacked(good, tmp_path, tmp_path / "unpacked")
    assert (place / "package/a.flac").read_bytes() == content
    with pytest.raises(ValueError, match="its SHA-256 is .*, that of sounds 1.0 is 00"):
        packages.unpacked(packages.Package("sounds", "1.0", "npm", "00"), tmp_path, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_package_that_its_client_cannot_fetch_is_an_error_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(packages._CLIENTS, "apt", "no-such-client")
    arguments = ["--folder", str(tmp_path / "bank"), "--downloads", str(tmp_path)]
    assert __main__.main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: fluid-soundfont-gm 3.1-5.3 is fetched by no-such-client, which is not installed")


class FakeSynth:
    """TinySoundFont's interface; the left channel of a note has the level of its key, and goes on for 10 ms."""

    def __init__(self, samplerate):
        self.calls, self.level, self.remains = [("rate", samplerate)], 0.0, 0.0

    def sfload(self, path):
        return 3

    def sfpreset_name(self, font, bank, program):
        return "Whistle"

    def program_select(self, channel, font, bank, program, is_drums=False):
        self.calls.append((channel, bank, program, is_drums))

    def noteon(self, channel, key, velocity):
        self.level = key / 100

    def noteoff(self, channel, key):
        self.remains, self.level = self.level, 0.0

    def sounds_off(self):
        pass

    def generate(self, samples):
        stereo = np.full((samples, 2), -1, np.float32)
        stereo[:, 0] = self.level
        stereo[: min(samples, 480), 0] += self.remains
        self.remains = 0.0
        return memoryview(stereo.tobytes())


@pytest.fixture
def soundfont(tmp_path, monkeypatch):
    """An unpacked package of Fluid, and a synthesiser that stands in for TinySoundFont."""
    (tmp_path / "usr/share/doc/fluid").mkdir(parents=True)
    (tmp_path / "usr/share/doc/fluid/copyright").write_text("I hereby release Fluid under the MIT license")
    (tmp_path / "usr/share/sounds/sf2").mkdir(parents=True)
    (tmp_path / "usr/share/sounds/sf2/Fluid.sf2").write_bytes(b"RIFF")
    monkeypatch.setitem(sys.modules, "tinysoundfont", SimpleNamespace(Synth=FakeSynth))
    return tmp_path


def test_a_note_is_one_channel_and_begins_without_the_end_of_the_one_before(soundfont):
    original = fluid(soundfont)
    original(Key(0, 73, 90, 0.5, 0.0))
    found = original(Key(DRUMS, 0, 60, 0.5, 0.1))
    assert len(found.samples) == round(0.6 * SAMPLE_RATE)
    assert found.samples[200:7000] == pytest.approx(0.6, abs=0.01), "the left channel, at the level of the key"
    assert np.abs(found.samples[:200]).max() < 0.7
    assert found.notice == Notice("Fluid (R3): Whistle, key 60", "Frank Wen", "MIT", "")
    assert Key(0, 0, 69, 1, 1).pitch_hz == 440


def test_without_tinysoundfont_or_the_licence_notes_are_refused(soundfont, monkeypatch):
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    with pytest.raises(ValueError, match="pip install --no-deps tinysoundfont"):
        fluid(soundfont)
    (soundfont / "usr/share/doc/fluid/copyright").write_text("GPL")
    with pytest.raises(ValueError, match="does not release Fluid under the MIT license"):
        fluid(soundfont)


def test_a_folder_that_holds_something_else_is_not_replaced(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert __main__.main(["--folder", str(tmp_path)]) == 1
    assert "holds something that is no bank" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_bank_is_made_of_packages_and_replaces_the_one_before(tmp_path, monkeypatch):
    moo = wav(tones(300, 0.5))
    label = '"Cow". By Ann. License: Creative Commons Attribution 3.0 Unported.'
    folder = tmp_path / "package/usr/share/games/openttd/baseset/opensfx"
    folder.mkdir(parents=True)
    (folder / "opensfx.cat").write_bytes(sound_set([(label, moo)]))
    (tmp_path / "package/usr/share/doc/fluid").mkdir(parents=True)
    (tmp_path / "package/usr/share/doc/fluid/copyright").write_text("OTHER DEALINGS IN THE SOFTWARE.")
    monkeypatch.setattr(build, "unpacked", lambda package, downloads, folder: tmp_path / "package")
    monkeypatch.setattr(build, "_OPENERS", {"opensfx": originals.opensfx})
    monkeypatch.setattr(build, "INSTRUMENTS", ())
    monkeypatch.setattr(build, "SALAMANDER_NOTES", ())
    for kind in ("calf", "cow"):
        monkeypatch.setattr(build, "TAKES", (Take(kind, "opensfx", "Cow"),))
        build.build(tmp_path / "assets/bank", tmp_path / "assets/CREDITS.md", tmp_path)
    bank = open_bank(tmp_path / "assets/bank")
    (cow,) = bank.recordings("cow")
    assert bank.kinds == ("cow",) and (cow.author, cow.licence) == ("Ann", "CC-BY-3.0")
    assert sorted(path.name for path in (tmp_path / "assets/bank").iterdir()) == ["cow.ogg", "index.json"]
    assert "“Cow” by Ann. From OpenSFX" in (tmp_path / "assets/CREDITS.md").read_text("utf-8")
    monkeypatch.setattr(build, "TAKES", (Take("cow", "opensfx", "Calf"),))
    with pytest.raises(ValueError, match="has no sound 'Calf'"):
        build.build(tmp_path / "assets/bank", tmp_path / "assets/CREDITS.md", tmp_path)
    assert open_bank(tmp_path / "assets/bank").kinds == ("cow",), "what was there stays"


def tones(pitch_hz, duration_s, partials=(1, 0.5, 0.3)):
    times = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    waves = (level * np.sin(2 * np.pi * pitch_hz * (k + 1) * times) for k, level in enumerate(partials))
    return (0.2 * sum(waves)).astype(np.float32)


def test_an_event_is_cut_out_of_silence_and_a_hit_out_of_noise():
    silence = np.zeros(SAMPLE_RATE, np.float32)
    found = cutting.event(np.concatenate([silence, tones(400, 0.3), silence]))
    assert abs(len(found) / SAMPLE_RATE - 0.3) < 0.02
    assert np.abs(found).max() == pytest.approx(0.9)
    assert cutting.onset_s(found) < 0.01
    noise = np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE).astype(np.float32)
    hit = cutting.event(np.concatenate([noise, tones(400, 0.3)]), lead_db=-14)
    assert len(hit) / SAMPLE_RATE < 0.32
    with pytest.raises(ValueError, match="is silent"):
        cutting.event(silence)


def test_a_recording_of_three_barks_becomes_three_events_without_the_faint_one():
    silence = np.zeros(SAMPLE_RATE // 2, np.float32)
    parts = [part for level in (1, 0.7, 0.05, 0.9) for part in (silence, level * tones(300, 0.2))]
    found = cutting.events(np.concatenate([*parts, silence]))
    assert [round(len(one) / SAMPLE_RATE, 1) for one in found] == [0.2, 0.2, 0.2]


def test_a_steady_sound_becomes_stretches_of_one_level():
    noise = np.random.default_rng(0).normal(0, 1, 25 * SAMPLE_RATE).astype(np.float32)
    found = cutting.stretches(noise, longest_s=10)
    assert [len(one) for one in found] == [10 * SAMPLE_RATE] * 2
    assert [float(np.sqrt(np.mean(one**2))) for one in found] == pytest.approx([0.1, 0.1], rel=1e-3)
    faint = noise[:8000] * np.float32(1e-3)
    faint[4000] = 1
    (click,) = cutting.stretches(faint)
    assert np.abs(click).max() == pytest.approx(0.95), "the level of a click is its peak's"


def test_equal_recordings_are_found_in_another_place_and_at_another_level():
    one = np.random.default_rng(0).normal(0, 1, 4000).astype(np.float32)
    other = np.random.default_rng(1).normal(0, 1, 4000).astype(np.float32)
    assert cutting.same(one, 0.3 * np.concatenate([np.zeros(50, np.float32), one]))
    assert not cutting.same(one, other)


@pytest.mark.parametrize("pitch_hz", [55.0, 261.6, 1760.0])
def test_pitches_are_measured(pitch_hz):
    assert measured_pitch_hz(tones(pitch_hz, 1.0), pitch_hz * 1.06) == pytest.approx(pitch_hz, rel=0.002)
    assert pitch_near_hz(tones(pitch_hz, 1.0), pitch_hz) == pytest.approx(pitch_hz, rel=0.002)
    assert pitch_near_hz(tones(pitch_hz * 1.06, 1.0), pitch_hz) is None
    # A bell whose octave is far stronger than its pitch.
    assert pitch_near_hz(tones(pitch_hz, 1.0, (0.02, 1, 0, 0.3)), pitch_hz) == pytest.approx(pitch_hz, rel=0.002)


def test_one_recording_in_six_is_held_out_of_five_or_more():
    assert build.splits(["a", "b", "c", "d"]) == ["train"] * 4
    assert build.splits(list("abcde")).count("test") == 1
    assert build.splits(list("abcdefghijkl")).count("test") == 2
    # All recordings of an original have one split, where there are enough originals.
    assert build.splits(list("aabbccddddee")) == ["train"] * 6 + ["test"] * 4 + ["train"] * 2
    assert build.splits(list("aaaaaa")).count("test") == 1


def test_what_is_stored_is_read_again_and_equal_sounds_only_once(tmp_path):
    notice = Notice("A bell", "Ann", "CC-BY-3.0", "https://example.org/bell")
    rain = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    cuts = [
        build.Cut("bell", "blanket", notice, tones(440, 0.5), pitch_hz=440.0),
        build.Cut("bell", "blanket", notice, tones(660, 0.4)),
        build.Cut("bell", "blanket", notice, tones(660, 0.4)),
        build.Cut("rain", "blanket", notice, rain, loopable=True),
    ]
    entries = build.stored(cuts, tmp_path / "bank")
    bank = open_bank(tmp_path / "bank")
    assert bank.kinds == ("bell", "rain")
    first, second = bank.recordings("bell")
    assert (first.pitch_hz, second.pitch_hz, first.duration_s, second.duration_s) == (440.0, None, 0.5, 0.4)
    assert bank.recordings("rain")[0].loopable
    assert measured_pitch_hz(bank.samples(second), 660) == pytest.approx(660, rel=0.002)
    before = (tmp_path / "bank/bell.ogg").read_bytes()
    build.stored(cuts, tmp_path / "again")
    assert (tmp_path / "again/bell.ogg").read_bytes() == before
    text = credits_text(entries, "")
    assert "- “A bell” by Ann. <https://example.org/bell> From Blanket, Debian package blanket (bell, rain)." in text


def test_an_ogg_file_with_another_stream_number_decodes_the_same():
    file = io.BytesIO()
    soundfile.write(file, tones(440, 0.5), SAMPLE_RATE, format="OGG", subtype="VORBIS")
    data = file.getvalue()
    changed = with_serial(data, 7)
    assert changed != data and with_serial(changed, struct.unpack_from("<I", data, 14)[0]) == data
    assert np.array_equal(soundfile.read(io.BytesIO(changed))[0], soundfile.read(io.BytesIO(data))[0])
    with pytest.raises(ValueError, match="no page begins at byte"):
        with_serial(data + b"more", 7)


def test_every_take_is_of_a_package_that_is_named_and_every_note_has_a_key():
    assert {take.library for take in TAKES} <= set(packages.PACKAGES)
    assert {take.cut for take in TAKES} == {"event", "hit", "events", "stretch"}
    assert note_key("C4") == 60 and note_key("A4") == 69
    assert len({note_key(name) for name in SALAMANDER_NOTES}) == len(SALAMANDER_NOTES)
