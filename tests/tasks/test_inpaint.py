"""Parts of a recording made anew: what is kept to the bit, what the network is told to keep, levels at the joins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from ppaudioldm.audio.bands import band_filter, filtered
from ppaudioldm.audio.joins import FADE_S
from ppaudioldm.audio.mel_filters import MEL_16K, mel_edges
from ppaudioldm.audio.read import read_audio
from ppaudioldm.checkpoints import UNTRAINED
from ppaudioldm.generation.clip import Cancelled
from ppaudioldm.generation.options import Progress
from ppaudioldm.tasks.inpaint import bands_of, inpaint, spans_of
from tests.tasks.examples import FAST, KnownPipeline, decibels, sound, untrained

RATE = 16000


def kept_samples(clip, count: int) -> np.ndarray:
    """(count,) bool."""
    mask = np.zeros(count, bool)
    for start, end in clip.kept:
        mask[start:end] = True
    return mask


# ---- To the bit


@pytest.mark.parametrize(
    ("name", "encoding", "rate", "channels"),
    [
        ("x.wav", "PCM_16", 44100, 2),
        ("x.wav", "PCM_24", 8000, 1),
        ("x.wav", "PCM_32", 22050, 1),
        ("x.wav", "FLOAT", 16000, 8),
        ("x.wav", "DOUBLE", 48000, 1),
        ("x.flac", "PCM_24", 11025, 2),
        ("x.ogg", None, 44100, 1),
        ("x.mp3", None, 44100, 2),
    ],
)
def test_what_is_outside_ranges_and_fades_is_written_as_it_was(tmp_path, name, encoding, rate, channels):
    soundfile.write(tmp_path / name, sound(1, rate, channels), rate, encoding)
    clip = inpaint(KnownPipeline(), tmp_path / name, ranges=[(0.2, 0.4), (0.7, 0.75)], **FAST)
    (path,) = clip.save(tmp_path / ("y.flac" if name.endswith("flac") else "y.wav"))
    before, _ = read_audio(tmp_path / name, mono=False, exact=True)
    if not name.endswith("mp3"):  # of which each decoder rounds in its own way
        np.testing.assert_array_equal(before, soundfile.read(tmp_path / name, always_2d=True)[0])
    after, after_rate = soundfile.read(path, dtype="float64", always_2d=True)
    assert after_rate == rate and after.shape == before.shape
    if encoding:
        assert soundfile.info(path).subtype == encoding
    time = np.arange(len(before)) / rate
    outside = ~((time > 0.2 - FADE_S) & (time < 0.4 + FADE_S) | (time > 0.7 - FADE_S) & (time < 0.75 + FADE_S))
    outside &= np.abs(time - np.round(time, 2)) > 0.5 / rate  # the very edges, which are rounded to samples
    np.testing.assert_array_equal(after[outside], before[outside])
    inside = (time > 0.2) & (time < 0.4)
    assert (np.abs(after - before)[inside] > 1e-3).mean() > 0.5
    assert kept_samples(clip, len(before))[outside].all() and clip.fade == FADE_S


def test_on_networks():
    recording = sound(0.7, 44100, 2)
    clip = inpaint(untrained(), (recording, 44100), ranges=[(0.1, 0.2)], **FAST)
    mask = kept_samples(clip, len(recording))
    assert 0.7 < mask.mean() < 0.9 and clip.waveforms.shape == (1, *recording.shape)
    assert clip.waveforms[0][mask].tobytes() == recording[mask].tobytes()
    assert np.isfinite(clip.waveforms).all() and not np.allclose(clip.waveforms[0][~mask], recording[~mask], atol=1e-3)
    assert clip.seeds == (3,) and clip.prompts == ("",) and "denoise" in clip.seconds
    again = inpaint(untrained(), (recording, 44100), ranges=[(0.1, 0.2)], **FAST)
    np.testing.assert_array_equal(again.waveforms, clip.waveforms)
    other = inpaint(untrained(), (recording, 44100), "A dog", ranges=[(0.1, 0.2)], **FAST)
    assert not np.allclose(other.waveforms, clip.waveforms)


def test_the_input_is_not_written_to():
    recording = sound(1)
    copy = recording.copy()
    inpaint(KnownPipeline(), (recording, RATE), ranges=[(0.2, 0.4)], **FAST)
    np.testing.assert_array_equal(recording, copy)


# ---- Time


def test_the_network_keeps_all_that_has_no_share_in_a_range():
    pipeline = KnownPipeline()
    inpaint(pipeline, (sound(2), RATE), ranges=[(0.5, 0.81)], **FAST)
    (condition,) = pipeline.conditions
    np.testing.assert_array_equal(condition.keep_mask.min(1), condition.keep_mask.max(1))
    np.testing.assert_array_equal(np.flatnonzero(condition.keep_mask[:, 0] == 0), np.arange(12, 21))  # 40 ms each


def test_a_range_to_the_end_may_go_beyond():
    pipeline = KnownPipeline()
    clip = inpaint(pipeline, (sound(0.5), RATE), ranges=[(0.3, None)], **FAST)
    assert not pipeline.conditions[0].keep_mask[8:].any() and pipeline.conditions[0].keep_mask[:7].all()
    assert clip.waveforms.shape == (1, 8000) and clip.kept == ((0, 4480),)


def test_only_what_is_near_is_processed():
    pipeline = KnownPipeline()
    recording = sound(120, 8000)
    clip = inpaint(pipeline, (recording, 8000), ranges=[(50, 51), (52, 53), (100, 112)], **FAST)
    assert [round(len(encoded) / RATE, 2) for encoded in pipeline.encoded] == [11.24 + 1, 12 + 2 * 2.56]
    assert len(clip.kept) == 4 and clip.seconds["denoise"] == 2 and clip.seconds["encode"] >= 0
    np.testing.assert_array_equal(
        clip.waveforms[0][kept_samples(clip, 960_000)], recording[:, 0][kept_samples(clip, 960_000)]
    )


@pytest.mark.parametrize("loudness", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("level", [0.2, 0.01])
def test_no_level_steps_at_the_joins(loudness, level):
    rate = 44100
    recording = sound(4, rate, 2, level=level)
    # Only what the checkpoint can make, or the joins could not be compared; the right channel is quieter.
    recording = filtered(recording.astype(np.float64), band_filter([(100, 7000)], rate)) * [1, 0.5] + 0.01
    clip = inpaint(KnownPipeline(loudness=loudness), (recording, rate), ranges=[(1, 2)], **FAST)
    made = clip.waveforms[0] - 0.01
    for channel in range(2):
        parts = [made[round(a * rate) : round((a + 0.25) * rate), channel].std() for a in (0.7, 1.0, 1.75, 2.05)]
        assert np.abs(decibels(np.array(parts) / parts[0])).max() < 1.0
    assert abs(made[rate : 2 * rate].mean()) < 0.003  # the mean is the recording's


def test_each_join_has_its_own_level():
    pipeline = KnownPipeline(loudness=np.linspace(2, 0.5, 4 * RATE))  # of a sound as loud at the end as at the start
    clip = inpaint(pipeline, (sound(4), RATE), ranges=[(1, 3)], **FAST)
    levels = np.array([clip.waveforms[0][start : start + 4000].std() for start in (11000, 16000, 44000, 49000)])
    assert np.abs(decibels(levels / levels[0])).max() < 1.5


# ---- Frequency


def test_frequencies_everywhere():
    pipeline = KnownPipeline(loudness=0.5)
    recording = sound(3)
    clip = inpaint(pipeline, (recording, RATE), frequencies=[(2000, 4000)], **FAST)
    keep = pipeline.conditions[0].keep_mask
    edges = mel_edges(MEL_16K)
    for band in range(16):
        reached = edges[4 * band] < 4000 and edges[4 * band + 5] > 2000
        assert (keep[:, band] == (not reached)).all()
    changed = clip.waveforms[0][:, None] - recording.astype(np.float64)
    rest = filtered(changed, band_filter([(0, 1900), (4100, 8000)], RATE))
    assert np.abs(rest[1000:-1000]).max() < 1e-4 * np.abs(recording).max()  # a filter ends with the recording
    inside = band_filter([(2100, 3900)], RATE)
    made, was = filtered(clip.waveforms[0][:, None].astype(np.float64), inside), filtered(recording, inside)
    assert abs(decibels(made.std() / was.std())) < 1 and np.abs(np.corrcoef(made[:, 0], was[:, 0])[0, 1]) < 0.2
    assert clip.kept == ()


def test_frequencies_within_times():
    pipeline = KnownPipeline()
    recording = sound(3)
    clip = inpaint(pipeline, (recording, RATE), ranges=[(1, 2)], frequencies=[(6000, None)], **FAST)
    keep = pipeline.conditions[0].keep_mask
    assert keep[:24].all() and keep[51:].all() and keep[25:50, :10].all() and not keep[25:50, 15].any()
    mask = kept_samples(clip, 48000)
    np.testing.assert_array_equal(clip.waveforms[0][mask], recording[mask, 0])
    changed = clip.waveforms[0][17000:31000, None].astype(np.float64) - recording[17000:31000]
    low = filtered(changed, band_filter([(0, 5900)], RATE))[1000:-1000]
    assert np.abs(low).max() < 1e-4 * np.abs(recording).max() and np.abs(changed).max() > 0.01


def test_what_comes_back_as_it_was_changes_nothing():
    pipeline = KnownPipeline()
    pipeline.generate = lambda *args, audio_condition, **settings: KnownPipeline.generate(
        pipeline, *args, audio_condition=replace(audio_condition, keep_mask=None), **settings
    )
    recording = sound(2)
    for options in ({"ranges": [(0.5, 1)]}, {"frequencies": [(1000, 3000)]}):
        clip = inpaint(pipeline, (recording, RATE), **options, **FAST)
        np.testing.assert_allclose(clip.waveforms[0], recording[:, 0], atol=1e-5)


# ---- Extremes


@pytest.mark.parametrize("level", [0, 1e-7])
def test_silence_does_not_blow_up(level):
    recording = np.full((16000, 2), 0.25, np.float32) + sound(1, channels=2, level=level)
    clip = inpaint(untrained(), (recording, RATE), "A dog", ranges=[(0.2, 0.4)], **FAST)
    assert np.abs(clip.waveforms).max() < 1.3 and np.isfinite(clip.waveforms).all()


def test_a_click_in_the_range_has_no_say_in_the_level():
    pipeline = KnownPipeline()
    recording = sound(2, level=0.01)
    recording[12000] = 1
    clip = inpaint(pipeline, (recording, RATE), ranges=[(0.7, 0.8)], **FAST)
    assert np.isclose(np.abs(np.delete(pipeline.encoded[0], np.arange(11200, 12800))).max(), 0.5, rtol=0.01)
    assert np.abs(clip.waveforms).max() < 0.1


@pytest.mark.parametrize("seconds", [0.1, 0.29])
def test_a_short_recording(seconds):
    recording = sound(seconds, 44100, 2)
    for options in ({"ranges": [(0.02, 0.05)]}, {"ranges": [(0, seconds)]}, {"frequencies": [(500, 4000)]}):
        clip = inpaint(KnownPipeline(), (recording, 44100), **options, **FAST)
        assert clip.waveforms.shape == (1, *recording.shape) and np.isfinite(clip.waveforms).all()


def test_a_range_that_covers_everything():
    pipeline = KnownPipeline()
    clip = inpaint(pipeline, (sound(1), RATE), ranges=[(0, 0.6), (0.55, 1.0)], **FAST)
    assert clip.kept == () and not pipeline.conditions[0].keep_mask.any()
    assert pipeline.calls[0]["prompt"] is None and len(pipeline.ear) > 10 * RATE


def test_without_a_prompt_audiomae_hears_what_is_kept():
    pipeline = KnownPipeline()
    recording = sound(3)
    recording[16000:24000] = 0.9
    inpaint(pipeline, (recording, RATE), ranges=[(1, 1.5)], **FAST)
    assert len(pipeline.ear) >= 10.24 * RATE and np.abs(pipeline.ear).max() < 0.6
    inpaint(pipeline, (recording, RATE), "A dog", ranges=[(1, 1.5)], **FAST)
    assert pipeline.conditions[1].loa is None and pipeline.conditions[0].loa is not None


def test_without_a_prompt_and_without_audiomae():
    deaf = KnownPipeline(replace(UNTRAINED, audiomae=None), name="deaf")
    with pytest.raises(ValueError, match="prompt is missing, and deaf has no network that encodes a recording"):
        inpaint(deaf, (sound(1), RATE), ranges=[(0.2, 0.4)], **FAST)
    inpaint(deaf, (sound(1), RATE), "A dog", ranges=[(0.2, 0.4)], **FAST)


def test_lost_heights_are_said(caplog):
    inpaint(KnownPipeline(), (sound(1, 44100), 44100), ranges=[(0.2, 0.4)], **FAST)
    assert "no frequencies above 8000 Hz" in caplog.text
    caplog.clear()
    dull = filtered(sound(1, 44100), band_filter([(0, 7000)], 44100))
    inpaint(KnownPipeline(), (dull, 44100), ranges=[(0.2, 0.4)], **FAST)
    assert not caplog.text


# ---- What is not allowed


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([(2, 4)], "range is 2:4, allowed: from a start to a later end within 0 to 3 seconds"),
        ([(0, 1), (5, 6)], "range is 5:6, allowed"),
        ([(1, 1)], "range is 1:1, allowed"),
        ([(2, 1)], "range is 2:1, allowed"),
        ([(-1, 1)], "range is -1:1, allowed"),
        ([(float("nan"), 1)], r"range is \(nan, 1\), allowed: two numbers"),
        ([(0, 1, 2)], r"range is \(0, 1, 2\), allowed: two numbers"),
        (["ab"], "range is 'ab', allowed: two numbers"),
        ([], "no ranges and no frequencies"),
    ],
)
def test_ranges_that_are_none(ranges, message):
    with pytest.raises(ValueError, match=message):
        inpaint(KnownPipeline(), (sound(3), RATE), ranges=ranges, **FAST)


@pytest.mark.parametrize(
    "band", [(2000, 9000), (9000, 10000), (3000, 2000), (-5, 200), (1000, 1050), (1000, float("inf"))]
)
def test_frequencies_that_are_none(band):
    with pytest.raises(ValueError, match=r"frequencies is .*, allowed"):
        inpaint(KnownPipeline(), (sound(3), RATE), frequencies=[band], **FAST)


def test_frequencies_above_what_the_recording_has():
    with pytest.raises(ValueError, match="frequencies is 2000:4000, allowed: 100 Hz or more within 0 to 2000 Hz"):
        inpaint(KnownPipeline(), (sound(3, 4000), 4000), frequencies=[(2000, 4000)], **FAST)


def test_settings_are_looked_at_before_the_work():
    pipeline = KnownPipeline()
    for settings, message in (
        ({"num_inference_steps": 0}, "num_inference_steps is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"preset": "x"}, "unknown preset"),
    ):
        with pytest.raises(ValueError, match=message):
            inpaint(pipeline, (sound(1), RATE), ranges=[(0.2, 0.4)], **settings)
    with pytest.raises(ValueError, match="prompt is ''"):
        inpaint(pipeline, (sound(1), RATE), "", ranges=[(0.2, 0.4)])
    assert not pipeline.encoded


def test_spans_and_bands_that_touch_are_one():
    from ppaudioldm.audio.recording import Recording

    recording = Recording(sound(3), RATE)
    assert spans_of([(1, 1.5), (0.2, 0.3), (1.52, 2), (2.9, 3.005)], recording) == [
        (3200, 4800),
        (16000, 32000),
        (46400, 48000),
    ]
    assert spans_of([(None, 0.5), (2, None)], recording) == [(0, 8000), (32000, 48000)]
    assert spans_of([(1, 1.000001)], recording) == [(16000, 16001)]
    assert bands_of([(3000, 4000), (1000, 2000), (2050, 2900)], 8000) == [(1000, 4000)]


# ---- Progress and stopping


def test_progress_counts_all_parts_and_stops_between_steps():
    seen: list[Progress] = []

    def show(progress: Progress) -> bool:
        seen.append(progress)
        return progress.done < 3

    with pytest.raises(Cancelled) as stopped:
        inpaint(KnownPipeline(), (sound(60, 1000), 1000), ranges=[(1, 1.1), (50, 50.1)], **{**FAST, "progress": show})
    assert stopped.value.clip is None
    assert [(progress.done, progress.total) for progress in seen if progress.stage == "denoise"] == [
        (1, 4),
        (2, 4),
        (3, 4),
    ]


def test_what_was_complete_when_it_was_stopped_is_joined():
    pipeline = KnownPipeline()

    def stopped(*args, **settings):
        raise Cancelled("stopped", KnownPipeline.generate(pipeline, *args, **settings))

    recording = sound(2)
    expected = inpaint(pipeline, (recording, RATE), ranges=[(0.5, 1)], **FAST)
    pipeline.generate = stopped
    with pytest.raises(Cancelled) as caught:
        inpaint(pipeline, (recording, RATE), ranges=[(0.5, 1)], **FAST)
    np.testing.assert_array_equal(caught.value.clip.waveforms, expected.waveforms)
    with pytest.raises(Cancelled) as caught:  # a second part is missing
        inpaint(pipeline, (sound(60, 1000), 1000), ranges=[(0.5, 1), (50, 51)], **FAST)
    assert caught.value.clip is None
