"""The measures of papers: by PyTorch's definitions, by hand, and as a user meets them on the command line."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ppaudioldm.audio.evaluation_mels import cnn14_log_mel, vggish_examples
from ppaudioldm.audio.write import write_audio
from ppaudioldm.cli import main
from ppaudioldm.evaluation import distances, papers
from ppaudioldm.evaluation.papers import PaperFeatures, PaperNetworks
from ppaudioldm.models.cnn14 import Cnn14
from ppaudioldm.models.vggish import VGGish
from ppaudioldm.weights.evaluation_networks import CNN14_FILES, VGGISH_FILE
from tests.evaluation_networks import SMALL_CNN14, SMALL_VGGISH, network_of, write_cnn14, write_vggish
from tests.support import noise, relative_error, run

CLIPS = 10  # as few as IS takes


@dataclass(frozen=True)
class Files:
    """The files of both networks, and two folders of clips of equal names; one of `made` has another."""

    vggish: Path
    panns: Path
    made: Path
    real: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Files:
    root = tmp_path_factory.mktemp("papers")
    for folder, seed in (("made", 0), ("real", 50)):
        (root / folder).mkdir()
        for number in range(CLIPS):
            samples = 0.1 * (1 + number) * noise(2000, 1, seed=seed + number).repeat(16, 0)  # 2 s, dull
            write_audio(root / folder / f"{number}.wav", samples[:, 0], 16000)
    (root / "made" / "9.wav").rename(root / "made" / "x.wav")
    return Files(write_vggish(root / "v.pth"), write_cnn14(root / "c.pth"), root / "made", root / "real")


@pytest.fixture(scope="module")
def networks(files) -> PaperNetworks:
    return PaperNetworks(files.vggish, files.panns, engine="eager", device="cpu")


# ---- Definitions


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_kl_is_audioldm_evals():
    """The sum of p (ln p - ln(q + 1e-6)) over classes and pairs, by the pairs: of the reference from the generated."""
    reference, generated = 3 * noise(5, 7).astype(np.float64), 3 * noise(5, 7, seed=1).astype(np.float64)
    p, q = np.exp(log_softmax(reference)), np.exp(log_softmax(generated))
    softmax = sum(p[i, j] * (np.log(p[i, j]) - np.log(q[i, j] + 1e-6)) for i in range(5) for j in range(7)) / 5
    p, q = 1 / (1 + np.exp(-reference)), 1 / (1 + np.exp(-generated))
    sigmoid = sum(p[i, j] * (np.log(p[i, j]) - np.log(q[i, j] + 1e-6)) for i in range(5) for j in range(7)) / 5
    assert distances.kl_of_logits(reference, generated) == pytest.approx((softmax, sigmoid), rel=1e-12)


def test_kl_of_logits_that_are_certain_is_finite():
    certain = np.array([[1000.0, -1000.0]])
    softmax, sigmoid = distances.kl_of_logits(certain, certain[:, ::-1])
    assert softmax == sigmoid == pytest.approx(-np.log(1e-6))


def test_inception_score_is_audioldm_evals():
    logits = 2 * noise(23, 5).astype(np.float64)
    order = np.random.RandomState(2020).permutation(23)
    scores = []
    for part in range(10):
        log_p = log_softmax(logits[order[part * 23 // 10 : (part + 1) * 23 // 10]])
        p = np.exp(log_p)
        scores.append(np.exp((p * (log_p - np.log(p.mean(0)))).sum(1).mean()))
    assert distances.inception_score(logits) == pytest.approx((np.mean(scores), np.std(scores)), rel=1e-12)


def test_inception_score_is_between_one_and_the_number_of_classes():
    assert distances.inception_score(np.tile(noise(1, 5), (20, 1)))[0] == pytest.approx(1)
    every_class_in_every_part = np.zeros((20, 2))
    order = np.random.RandomState(2020).permutation(20)
    every_class_in_every_part[order, np.arange(20) % 2] = 1000
    assert distances.inception_score(every_class_in_every_part) == pytest.approx((2, 0))
    with pytest.raises(ValueError, match="10 or more"):
        distances.inception_score(np.zeros((9, 5)))


def test_networks_get_what_audioldm_eval_gives_them(networks):
    """VGGish the mean of the channels and every example, Cnn14 the first channel without its mean, at least 2 s."""
    samples = 0.1 * noise(2 * 22050, 2) + np.array([0.1, 0.0], np.float32)
    features = PaperFeatures()
    networks.add(features, samples, 22050)
    import soxr

    mono, first = (soxr.resample(x, 22050, 16000) for x in (samples.mean(1), samples[:, 0]))
    examples = run(network_of(VGGish, SMALL_VGGISH), vggish_examples(mono))
    assert features.examples[0].shape == (2, 16) and relative_error(features.examples[0], examples) < 1e-5
    mel = cnn14_log_mel(np.pad(first - first.mean(), (0, 32000 - len(first)))[:32000], 16000)
    embedding, logits = run(network_of(Cnn14, SMALL_CNN14), mel[None])
    assert relative_error(features.embeddings[0], embedding[0]) < 1e-4
    assert relative_error(features.logits[0], logits[0]) < 1e-4


def test_measures_are_of_what_the_networks_say(networks):
    def features(seed: int, clips: int) -> PaperFeatures:
        examples = [noise(2, 16, seed=seed + n) for n in range(clips)]
        embeddings, logits = noise(clips, 20, seed=seed + 100), noise(clips, 12, seed=seed + 200)
        return PaperFeatures(examples, list(embeddings), list(logits))

    generated, reference = features(0, 12), features(50, 11)
    pairs = [(0, 3), (5, 1)]
    softmax, sigmoid = distances.kl_of_logits(
        np.stack([reference.logits[3], reference.logits[1]]), np.stack([generated.logits[0], generated.logits[5]])
    )
    score, deviation = distances.inception_score(np.stack(generated.logits))
    assert networks.measures(generated, reference, pairs) == pytest.approx(
        {
            "fad_vggish": distances.frechet_distance(
                np.concatenate(generated.examples), np.concatenate(reference.examples)
            ),
            "panns_sample_rate": 16000,
            "fd_panns": distances.frechet_distance(np.stack(generated.embeddings), np.stack(reference.embeddings)),
            "kl_panns_softmax": softmax,
            "kl_panns_sigmoid": sigmoid,
            "is_panns": score,
            "is_panns_deviation": deviation,
        }
    )
    assert set(networks.measures(generated, None, [])) == {"panns_sample_rate", "is_panns", "is_panns_deviation"}


def test_what_cannot_be_measured_is_left_out_and_said(networks):
    empty = np.zeros((0, 16), np.float32)
    one = PaperFeatures([empty], [noise(20)], [noise(12)])
    two = PaperFeatures([empty, noise(2, 16)], list(noise(2, 20)), list(noise(2, 12)))
    assert set(networks.measures(one, two, [])) == {"panns_sample_rate"}
    said = "\n".join(networks.cautions(one, two, []))
    assert [word in said for word in ("1 and 2 clips are few", "IS is", "FD is", "KL is", "FAD is left out")] == [
        True
    ] * 5
    said = "\n".join(networks.cautions(two, two, [(0, 1)]))
    assert "KL is of the 1 clips" in said and "FAD is without the 2 clips" in said


# ---- On the command line


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home without any files of networks."""
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def evaluate(files: Files, capsys, *arguments: str) -> tuple[dict, str]:
    folders = ["--generated", str(files.made), "--reference", str(files.real)]
    assert main(["evaluate", *folders, "--json", *arguments]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


OF_PAPERS = {"fad_vggish", "fd_panns", "kl_panns_softmax", "kl_panns_sigmoid", "is_panns", "is_panns_deviation"}


def test_two_folders_with_named_files(files, networks, home, capsys):
    found, err = evaluate(files, capsys, "--vggish", str(files.vggish), "--panns", str(files.panns))
    assert set(found) > OF_PAPERS and found["panns_sample_rate"] == 16000
    expected = networks.compare(sorted(files.made.iterdir()), sorted(files.real.iterdir()))
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert found["fad_vggish"] > 0 and found["fd_panns"] > 0 and 1 <= found["is_panns"] <= 12
    assert "10 and 10 clips are few" in err and "KL is of the 9 clips" in err and "not of the published size" in err


def test_without_the_files_one_line_says_so(files, home, capsys):
    found, err = evaluate(files, capsys)
    assert not OF_PAPERS & set(found)
    assert err.count("\n") == 1 and VGGISH_FILE in err and CNN14_FILES[16000] in err and "--panns" in err
    assert evaluate(files, capsys, "--no-papers")[1] == ""


@pytest.mark.parametrize(
    ("vggish", "panns"),
    [
        (f".cache/torch/hub/checkpoints/{VGGISH_FILE}", f".cache/audioldm_eval/ckpt/{CNN14_FILES[16000]}"),
        (f"hub/models--a--b/snapshots/c/{VGGISH_FILE}", "panns_data/Cnn14_mAP%3D0.431.pth"),
    ],
)
def test_files_are_found_where_other_programs_keep_them(vggish, panns, files, home, capsys, monkeypatch):
    for name, source in ((vggish, files.vggish), (panns, files.panns)):
        (home / name).parent.mkdir(parents=True)
        (home / name).symlink_to(source)
    used = []
    monkeypatch.setattr(papers.PaperNetworks, "__init__", lambda self, *arguments: used.append(arguments))
    monkeypatch.setattr(papers.PaperNetworks, "compare", lambda *_: {"fad_vggish": 1.0})
    assert evaluate(files, capsys)[0]["fad_vggish"] == 1.0
    assert [os.path.relpath(path, home) for path in used[0][:2]] == [vggish, panns]


def test_kinds_of_a_checkpoint_are_measured_against_real_clips(files, home, capsys, tmp_path):
    arguments = ["--kinds", "bell", "--per-kind", "2", "--stages", "real,vocoder", "-d", "1", "-c", "untrained"]
    named = ["--vggish", str(files.vggish), "--panns", str(files.panns), "-o", str(tmp_path / "out")]
    assert main(["evaluate", *arguments, *named, "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["vocoder"]["fad_vggish"] > 0 and found["vocoder"]["kl_panns_softmax"] > 0
    assert "fad_vggish" not in found["real"] and captured.err.count("clips are few") == 2  # 2, and 2 and 2
    assert "As papers measure" in (tmp_path / "out" / "report.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reference", "{real}", "--papers"], VGGISH_FILE),
        (["--reference", "{real}", "--no-papers", "--panns", "{panns}"], "--no-papers"),
        (["--panns", "{panns}"], "--reference"),
        (["--reference", "{real}", "--panns", "{vggish}"], "Cnn14 are missing"),
        (["--reference", "{real}", "--vggish", "{panns}"], "VGGish are missing"),
        (["--reference", "{real}", "--vggish", "nowhere.pth"], "nowhere.pth"),
    ],
)
def test_wrong_use_is_one_line(arguments, message, files, home, capsys):
    filled = [argument.format(**vars(files)) for argument in arguments]
    try:
        code = main(["evaluate", "--generated", str(files.made), *filled])
    except SystemExit as error:
        code = error.code
    errors = [line for line in capsys.readouterr().err.splitlines() if ": error: " in line]
    assert code == 2 and len(errors) == 1 and message in errors[0]
