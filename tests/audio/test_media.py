"""Recordings as people have them: MP3 of any kind, phones' formats, videos; headers that promise too much."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from ppaudioldm.audio import media
from ppaudioldm.audio.containers import container_of, first_mp3_frame, mp3_frame_bytes, mp3_states_length, ogg_is_cut
from ppaudioldm.audio.read import count_frames, read_audio, sound_file
from ppaudioldm.audio.recording import open_recording
from ppaudioldm.audio.write import write_audio

RATE = 44100
SECONDS = 3
TIME = np.arange(SECONDS * RATE) / RATE
SOUND = (0.3 * np.sin(2 * np.pi * 300 * TIME) * (1 + np.sin(2 * np.pi * 2 * TIME)) / 2).astype(np.float32)
FORMATS = {  # name -> container, codec
    "a.m4a": ("ipod", "aac"),
    "a.aac": ("adts", "aac"),
    "a.wma": ("asf", "wmav2"),
    "a.webm": ("webm", "libopus"),
    "a.mkv": ("matroska", "aac"),
    "a.mp4": ("mp4", "aac"),
    "a.mov": ("mov", "pcm_s16le"),
    "a.avi": ("avi", "ac3"),
    "a.flv": ("flv", "aac"),
    "a.alac.m4a": ("ipod", "alac"),
}
HAS_PICTURES = ("a.mp4", "a.mkv", "a.avi")


def encoded(path: Path, container: str, codec: str, samples: np.ndarray = SOUND, pictures: bool = False) -> Path:
    """`samples` (n,) in a file of this container; pictures: with a video of one picture a second."""
    with av.open(str(path), "w", format=container) as file:
        video = file.add_stream("mpeg4", rate=1) if pictures else None
        rate = 48000 if codec == "libopus" else RATE
        stream = file.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 128000
        if video:
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
            for _ in range(SECONDS):
                file.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
            file.mux(video.encode(None))
        resampler = av.AudioResampler(
            stream.codec_context.format, "mono", rate, frame_size=stream.codec_context.frame_size or 1024
        )
        for start in range(0, len(samples), 4096):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 4096], format="fltp", layout="mono")
            frame.sample_rate = RATE
            for piece in resampler.resample(frame):
                file.mux(stream.encode(piece))
        for piece in resampler.resample(None):
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))
    return path


def without_xing(path: Path, seconds: int = 6) -> np.ndarray:
    """Write an MP3 of variable bitrate without the frame that states its length; returns its samples."""
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.2, seconds * RATE) * np.cos(np.arange(seconds * RATE) / 50000) ** 8
    settings = {"format": "MP3", "bitrate_mode": "VARIABLE"}
    with soundfile.SoundFile(path, "w", RATE, 1, "MPEG_LAYER_III", **settings) as file:
        file.write(samples)
    content = path.read_bytes()
    path.write_bytes(content[mp3_frame_bytes(content[:4]) :])
    return samples


# ---- MP3


def test_an_mp3_of_variable_bitrate_is_read_whole(tmp_path, caplog):
    samples = without_xing(tmp_path / "x.mp3")
    assert soundfile.info(tmp_path / "x.mp3").duration < 5  # libsndfile's guess
    found, rate = read_audio(tmp_path / "x.mp3")
    assert rate == RATE and 0 <= len(found) - len(samples) < 3000 and not caplog.text
    assert len(open_recording(tmp_path / "x.mp3").samples) == len(found)
    with sound_file(tmp_path / "x.mp3") as source:
        assert source.frames is None and count_frames(source, 1e9) == len(found)
    # Delayed by the encoder and the decoder, by as much as the lost frame would have stated.
    loud = 150_000
    piece = samples[loud:][:20000]
    assert max(np.corrcoef(found[loud + delay :][:20000], piece)[0, 1] for delay in range(2400)) > 0.7
    beginning, _ = read_audio(tmp_path / "x.mp3", max_seconds=5)
    assert len(beginning) == 5 * RATE and "only the first 5 seconds are used" in caplog.text


@pytest.mark.parametrize("count", [1, 200, 2000])
def test_a_short_mp3_is_read(tmp_path, caplog, count):
    assert len(read_audio(write_audio(tmp_path / "x.mp3", SOUND[:count], RATE))[0]) >= count and not caplog.text


def test_an_mp3_longer_than_allowed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ppaudioldm.audio.recording.MAX_SECONDS", 5)
    without_xing(tmp_path / "x.mp3")
    with pytest.raises(ValueError, match=r"x.mp3: the recording lasts 5.\d seconds, allowed: up to 5"):
        open_recording(tmp_path / "x.mp3")


def test_an_mp3_that_states_its_length_keeps_to_it(tmp_path, caplog):
    path = write_audio(tmp_path / "x.mp3", SOUND, RATE)
    with path.open("rb") as file:
        assert mp3_states_length(file)
    path.write_bytes(b"ID3\x04\0\0\0\0\x10\0" + bytes(2048) + path.read_bytes() + b"TAG" + bytes(125))
    found, _ = read_audio(path)
    assert len(found) == len(SOUND) and np.abs(found - SOUND).max() < 0.02 and not caplog.text


def test_an_mp3_without_pyav_is_warned_of_where_its_length_is_a_guess(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("ppaudioldm.audio.media.is_installed", lambda: False)
    write_audio(tmp_path / "x.mp3", SOUND, RATE)
    assert len(read_audio(tmp_path / "x.mp3")[0]) == len(SOUND) and not caplog.text
    without_xing(tmp_path / "y.mp3")
    read_audio(tmp_path / "y.mp3")
    assert "y.mp3 may be read only in part" in caplog.text and "pip install 'ppaudioldm[media]'" in caplog.text


@pytest.mark.parametrize("has_media", [True, False])
@pytest.mark.parametrize(
    "content", [b"\xff\xfb" + b"\xff" * 2000, b"ID3\x04\0\0\0\0\x10\0" + bytes(4000), b"\xff\xfb\x90\xc4" * 4]
)
def test_an_mp3_without_frames_is_one_line_and_nothing_on_stderr(tmp_path, has_media, content):
    (tmp_path / "x.mp3").write_bytes(content)
    script = f"""if True:
        from ppaudioldm.audio import media, read
        media.is_installed = lambda: {has_media}
        try:
            read.read_audio({str(tmp_path / "x.mp3")!r})
        except ValueError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "x.mp3 is not a sound file that can be read" in done.stdout and done.stdout.count("\n") == 1
    assert "does not exist" not in done.stdout and not done.stderr


