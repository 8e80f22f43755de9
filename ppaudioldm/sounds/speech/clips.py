"""Spoken clips by number: sentence, description, waveform and phones, synthesised by the program flite.

flite (Debian package `flite`, voices under a permissive licence of Carnegie Mellon University) is needed for training
data only. It synthesises the same sound for the same sentence and delivery, always.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ppaudioldm.sounds.speech import sentences
from ppaudioldm.sounds.speech.alignment import PAUSE, Phone
from ppaudioldm.sounds.speech.held_out import COMMANDS, HARVARD
from ppaudioldm.sounds.speech.speakers import SPEAKERS, Delivery, delivery

SAMPLE_RATE = 16000  # Hz, of flite's voices
LEAD_S = 0.08  # silence before the first word, always the same: the onset is nothing that a model has to guess
TAIL_S = 0.10  # at least, behind the last word
LEVEL = 0.08  # root mean square of what is not silent
PEAK = 0.95
SILENCE = 0.02  # of the peak: below it, a sample counts as silent
NOISE_FLOOR = 10 ** (-60 / 20)  # without one, most of a log-mel spectrogram would be its lower limit
TIMEOUT_S = 60
ATTEMPTS = 20


@dataclass(frozen=True)
class Speech:
    waveform: np.ndarray  # (samples,) float32 at 16 kHz
    phones: tuple[Phone, ...]  # with pauses, in seconds of the waveform


@dataclass(frozen=True)
class SpokenClip:
    waveform: np.ndarray  # (samples,) float32 at 16 kHz
    text: str
    speaker: str  # a key of SPEAKERS
    description: str
    phones: tuple[Phone, ...]  # in seconds of the waveform


def spoken_clip(
    number: int,
    duration: float,
    split: str = "train",
    speakers: tuple[str, ...] = tuple(SPEAKERS),
    variation: float = 0.3,
    seed: int = 0,
) -> SpokenClip:
    """Clip `number` of a split, "train" or "test", `duration` seconds long: a pure function.

    The test split has other sentences, `held_out`, and other descriptions. A sentence that takes longer than the clip
    is replaced by another one. Raises ValueError without flite, and if nothing fits.
    """
    numbers = (seed, number, split == "test")
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(numbers)))
    for _ in range(ATTEMPTS):
        manner = delivery(generator, split, speakers, variation)
        most = int((duration - LEAD_S - TAIL_S) * SPEAKERS[manner.speaker].letters_per_s)
        text = _held_out(generator, most) if split == "test" else sentences.text(generator, most)
        speech = synthesise(text, manner)
        if len(speech.waveform) <= round((duration - LEAD_S - TAIL_S) * SAMPLE_RATE):
            waveform = placed(speech.waveform, duration, generator)
            return SpokenClip(waveform, text, manner.speaker, manner.description, _later(speech.phones, LEAD_S))
    raise ValueError(f"duration is {duration:g}, allowed: seconds in which a sentence can be said")


def _held_out(generator: np.random.Generator, most: int) -> str:
    fitting = [text for text in (*COMMANDS, *HARVARD) if len(text) <= most]
    if not fitting:
        raise ValueError(f"no held-out sentence has {most} letters or fewer, allowed: longer clips")
    return fitting[generator.integers(len(fitting))]


def synthesise(text: str, manner: Delivery) -> Speech:
    """`text` as flite speaks it, at LEVEL and without silence at its ends.

    Raises ValueError if flite is not installed or lacks the voice.
    """
    import soundfile

    program = shutil.which("flite")
    if program is None:
        raise ValueError("spoken training data needs the program flite: apt-get install flite")
    voice = SPEAKERS[manner.speaker].voice
    options = ["-voice", voice, "-psdur"]
    if manner.pitch_hz:
        options += ["--setf", f"int_f0_target_mean={manner.pitch_hz:g}"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        done = subprocess.run(
            [program, *options, "-t", text, "-o", str(path)], capture_output=True, timeout=TIMEOUT_S, check=False
        )
        # flite takes its first voice for one that it does not know, and says so.
        if done.returncode or not path.is_file() or b"not found" in done.stderr:
            lines = done.stderr.decode(errors="replace").split("\n")
            raise ValueError(f"flite, voice {voice}, failed: {lines[0][:200] or done.returncode}")
        sound, rate = soundfile.read(path, dtype="float32")
    if rate != SAMPLE_RATE:
        raise ValueError(f"flite, voice {voice}: sound of {rate} Hz, expected {SAMPLE_RATE}")
    loud = np.flatnonzero(np.abs(sound) > SILENCE * np.abs(sound).max())
    if not len(loud):
        raise ValueError(f"flite, voice {voice}: silence for {text!r}")
    speech = sound[loud[0] : loud[-1] + 1]
    level = min(LEVEL / float(np.sqrt(np.mean(speech**2))), PEAK / float(np.abs(speech).max()))
    phones = _later(_phones(done.stdout, voice), -int(loud[0]) / SAMPLE_RATE)
    return Speech((speech * np.float32(level)).astype(np.float32), phones)


def _phones(output: bytes, voice: str) -> tuple[Phone, ...]:
    """What flite prints of a sentence: its phones, each with the time at which it ends, such as `pau:0.198 t:0.252`."""
    phones: list[Phone] = []
    try:
        for word in output.decode("ascii").split():
            name, _, end = word.rpartition(":")
            phones.append(Phone(name, phones[-1].end if phones else 0.0, float(end)))
    except ValueError as error:
        raise ValueError(f"flite, voice {voice}, printed {output[:200]!r}, expected phones and times") from error
    if all(phone.name == PAUSE for phone in phones):
        raise ValueError(f"flite, voice {voice}, printed no phones")
    return tuple(phones)


def _later(phones: tuple[Phone, ...], seconds: float) -> tuple[Phone, ...]:
    return tuple(Phone(phone.name, phone.start + seconds, phone.end + seconds) for phone in phones)


def placed(speech: np.ndarray, duration: float, generator: np.random.Generator) -> np.ndarray:
    """A clip with `speech` behind LEAD_S of silence, and a floor of noise."""
    clip = generator.standard_normal(round(duration * SAMPLE_RATE), np.float32) * np.float32(NOISE_FLOOR)
    start = round(LEAD_S * SAMPLE_RATE)
    clip[start : start + len(speech)] += speech
    return clip
