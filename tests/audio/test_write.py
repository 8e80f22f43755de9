"""What is written is read back, and a file is whole or does not exist."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import soundfile

from ppaudioldm.audio import write
from ppaudioldm.audio.read import read_audio
from ppaudioldm.audio.write import OutputError, check_writable, write_audio

RATE = 16000


def tone(seconds: float = 0.5, rate: int = RATE, frequency: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def leftovers(folder) -> list[str]:
    return sorted(os.listdir(folder))


# ---- Writing and reading back


@pytest.mark.parametrize("extension, error", [(".wav", 2**-15), (".flac", 2**-15), (".ogg", 0.1), (".mp3", 0.1)])
@pytest.mark.parametrize("rate", [16000, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_round_trip(tmp_path, extension, error, rate, channels):
    waveform = np.stack([tone(rate=rate), tone(rate=rate, frequency=880)][:channels], 1).squeeze()
    path = write_audio(tmp_path / f"x{extension}", waveform, rate)
    samples, read_rate = read_audio(path, mono=False)
    assert read_rate == rate
    assert samples.dtype == np.float32
    assert samples.shape == (rate // 2, channels)
    assert np.abs(samples - waveform.reshape(-1, channels)).max() <= error
    assert leftovers(tmp_path) == [path.name]


def test_wav_and_flac_hold_the_same_samples(tmp_path):
    waveform = np.random.default_rng(0).uniform(-1, 1, 5000).astype(np.float32)
    wav, flac = (read_audio(write_audio(tmp_path / name, waveform, RATE))[0] for name in ("x.wav", "x.flac"))
    np.testing.assert_array_equal(wav, flac)


def test_float_wav_is_exact_and_not_clipped(tmp_path, caplog):
    waveform = 3 * tone()
    path = write_audio(tmp_path / "x.wav", waveform, RATE, subtype="float")
    np.testing.assert_array_equal(read_audio(path)[0], waveform)
    assert not caplog.records


def test_long_ogg(tmp_path):
    # libsndfile's Vorbis encoder overflows the stack when it gets minutes at once.
    waveform = tone(seconds=600)
    assert soundfile.info(write_audio(tmp_path / "x.ogg", waveform, RATE)).frames == len(waveform)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats(tmp_path, dtype):
    path = write_audio(tmp_path / "x.wav", tone().astype(dtype), RATE)
    assert np.abs(read_audio(path)[0] - tone()).max() < 1e-3


def test_clipping_is_limited_and_reported(tmp_path, caplog):
    waveform = tone()
    waveform[10:13] = [1.5, -2.0, 1.0]
    with caplog.at_level(logging.WARNING):
        samples, _ = read_audio(write_audio(tmp_path / "x.wav", waveform, RATE))
    np.testing.assert_allclose(samples[10:13], [1, -1, 1], atol=1e-4)
    assert "clipped 2 of 8000 samples, peak 2.00" in caplog.text


def test_full_scale_is_not_reported(tmp_path, caplog):
    write_audio(tmp_path / "x.wav", np.array([1.0, -1.0]), RATE)
    assert not caplog.records


@pytest.mark.parametrize(
    "waveform, message",
    [
        (np.array([0, np.nan], np.float32), "NaN or infinite"),
        (np.array([0, np.inf], np.float32), "NaN or infinite"),
        (np.zeros(0, np.float32), "at least one sample"),
        (np.zeros((0, 2), np.float32), "at least one sample"),
        (np.float32(0), "shape"),
        (np.zeros((1, 1, 5), np.float32), "shape"),
        (np.zeros((1, 16000), np.float32), "at most 8 channels"),
        (np.zeros(5, np.int16), "int16, expected floats"),
    ],
)
def test_refused_waveforms(tmp_path, waveform, message):
    with pytest.raises(ValueError, match=message):
        write_audio(tmp_path / "x.wav", waveform, RATE)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name, rate", [("x.mp3", 12345), ("x.wav", 0), ("x.wav", -1), ("x.ogg", 400_000)])
def test_refused_rates(tmp_path, name, rate):
    with pytest.raises(ValueError, match=str(rate)) as caught:
        write_audio(tmp_path / name, tone(), rate)
    assert "\n" not in str(caught.value)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["x", "x.aac", ".wav", "folder.wav/x", "x.wav.gz"])
def test_unknown_extension_lists_the_known(tmp_path, name):
    for refuse in (lambda path: write_audio(path, tone(), RATE), check_writable):
        with pytest.raises(ValueError, match=r"unknown extension .*'.wav', '.flac', '.ogg', '.mp3'"):
            refuse(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "subtype", "encoding"),
    [
        ("x.wav", "pcm16", "PCM_16"),
        ("x.wav", "pcm24", "PCM_24"),
        ("x.wav", "pcm32", "PCM_32"),
        ("x.wav", "float", "FLOAT"),
        ("x.wav", "double", "DOUBLE"),
        ("x.flac", "pcm24", "PCM_24"),
    ],
)
def test_what_is_read_exactly_is_written_as_it_was(tmp_path, name, subtype, encoding):
    numbers = np.random.default_rng(0).integers(-(2**31), 2**31, (5000, 2))
    numbers[:2] = [[-(2**31), 2**31 - 1]] * 2
    samples = numbers / 2.0**31 if encoding != "DOUBLE" else np.pi * numbers / 2**31
    soundfile.write(tmp_path / name, samples, RATE, encoding)
    read, rate = read_audio(tmp_path / name, mono=False, exact=True)
    path = write_audio(tmp_path / f"again-{name}", read, rate, subtype)
    assert soundfile.info(path).subtype == encoding
    dtype = "float64" if encoding in ("FLOAT", "DOUBLE") else "int32"
    before, after = (soundfile.read(p, dtype=dtype)[0] for p in (tmp_path / name, path))
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("name, subtype", [("x.flac", "float"), ("x.wav", "PCM_24")])
def test_unknown_subtype(tmp_path, name, subtype):
    with pytest.raises(ValueError, match="unknown subtype .* choose from pcm16, pcm24"):
        write_audio(tmp_path / name, tone(), RATE, subtype=subtype)


def test_extension_in_capitals_and_string_path(tmp_path):
    write_audio(str(tmp_path / "X.FLAC"), tone(), RATE)
    assert soundfile.info(tmp_path / "X.FLAC").format == "FLAC"


def test_parents_are_made_and_old_file_replaced(tmp_path):
    path = tmp_path / "a" / "b" / "x.wav"
    write_audio(path, tone(), RATE)
    write_audio(path, tone(seconds=0.1), RATE)
    assert len(read_audio(path)[0]) == 1600
    assert leftovers(path.parent) == ["x.wav"]


def test_longest_name_works_and_a_longer_one_is_one_error(tmp_path):
    write_audio(tmp_path / ("x" * 251 + ".wav"), tone(), RATE)
    for attempt in (lambda path: write_audio(path, tone(), RATE), check_writable):
        with pytest.raises(OutputError, match="name too long"):
            attempt(tmp_path / ("x" * 252 + ".wav"))


def test_mode_follows_umask(tmp_path):
    old = os.umask(0o027)
    try:
        path = write_audio(tmp_path / "x.wav", tone(), RATE)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o640


def test_symbolic_link_stays(tmp_path):
    link = tmp_path / "link.wav"
    link.symlink_to(tmp_path / "there" / "x.wav")
    write_audio(link, tone(), RATE)
    assert link.is_symlink()
    assert leftovers(tmp_path / "there") == ["x.wav"]


# ---- What goes wrong while writing


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
@pytest.mark.parametrize("before", [None, b"old"])
def test_failure_leaves_the_old_file_or_none(tmp_path, monkeypatch, function, error, before):
    def fail(*_):
        raise error

    path = tmp_path / "x.wav"
    if before:
        path.write_bytes(before)
    monkeypatch.setattr(write.os, function, fail)
    with pytest.raises(type(error)) as caught:
        write_audio(path, tone(), RATE)
    if isinstance(error, OSError):
        assert str(caught.value) == f"cannot write {path}: No space left on device"
        assert isinstance(caught.value, OutputError)
        assert caught.value.errno == errno.ENOSPC
    assert leftovers(tmp_path) == (["x.wav"] if before else [])
    assert not before or path.read_bytes() == before


def test_real_size_limit(tmp_path):
    """The kernel refuses to write beyond a limit, as on a full disk."""
    script = f"""
        import resource, signal
        import numpy as np
        from ppaudioldm.audio.write import OutputError, write_audio
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        try:
            write_audio({str(tmp_path / "x.wav")!r}, np.zeros(50000, np.float32), 16000)
        except OutputError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"cannot write {tmp_path / 'x.wav'}: File too large\n"
    assert leftovers(tmp_path) == []


