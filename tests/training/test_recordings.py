import json

import numpy as np
import pytest

from ppaudioldm.audio.write import write_audio
from ppaudioldm.errors import CheckpointError
from ppaudioldm.training.recordings import read_recordings


def tone(path, seconds=1.0, rate=16000, hertz=440):
    write_audio(path, 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate), rate)
    return path


def listed(folder, entries, name="list.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps({"file": file, "caption": caption}) + "\n" for file, caption in entries))
    return path


def test_a_list_gives_clips_that_depend_on_their_number_alone(tmp_path):
    tone(tmp_path / "a.wav", 3.0, rate=44100)
    tone(tmp_path / "b.flac", 0.25, hertz=1000)
    path = listed(tmp_path, [("a.wav", "low"), ("b.flac", " high ")])
    recordings = read_recordings(path, 0.5)
    clips = [recordings(number) for number in range(12)]
    assert {clip.caption for clip in clips} == {"low", "high"}
    for number, clip in enumerate(clips):
        assert clip.waveform.shape == (8000,) and clip.waveform.dtype == np.float32
        assert np.array_equal(read_recordings(path, 0.5)(number).waveform, clip.waveform)
        peak = np.abs(np.fft.rfft(clip.waveform)).argmax() * 2
        assert abs(peak - {"low": 440, "high": 1000}[clip.caption]) <= 4  # Hz: resampled where need be
    short = next(clip for clip in clips if clip.caption == "high")
    assert not short.waveform[4000:].any() and short.waveform[:4000].any()


def test_folders_are_read_by_metadata_or_by_a_text_beside(tmp_path):
    tone(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("a tone\n")
    assert read_recordings(tmp_path, 0.5)(0).caption == "a tone"
    (tmp_path / "metadata.csv").write_text('\ufefffile_name,text\na.wav,"a beep, long"\n')
    assert read_recordings(tmp_path, 0.5)(0).caption == "a beep, long"
    listed(tmp_path, [("a.wav", "from json lines")], "metadata.jsonl")
    assert read_recordings(tmp_path, 0.5)(0).caption == "from json lines"


def test_one_in_twenty_is_held_out(tmp_path):
    tone(tmp_path / "a.wav")
    recordings = read_recordings(listed(tmp_path, [("a.wav", f"caption {i}") for i in range(40)]), 0.5)
    held_out = {caption for _, caption in recordings.held_out().entries}
    assert held_out == {"caption 0", "caption 20"}
    assert not held_out & {caption for _, caption in recordings.entries} and len(recordings.entries) == 38
    few = read_recordings(listed(tmp_path, [("a.wav", "alone")]), 0.5)
    assert few.held_out().entries == few.entries


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([("a.wav", "ok"), ("b.wav", "gone")], r"line 2: no such file: '.*b\.wav'$"),
        ([("a.wav", " "), ("b.wav", "gone"), ("a.wav", "ok")], r"line 1: the caption is empty \(2 of 3 entries"),
        ([("text.wav", "not audio")], r"line 1: '.*text\.wav'"),
        ([(".", "a folder")], "line 1: no such file"),
    ],
)
def test_entries_that_cannot_be_used_are_named(tmp_path, entries, message):
    tone(tmp_path / "a.wav")
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(CheckpointError, match=message):
        read_recordings(listed(tmp_path, entries), 0.5)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.jsonl", "{\n", "line 1: not JSON"),
        ("list.jsonl", "[1]\n", "line 1: no column 'file'"),
        ("list.jsonl", '{"file": "a.wav"}\n', "line 1: no column 'caption'"),
        ("list.csv", "a,b\n1,2\n", "line 2: no column 'file'"),
        ("list.csv", "", "no recordings with captions"),
        ("list.csv", 'file,caption\na.wav,"an open quote\nb.wav,b\n', "line 3: not CSV: unexpected end of data"),
        ("list.csv", "file,caption\na.wav," + "x" * 200_000, r"line 2: not CSV: field larger than field limit"),
        ("list.txt", "a", "expected a folder, a .csv or a .jsonl"),
    ],
)
def test_lists_that_cannot_be_read_are_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_recordings(tmp_path / name, 0.5)


def test_line_breaks_of_every_kind(tmp_path):
    tone(tmp_path / "a.wav")
    (tmp_path / "list.csv").write_bytes(b'file,caption\ra.wav,"two\nlines"\ra.wav,another\r')
    assert {caption for _, caption in read_recordings(tmp_path / "list.csv", 0.5).entries} == {"two\nlines", "another"}


def test_missing_paths_and_bytes_that_are_no_text_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        read_recordings(tmp_path / "none.csv", 0.5)
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(CheckpointError, match=r"list\.csv"):
        read_recordings(tmp_path / "list.csv", 0.5)


def test_a_recording_that_holds_nan_is_named_when_it_is_heard(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "nan.wav", np.full(8000, np.nan, np.float32), 16000, subtype="FLOAT")
    recordings = read_recordings(listed(tmp_path, [("nan.wav", "nothing")]), 0.5)
    with pytest.raises(CheckpointError, match=r"nan\.wav"):
        recordings(0)
