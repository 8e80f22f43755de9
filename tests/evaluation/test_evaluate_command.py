"""`ppaudioldm evaluate` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ppaudioldm.audio.write import write_audio
from ppaudioldm.checkpoints import CHECKPOINTS
from ppaudioldm.cli import main
from ppaudioldm.evaluation import classifier
from ppaudioldm.evaluation.choices import SIMPLE
from ppaudioldm.sounds import SAMPLE_RATE, example
from ppaudioldm.training.assemble import known_sounds
from ppaudioldm.weights.locate import BUILT_IN

OTHER = Path(classifier.__file__).with_name(classifier.DEFAULT_FILES[SIMPLE])
RANDOM = next(name for name, info in CHECKPOINTS.items() if info.layout == "random")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """`made` and `real` with clips of the same names, and the prompts of those in `made`."""
    root = tmp_path_factory.mktemp("clips")
    for split, name in (("train", "real"), ("test", "made")):
        (root / name).mkdir()
        for number, kind in enumerate(("bell", "rain", "drums")):
            clip = example(number, (kind,), 1.0, split)
            write_audio(root / name / f"{kind}.wav", clip.waveform, SAMPLE_RATE)
    (root / "prompts.jsonl").write_text(
        "".join(json.dumps({"prompt": f"a {name}", "name": name}) + "\n" for name in ("bell", "rain", "drums"))
    )
    return root


def failure(capsys, *arguments: str) -> str:
    try:
        code = main(["evaluate", *arguments])
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    assert code == 2 and captured.out == "" and captured.err.count("\n") == 1, captured.err
    return captured.err


def test_two_folders_by_the_classifier(folders, capsys):
    assert main(["evaluate", "--generated", str(folders / "made"), "--reference", str(folders / "real"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["embedding"] == "classifier" and found["clips"] == found["pairs"] == 3
    assert 0 < found["frechet_distance"] < 2 and 0 <= found["kl"] < 1 and found["diversity"] > 0.3
    assert found["nearest_to_reference"] > 0.1


def test_clap_score_of_prompts(folders, capsys):
    arguments = ["--generated", str(folders / "made"), "--prompts", str(folders / "prompts.jsonl"), "-c", RANDOM]
    assert main(["evaluate", *arguments]) == 0
    out = capsys.readouterr().out
    assert "Embeddings of clap" in out and "| clap score |" in out and "frechet" not in out


def test_kinds_of_a_checkpoint_are_generated_recognised_and_written(tmp_path, capsys):
    arguments = ["--kinds", "bell,tone", "--per-kind", "2", "--stages", "real,vocoder,generated", "-d", "1"]
    assert main(["evaluate", *arguments, "-c", RANDOM, "--steps", "1", "-o", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["real", "vocoder", "generated"] and found["real"]["accuracy"] == 1
    assert found["real"]["right"] == {"low or high": 1.0}
    assert sorted(path.name for path in (tmp_path / "out" / "generated").iterdir()) == [
        "bell-000.wav",
        "bell-001.wav",
        "tone-000.wav",
        "tone-001.wav",
    ]
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == found
    assert len(list((tmp_path / "out" / "real").iterdir())) == 4
    assert found["real"]["frechet_ratio"] == 1 and found["generated"]["frechet_ratio"] > 1
    report = (tmp_path / "out" / "report.md").read_text()
    assert "| kind | real | vocoder | generated |" in report
    assert (tmp_path / "out" / "spectrograms.png").stat().st_size > 1000
    prompts = [json.loads(line) for line in (tmp_path / "out" / "prompts.jsonl").read_text().splitlines()]
    assert [line["name"] for line in prompts] == ["bell-000", "bell-001", "tone-000", "tone-001"]


@pytest.fixture(scope="module")
def knows_four(tmp_path_factory):
    """The checkpoint `tiny`, as if it had been trained on two kinds of the collection and pairs of them."""
    folder = tmp_path_factory.mktemp("checkpoint")
    for path in (BUILT_IN / "tiny").iterdir():
        if path.name != "config.json":
            (folder / path.name).symlink_to(path)
    config = json.loads((BUILT_IN / "tiny" / "config.json").read_text())
    known = known_sounds(("dog", "rain", "sequence", "together"))
    (folder / "config.json").write_text(json.dumps(config | {"knows": known.to_dict()}))
    return folder


def test_a_checkpoint_is_asked_for_the_sounds_that_it_knows_and_in_both_languages(knows_four, tmp_path, capsys):
    arguments = [
        "--kinds",
        "all",
        "-c",
        str(knows_four),
        "--per-kind",
        "2",
        "--stages",
        "generated",
        "--engine",
        "eager",
    ]
    assert (
        main(["evaluate", *arguments, "--engine", "eager", "--steps", "1", "-d", "1", "-o", str(tmp_path), "--json"])
        == 0
    )
    found = json.loads(capsys.readouterr().out)["generated"]
    assert set(found["by_kind"]) == {"dog", "rain", "sequence", "together"}
    assert set(found["by_language"]) == {"en", "zh"} and {"accuracy", "accuracy_of_pairs"} <= set(found)
    assert {kind for row in found["confusions"].values() for kind in row} <= {*found["by_kind"], "something else"}
    prompts = [json.loads(line)["prompt"] for line in (tmp_path / "prompts.jsonl").read_text("utf-8").splitlines()]
    assert [prompt.isascii() for prompt in prompts] == [True, False] * 4
    assert "'piano'" in failure(capsys, "--kinds", "piano", "-c", str(knows_four))


def test_what_it_wrote_it_can_compare(tmp_path, capsys):
    """Clips of --kinds are folders of its own layout, and their list of prompts is one too."""
    assert main(["evaluate", "--kinds", "bell", "--per-kind", "2", "-d", "1", "-o", str(tmp_path)]) == 0
    capsys.readouterr()
    arguments = ["--generated", str(tmp_path / "real"), "--prompts", str(tmp_path / "prompts.jsonl"), "-c", RANDOM]
    assert main(["evaluate", *arguments, "--json"]) == 0
    assert -1 <= json.loads(capsys.readouterr().out)["clap_score"] <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--generated"),
        (["--generated", "x", "--kinds", "a"], "either"),
        (["--generated", "nowhere"], "nowhere is not a folder"),
        (["--generated", "x", "--prompts", "y"], "name a checkpoint with -c"),
        (["--kinds", "trombone"], "'trombone'"),
        (["--kinds", "a", "--stages", "vae"], "needs a checkpoint"),
        (["--kinds", "a", "--stages", "reel"], "'reel'"),
        (["--kinds", "a", "--per-kind", "0"], "--per-kind is 0"),
        (["--kinds", "a", "--seed", "-1"], "--seed is -1"),
        (["--kinds", "a", "--sounds", "reel"], "reel"),
        (["--kinds", "a", "--sounds", "collection"], "unknown kind of sound 'a'"),
        (["--sounds", "collection", "--classifier", str(OTHER)], "does not know 'piano'"),
        (["--kinds", "a", "-d", "0.5"], "duration is 0.5"),
        (["--kinds", "a", "--classifier", "nowhere"], "nowhere"),
        (["--kinds", "a", "-c", "nowhere"], "'nowhere'"),
        (["--kinds", "a", "--by", "ear"], "ear"),
    ],
)
def test_wrong_use_is_one_line(arguments, message, capsys):
    assert message in failure(capsys, *arguments)