def make_obstacle(tmp_path, kind: str):
    """A path that cannot be written, even by root."""
    if kind == "under a file":
        (tmp_path / "file").write_text("x")
        return tmp_path / "file" / "x.wav"
    if kind == "deep under a file":
        (tmp_path / "file").write_text("x")
        return tmp_path / "file" / "folder" / "x.wav"
    if kind == "folder":
        (tmp_path / "x.wav").mkdir()
        return tmp_path / "x.wav"
    if kind == "pipe":
        os.mkfifo(tmp_path / "x.wav")
        return tmp_path / "x.wav"
    if not os.path.isdir("/proc/self"):
        pytest.skip("no /proc")
    return "/proc/x.wav" if kind == "read-only" else "/proc/folder/x.wav"


@pytest.mark.parametrize(
    "kind", ["under a file", "deep under a file", "folder", "pipe", "read-only", "new folder on read-only"]
)
@pytest.mark.parametrize("attempt", [check_writable, lambda path: write_audio(path, tone(), RATE)])
def test_unwritable(tmp_path, kind, attempt):
    path = make_obstacle(tmp_path, kind)
    before = leftovers(tmp_path)
    with pytest.raises(OutputError, match=r"^cannot write .*x\.wav: ") as caught:
        attempt(path)
    assert "\n" not in str(caught.value)
    assert caught.value.errno
    assert leftovers(tmp_path) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        check_writable(folder / "x.wav")


def test_check_writable_leaves_only_the_folder(tmp_path):
    check_writable(tmp_path / "a" / "x.wav")
    assert leftovers(tmp_path / "a") == []
    (tmp_path / "a" / "x.wav").write_bytes(b"old")
    check_writable(tmp_path / "a" / "x.wav")
    assert (tmp_path / "a" / "x.wav").read_bytes() == b"old"