def test_a_damaged_mp3_leaves_stderr_alone(tmp_path, capfd, caplog):
    path = write_audio(tmp_path / "x.mp3", SOUND, RATE)
    content = bytearray(path.read_bytes())
    for position in np.random.default_rng(0).integers(1000, len(content), 60):
        content[position] ^= 0xFF
    path.write_bytes(content)
    assert len(read_audio(path)[0]) > RATE
    assert not capfd.readouterr().err


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("fffb90c4", 417),  # MPEG 1, layer 3, 128 kbit/s, 44.1 kHz
        ("fff380c4", 208),  # MPEG 2, layer 3, 64 kbit/s, 22.05 kHz
        ("fffd90c4", 522),  # MPEG 1, layer 2, 160 kbit/s
        ("ffff90c4", 312),  # MPEG 1, layer 1, 288 kbit/s
        ("fffbf0c4", 0),
        ("fffb9cc4", 0),
        ("ffebeeee", 0),
        ("fff190c4", 0),
        ("52494646", 0),
    ],
)
def test_bytes_of_mp3_frames(header, expected):
    assert mp3_frame_bytes(bytes.fromhex(header)) == expected


def test_the_first_frame_is_found_behind_junk(tmp_path, capfd, caplog):
    path = write_audio(tmp_path / "x.mp3", SOUND, RATE)
    content = path.read_bytes()
    path.write_bytes(bytes(100) + content)
    with path.open("rb") as file:
        assert first_mp3_frame(file)[:8] == content[:8]
    assert abs(len(read_audio(path)[0]) - len(SOUND)) < 3000 and not caplog.text and not capfd.readouterr().err


