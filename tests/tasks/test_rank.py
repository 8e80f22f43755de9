"""CLAP's scores of files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.generation.candidates import clap_scores
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.tasks.rank import rank
from ppaudioldm.weights import original
from ppaudioldm.weights.checkpoint import random_checkpoint
from ppaudioldm.weights.mapping import write_parameters
from ppaudioldm.weights.tokenizer_files import TOKENIZERS, write_tokenizer
from ppaudioldm.weights.torch_files import write_torch
from tests.tasks.examples import KnownPipeline, sound, untrained
from tests.weights.examples import stored


def test_scores(tmp_path):
    files = [tmp_path / "a.wav", tmp_path / "b.flac"]
    soundfile.write(files[0], sound(0.5, 48000), 48000, "FLOAT")
    soundfile.write(files[1], sound(12, 8000, 2), 8000)
    scores = rank(untrained(), files, ["A dog", "Birds", "A dog"])
    assert scores.shape == (2, 3) and np.abs(scores).max() <= 1.0001
    np.testing.assert_allclose(scores[:, 0], scores[:, 2], atol=1e-6)
    text = untrained().embed_text(["Birds"])[0]
    expected = clap_scores(untrained().engine, text, sound(0.5, 48000).T, 48000)
    np.testing.assert_allclose(scores[0, 1], expected[0], atol=1e-5)


def test_what_cannot_be_ranked(tmp_path):
    (tmp_path / "a.wav").write_text("hello")
    with pytest.raises(ValueError, match="a.wav is not a sound file"):
        rank(untrained(), [tmp_path / "a.wav"], ["A dog"])
    with pytest.raises(ValueError, match="files is 'a.wav'"):
        rank(untrained(), "a.wav", ["A dog"])
    with pytest.raises(ValueError, match="prompt is an empty list"):
        rank(untrained(), ["a.wav"], [])
    with pytest.raises(ValueError, match="silent has no CLAP"):
        rank(KnownPipeline(replace(UNTRAINED, clap_audio=None), name="silent"), ["a.wav"], ["A dog"])


def test_a_file_without_clap_generates_one_candidate_and_ranks_none(tmp_path):
    inner = "cond_stage_models.0.cond_stage_models.0.model.audio_"
    random = random_checkpoint("untrained", UNTRAINED, 0)
    tensors: dict = {"scale_factor": stored(np.asarray(UNTRAINED.vae.scale_factor, np.float32))}
    for network, parameters in random.networks.items():
        tensors.update(write_parameters(network, parameters, original.layout(UNTRAINED)))
    write_torch(tmp_path / "x.pth", [(k, t) for k, t in tensors.items() if not k.startswith(("clap.", inner))])
    for kind in TOKENIZERS:
        write_tokenizer(kind, tmp_path / "x", random.tokenizer_json(kind))
    pipeline = AudioLDM.from_pretrained(str(tmp_path / "x.pth"), engine="eager", device="cpu", precision="f32")
    clip = pipeline.generate("A dog", duration=0.5, num_inference_steps=1, seed=1)
    expected = untrained().generate("A dog", duration=0.5, num_inference_steps=1, seed=1)
    np.testing.assert_allclose(clip.waveforms, expected.waveforms, atol=1e-4)
    with pytest.raises(ValueError, match="num_waveforms_per_prompt is 2, allowed: 1, unscored, as there is no"):
        pipeline.generate("A dog", duration=0.5, num_waveforms_per_prompt=2)
    with pytest.raises(ValueError, match="x has no CLAP"):
        rank(pipeline, ["a.wav"], ["A dog"])
