from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time

import pytest

from ppaudioldm.generation.options import Options
from ppaudioldm.lists import prompt_list
from ppaudioldm.lists.prompt_list import MAX_LINE, Line, read_list
from ppaudioldm.lists.run import ListReport, generate_list


def listed(tmp_path, content: str | bytes, name: str = "list.txt"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_list(path)


def test_text(tmp_path):
    found = listed(tmp_path, "\ufeffa dog\r\n\n  a cat | purr\na|b|c\nrain|")
    assert found.lines == [Line(1, "a dog"), Line(3, "a cat", " purr"), Line(4, "a|b", "c"), Line(5, "rain")]
    assert found.bad == {}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv(tmp_path, delimiter):
    rows = [
        ["name", " Prompt", "seed", "duration", "steps", "candidates", "note"],
        ["x", f'"rain{delimiter} ""heavy"""', "7", "2.5", "10", "3", "!"],
        ["", "snow", "", "", "", "", ""],
    ]
    found = listed(tmp_path, "\n".join(delimiter.join(row) for row in rows), "list.csv")
    settings = {"seed": 7, "duration": 2.5, "num_inference_steps": 10, "num_waveforms_per_prompt": 3}
    assert found.lines == [Line(2, f'rain{delimiter} "heavy"', "x", settings), Line(3, "snow")]
    assert found.unused == ("note",)


def test_json_lines(tmp_path):
    values = {"prompt": "雨", "name": 5, "guidance_scale": 2, "negative_prompt": "music", "eta": None, "id": [1]}
    found = listed(tmp_path, json.dumps(values) + "\n\n" + '{"prompt": "x"}', "list.JSONL")
    settings = {"guidance_scale": 2.0, "negative_prompt": "music"}
    assert found.lines == [Line(1, "雨", "5", settings), Line(3, "x")]
    assert found.unused == ("id",)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.csv", 'prompt,at\nrain,"1:birds | 2: a dog, far"\n,"0:rain\n1: birds\n2:a dog, far"\n'),
        (
            "list.jsonl",
            '{"prompt": "rain", "at": [[1, "birds"], [2, "a dog, far"]]}\n'
            '{"prompt_schedule": ["0:rain", "1:birds", "2:a dog, far"]}',
        ),
    ],
)
def test_prompts_over_time(tmp_path, name, content):
    for line in listed(tmp_path, content, name).lines:
        options = Options(prompt_schedule=line.settings["prompt_schedule"])
        assert (line.prompt, options.prompt_schedule) == ("rain", ((1.0, "birds"), (2.0, "a dog, far")))


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("list.txt", b"a\0b", "holds a NUL byte"),
        ("list.txt", "caf\xe9".encode("latin-1"), "byte 4 is not UTF-8"),
        ("list.txt", b" |name", "prompt is ' '"),
        ("list.txt", b"x" * 200_000, "prompt has 200000 characters"),
        ("list.txt", b"x" * (MAX_LINE + 1), "longer than 1 MB"),
        ("list.txt", b"x" * (3 * MAX_LINE), "longer than 1 MB"),
        ("list.csv", b'"never closed', "not CSV"),
        ("list.csv", b"a,b,c,d", "4 values for 3 columns: quote a value that holds ','"),
        ("list.csv", b",,7", "prompt is ''"),
        ("list.csv", b"a,x,", "duration is 'x', expected a number"),
        ("list.csv", b"a,,1.5", "seed is '1.5', expected a whole number"),
        ("list.csv", b"a,," + b"9" * 5000, "seed is '999.*, expected a whole number"),
        ("list.jsonl", b"{", "not JSON"),
        ("list.jsonl", b"[" * 100_000, "not JSON"),
        ("list.jsonl", b'["a"]', "is not a JSON object"),
        ("list.jsonl", b'{"prompt": 5}', "prompt is 5"),
        ("list.jsonl", b'{"name": "x"}', "prompt is ''"),
        ("list.jsonl", b'{"prompt": "a", "seed": true}', "seed is True, expected a whole number"),
        ("list.jsonl", b'{"prompt": "a", "duration": [1]}', r"duration is \[1\], expected a number"),
        ("list.jsonl", b'{"prompt": "a", "sampler": 3}', "sampler is 3, expected a text"),
        ("list.jsonl", b'{"prompt": "a", "at": 3}', "at is 3, expected a text"),
        (
            "list.jsonl",
            b'{"prompt": "a", "at": "birds"}',
            "at: 'birds' is not a prompt with its time, allowed",
        ),
        ("list.jsonl", b'{"at": [[1, ""]]}', "prompt is ''"),
    ],
)
def test_a_bad_line_does_not_spoil_the_others(tmp_path, name, line, message):
    good = {"list.txt": b"good", "list.csv": b"good,1,2", "list.jsonl": b'{"prompt": "good"}'}[name]
    header = b"prompt,duration,seed\n" if name == "list.csv" else b""
    found = listed(tmp_path, header + good + b"\n" + line + b"\n" + good, name)
    first = 2 if header else 1
    assert [(one.number, one.prompt) for one in found.lines] == [(first, "good"), (first + 2, "good")]
    assert list(found.bad) == [first + 1]
    with pytest.raises(ValueError, match=message):
        raise ValueError(found.bad[first + 1])
    assert len(found.bad[first + 1]) < 200


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.txt", b"", "holds no prompts"),
        ("list.txt", b"\n \n", "holds no prompts"),
        ("list.txt", "a dog\n".encode("utf-16"), "is UTF-16, expected UTF-8"),
        ("list.csv", b"a,b\n1,2\n", "line 1: no column is called prompt, only a, b"),
        ("list.csv", b"prompt\n", "holds no prompts"),
        ("list.csv", b"\xff\xfa\n", "line 1: byte 1 is not UTF-8"),
    ],
)
def test_what_is_no_list(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        listed(tmp_path, content, name)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_messages_are_short_and_printable(tmp_path, caplog):
    """Whatever is in a list: values of megabytes, and codes that control a terminal."""
    long = "x" * 100_000
    rows = [{"prompt": [long] * 50}, {"prompt": "a", "sampler": long}, {"prompt": "a", "seed": long}, {"prompt": 1}]
    path = tmp_path / "list.json"
    path.write_text(json.dumps([*rows, {"prompt": "a", "preset": long, "a\nb\x1b[2J": 1}]))
    report = ListReport()
    generate_list(path, tmp_path / "sounds", lambda: pytest.fail("opened"), checkpoint="tiny", report=report)
    messages = [*report.failed.values(), *caplog.messages]
    assert len(report.failed) == 5 and "columns without a meaning here: a b" in caplog.text
    for header in ("a\x1b,b\n", 'a"\x1b\n', '"a" \x1b\n'):
        with pytest.raises(ValueError) as caught:
            listed(tmp_path, header, "list.csv")
        messages.append(str(caught.value))
    assert [text for text in messages if len(text) > 900 or not text.isprintable()] == []


def test_devices_and_folders(tmp_path):
    with pytest.raises(ValueError, match="/dev/zero is a device or pipe"):
        read_list("/dev/zero")
    with pytest.raises(IsADirectoryError):
        read_list(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_list(tmp_path / "none.txt")


def test_too_many_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(prompt_list, "MAX_LINES", 3)
    assert len(listed(tmp_path, "a\n" * 3).lines) == 3
    with pytest.raises(ValueError, match=r"list\.txt is too long, allowed: 3 lines, 256 MB"):
        listed(tmp_path, "a\n" * 4)
    monkeypatch.setattr(prompt_list, "MAX_LIST", 100)
    with pytest.raises(ValueError, match="too long"):
        listed(tmp_path, "a" * 101)


def test_an_enormous_line_takes_little_memory(tmp_path):
    with (tmp_path / "list.txt").open("wb") as file:  # mostly a hole
        file.write(b"first\n")
        file.truncate(400 << 20)
        file.seek(0, 2)
        file.write(b"\nlast\n")
    script = """
        import resource, sys
        from ppaudioldm.lists.prompt_list import read_list
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = read_list(sys.argv[1])
        print([line.prompt for line in found.lines], found.bad)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "list.txt")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == ["['first', 'last'] {2: 'longer than 1 MB'}", "True"]


# ---- Lists as people have them


def test_a_quoted_line_break_is_part_of_the_prompt(tmp_path):
    found = listed(tmp_path, 'prompt,seed\n"a dog\nbarks",1\na cat,2\n', "list.csv")
    assert found.lines == [Line(2, "a dog\nbarks", None, {"seed": 1}), Line(4, "a cat", None, {"seed": 2})]
    assert found.bad == {}


def test_a_quote_without_an_end_spoils_its_own_line_only(tmp_path):
    found = listed(tmp_path, 'prompt,seed\n"a dog,1\na cat,2\n"rain",3\n', "list.csv")
    assert [line.prompt for line in found.lines] == ["a cat", "rain"]
    assert list(found.bad) == [2] and "not CSV" in found.bad[2]


def test_many_open_quotes_are_read_in_a_moment(tmp_path):
    content = "prompt\n" + '"x ""\n' * 100_000
    start = time.perf_counter()
    found = listed(tmp_path, content, "list.csv")
    assert len(found.bad) == 100_000 and time.perf_counter() - start < 30


def test_tsv(tmp_path):
    found = listed(tmp_path, "prompt\tname\na dog, a cat; rain\tx\n", "list.tsv")
    assert found.lines == [Line(2, "a dog, a cat; rain", "x")]


def test_json_array(tmp_path):
    values = ["a dog", {"prompt": "rain", "seed": 2.0, "name": ""}, 3]
    found = listed(tmp_path, json.dumps(values), "list.json")
    assert found.lines == [Line(1, "a dog"), Line(2, "rain", None, {"seed": 2})]
    assert found.bad == {3: "'3' is not a JSON object"}


@pytest.mark.parametrize("content", ['{"prompt": "a"}', "[", "[" * 100_000, '"a"'])
def test_json_that_is_not_a_list(tmp_path, content):
    with pytest.raises(ValueError, match="list.json is not (a JSON array|JSON)"):
        listed(tmp_path, content, "list.json")


def test_blank_values_of_json_are_absent(tmp_path):
    found = listed(tmp_path, '{"prompt": "rain", "negative_prompt": "", "seed": " ", "steps": "5.0"}', "list.jsonl")
    assert found.lines == [Line(1, "rain", None, {"num_inference_steps": 5})]


@pytest.mark.parametrize("name", ["list.xlsx", "list.YAML", "list.parquet"])
def test_another_format_is_refused_by_name(tmp_path, name):
    with pytest.raises(ValueError, match=rf"{name} is a .* file, allowed: .txt, .csv, .tsv, .json, .jsonl, .ndjson"):
        listed(tmp_path, "prompt\n", name)
