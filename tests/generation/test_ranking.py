from __future__ import annotations

import numpy as np
import pytest

from ppaudioldm import framework
from ppaudioldm.audio.clap_mel import clap_log_mel
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.engines.eager import EagerEngine
from ppaudioldm.generation.candidates import clap_embedding, clap_scores
from ppaudioldm.models.clap_audio import ClapAudio
from ppaudioldm.weights.checkpoint import random_checkpoint
from tests.support import load_golden, noise, random_network, relative_error, run

RATE = 48000


def sweep(seconds: float) -> np.ndarray:
    """A tone that rises and falls over 10 s again and again, and some noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2000 * np.pi * (time + np.sin(0.2 * np.pi * time)))
    return (0.2 * tone + 0.02 * noise(len(time))).astype(np.float32)


# name -> (waveform at 48 kHz, the part that CLAP embeds)
EMBEDDED = {
    "silence": (np.zeros(RATE, np.float32), slice(None)),
    "half a second": (sweep(0.5), slice(None)),
    "10 s": (sweep(10), slice(None)),
    "30 s": (sweep(30), slice(10 * RATE)),
}


@pytest.mark.parametrize("name", EMBEDDED)
def test_embeddings_are_the_public_references(name):
    """See tests/parity/test_clap_audio.py."""
    network = random_network("clap_audio", ClapAudio, UNTRAINED.clap_audio)
    embedding = run(network, clap_log_mel(EMBEDDED[name][0])[None])[0]
    assert relative_error(embedding, load_golden("clap_heard")[name]) < 1e-4


@pytest.fixture(scope="module")
def engine() -> EagerEngine:
    return EagerEngine(random_checkpoint("untrained", UNTRAINED, 0), "cpu")


def test_scores_are_cosines(engine):
    waveforms = np.stack([sweep(0.5), np.zeros(RATE // 2, np.float32), noise(RATE // 2)])
    text = clap_embedding(engine, waveforms[0], RATE)
    scores = clap_scores(engine, text, waveforms, RATE)
    assert scores.shape == (3,) and scores[0] == pytest.approx(1, abs=1e-5)
    assert (np.abs(scores[1:]) < 0.999).all()


def test_only_the_beginning_is_resampled(engine, monkeypatch):
    """Of a long recording at a low rate, so that memory is bounded; and it makes no difference."""
    import soxr

    long = np.repeat(sweep(12)[::3], 3)[: 12 * 16000]
    expected = run(engine_network(engine), clap_log_mel(soxr.resample(long, 16000, RATE))[None])[0]
    lengths = []
    original = soxr.resample
    monkeypatch.setattr(soxr, "resample", lambda x, *rates: lengths.append(len(x)) or original(x, *rates))
    assert relative_error(clap_embedding(engine, long, 16000), expected) < 1e-4
    assert lengths[0] < 11 * 16000


def engine_network(engine: EagerEngine):
    engine.prepare("clap_audio")
    return engine._networks["clap_audio"]


@pytest.mark.parametrize("waveform", [np.zeros(0, np.float32), np.full(500, np.nan, np.float32)])
def test_refuses(engine, waveform):
    with pytest.raises(ValueError, match="empty|not finite"):
        clap_embedding(engine, waveform, RATE)


@pytest.mark.skipif(framework.NAME != "paddle", reason="only Paddle's programs are translated")
def test_silence_through_openvino():
    """Silence is the extreme of the input: -100 dB everywhere."""
    from ppaudioldm.openvino_engine.engine import OpenVINOEngine
    from ppaudioldm.openvino_engine.translator import Translator

    checkpoint = random_checkpoint("untrained", UNTRAINED, 1)
    embedding = clap_embedding(OpenVINOEngine(Translator(checkpoint), "f32"), EMBEDDED["silence"][0], RATE)
    assert relative_error(embedding, load_golden("clap_heard")["silence"]) < 1e-4