def test_what_is_lost_is_logged_once(tmp_path, caplog):
    path = write_audio(tmp_path / "x.mp3", SOUND, RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    open_recording(path)
    assert caplog.text.count("the rest is lost") == 1


# ---- Other formats


@pytest.mark.parametrize("name", FORMATS)
def test_formats_that_libsndfile_does_not_know(tmp_path, caplog, name):
    path = encoded(tmp_path / name, *FORMATS[name], pictures=name in HAS_PICTURES)
    samples, rate = read_audio(path, RATE)
    assert rate == RATE and abs(len(samples) / RATE - SECONDS) < 0.06 and not caplog.text
    best = max(np.corrcoef(SOUND[:RATE], samples[delay : delay + RATE])[0, 1] for delay in range(0, 2200, 7))
    assert best > 0.9
    found = open_recording(path)
    assert found.subtype == {"alac": "pcm32", "pcm_s16le": "pcm16"}.get(FORMATS[name][1], "float")
    path.rename(tmp_path / "upload")  # the name does not matter
    assert len(read_audio(tmp_path / "upload", RATE)[0]) == len(samples)


def test_lossless_samples_are_kept_to_the_bit(tmp_path):
    path = encoded(tmp_path / "a.mov", "mov", "pcm_s16le")
    found = open_recording(path).samples[:, 0]
    np.testing.assert_array_equal(found * 32768, np.round(found * 32768))
    np.testing.assert_allclose(found, SOUND, atol=1 / 32768)


def in_channels(path: Path, container: str, codec: str, layout: str, count: int) -> None:
    """Write a file of `count` channels, each with a tone of its own."""
    samples = np.stack([0.2 * np.sin(2 * np.pi * (200 + 100 * c) * TIME[:RATE]) for c in range(count)], 1)
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=RATE, layout=layout)
        sample_format = stream.codec_context.format.name
        resampler = av.AudioResampler(sample_format, layout, RATE, frame_size=stream.codec_context.frame_size or 1024)
        packed = np.ascontiguousarray(samples, np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate = RATE
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))


def test_eight_channels(tmp_path):
    """PyAV itself would read beyond the eight pointers of a frame."""
    in_channels(tmp_path / "x.m4a", "ipod", "aac", "7.1", 8)
    found = open_recording(tmp_path / "x.m4a").samples
    assert found.shape[1] == 8 and abs(len(found) - RATE) < 2500
    for found_channel, channel in zip(np.abs(np.fft.rfft(found[:RATE], axis=0)).T, range(8), strict=True):
        assert channel == 3 or abs(found_channel.argmax() - (200 + 100 * channel)) <= 1  # 3 is for low frequencies


def test_more_than_eight_channels_are_refused(tmp_path):
    in_channels(tmp_path / "x.wv", "wv", "wavpack", "hexadecagonal", 16)
    with pytest.raises(ValueError, match=r"x.wv is not a sound file .*: its sound has 16 channels, allowed: up to 8"):
        read_audio(tmp_path / "x.wv")


@pytest.mark.parametrize("name", ["a.m4a", "a.wma", "a.webm", "a.avi", "a.flv"])
def test_without_pyav_the_error_names_the_extra(tmp_path, monkeypatch, name):
    path = encoded(tmp_path / name, *FORMATS[name])
    monkeypatch.setattr("ppaudioldm.audio.media.is_installed", lambda: False)
    with pytest.raises(
        ValueError, match=r"a\.\w+ is not a sound file that can be read: .*pip install 'ppaudioldm\[media\]'"
    ):
        read_audio(path)


def test_a_video_without_sound(tmp_path):
    with av.open(str(tmp_path / "x.mp4"), "w") as file:
        video = file.add_stream("mpeg4", rate=1)
        video.width = video.height = 64
        file.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        file.mux(video.encode(None))
    with pytest.raises(ValueError, match=r"x.mp4 is not a sound file that can be read: it holds no sound"):
        read_audio(tmp_path / "x.mp4")


def test_a_stream_that_appears_midway_ends_the_sound(tmp_path, monkeypatch, caplog):
    path = encoded(tmp_path / "a.m4a", "ipod", "aac")
    with path.open("rb") as file:
        source = media.MediaSource("a.m4a", file)

        def demux(_: object) -> None:
            raise IndexError("list index out of range")

        monkeypatch.setattr(source, "_container", type("Container", (), {"demux": lambda *_: map(demux, [0])})())
        assert list(source._frames(None)) == [] and "a.m4a is damaged, the rest is lost" in caplog.text


def test_a_seek_to_before_the_file_is_no_exception(tmp_path):
    """FFmpeg seeks where a damaged header sends it."""
    (tmp_path / "x").write_bytes(b"abc")
    with (tmp_path / "x").open("rb") as file:
        source = media._Bytes(file)
        assert source.seek(-5) == -1 and source.seek(2**70) == -1 and source.seek(1) == 1 and source.read(9) == b"bc"


@pytest.mark.parametrize("kind", ["m3u8", "ffconcat", "sdp", "mpd", "txt"])
def test_files_that_name_other_files_are_refused(tmp_path, kind):
    encoded(tmp_path / "a.aac", "adts", "aac")
    inner = tmp_path / "a.aac"
    content = {
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{inner}\n#EXT-X-ENDLIST\n",
        "ffconcat": f"ffconcat version 1.0\nfile {inner.name}\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "mpd": f'<?xml version="1.0"?><MPD><Period><BaseURL>file://{inner}</BaseURL></Period></MPD>',
        "txt": f"file://{inner}",
    }[kind]
    (tmp_path / f"x.{kind}").write_text(content)
    with pytest.raises(ValueError, match=r"is not a sound file that can be read") as caught:
        read_audio(tmp_path / f"x.{kind}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/x.mp3", "file:///etc/hostname", "concat:a.mp3|b.mp3", "pipe:0"]
)
def test_addresses_are_names_of_missing_files(address):
    with pytest.raises(FileNotFoundError):
        read_audio(address)


# ---- Promises


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "AIFF", "AU", "W64", "RF64"])
def test_a_header_that_promises_more_than_there_is_is_warned_of(tmp_path, caplog, container):
    soundfile.write(tmp_path / "x", SOUND, RATE, "PCM_16", format=container)
    assert len(read_audio(tmp_path / "x")[0]) == len(SOUND) and not caplog.text
    content = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(content[: len(content) // 2])
    assert abs(len(read_audio(tmp_path / "x")[0]) - len(SOUND) / 2) < 100
    assert re.search(r"x ends after 1\.49\d* s of (3|2\.99\d*) s, the rest is lost", caplog.text)


def test_a_wav_from_a_pipe_is_not_warned_of(tmp_path, caplog):
    path = write_audio(tmp_path / "x.wav", SOUND, RATE)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(read_audio(path)[0]) == len(SOUND) and not caplog.text


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("share", [0.3, 0.77])
def test_a_truncated_ogg_is_warned_of(tmp_path, caplog, subtype, share):
    noise = np.random.default_rng(0).normal(0, 0.1, 10 * 48000)
    soundfile.write(tmp_path / "x.ogg", noise, 48000, subtype, format="OGG")
    assert len(read_audio(tmp_path / "x.ogg")[0]) == len(noise) and not caplog.text
    content = (tmp_path / "x.ogg").read_bytes()
    (tmp_path / "x.ogg").write_bytes(content[: round(share * len(content))])
    assert len(read_audio(tmp_path / "x.ogg")[0]) < (share + 0.05) * len(noise)
    assert "x.ogg ends without the mark of its end, the rest is lost" in caplog.text
    with (tmp_path / "x.ogg").open("rb") as file:
        assert ogg_is_cut(file)


def test_a_truncated_m4a_is_warned_of(tmp_path, caplog):
    path = encoded(tmp_path / "a.m4a", "ipod", "aac")
    with (
        av.open(str(path)) as source,
        av.open(str(tmp_path / "x.m4a"), "w", format="ipod", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    content = (tmp_path / "x.m4a").read_bytes()
    (tmp_path / "x.m4a").write_bytes(content[: round(0.6 * len(content))])
    assert len(read_audio(tmp_path / "x.m4a")[0]) < 2.5 * RATE
    assert "of 3" in caplog.text and "the rest is lost" in caplog.text


def test_containers_by_their_first_bytes():
    assert container_of(b"RIFF\0\0\0\0WAVE") is None and container_of(b"") is None and container_of(b"fLaC") is None
    assert container_of(b"\0\0\0\x20ftypM4A ") == "MP4" and container_of(b"RIFF\0\0\0\0AVI LIST") == "AVI"
    assert container_of(b"\xff\xf1\x50") == "AAC" and container_of(b"\xff\xfb\x90") == "MP3"
