"""contrib/paddlemix, put into a stand-in for that suite's checkout: registrations, its tests, its example."""

from __future__ import annotations

import importlib
import importlib.util
import re
import runpy
import sys
import unittest
from pathlib import Path

import pytest
import soundfile

from contrib.paddlemix import apply
from ppaudioldm import framework
from tests.contrib.paddlemix_stand_in import write_suite

if framework.NAME != "paddle":
    pytest.skip("the suite is Paddle's", allow_module_level=True)

TREE = Path(apply.__file__).parent


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """A checkout with the tree in it, importable."""
    folder = write_suite(tmp_path_factory.mktemp("PaddleMIX"))
    assert apply.main([str(folder)]) == 0
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.syspath_prepend(str(folder / "ppdiffusers"))
        yield folder
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("paddlemix", "paddlenlp", "ppdiffusers"):
            del sys.modules[name]


def test_the_pipeline_is_registered(suite):
    ppdiffusers = importlib.import_module("ppdiffusers")
    pipeline = ppdiffusers.AudioLDM2UnifiedPipeline
    assert pipeline.__module__ == "ppdiffusers.pipelines.audioldm2_unified.pipeline_audioldm2_unified"
    assert issubclass(pipeline, importlib.import_module("ppdiffusers.pipelines.pipeline_utils").DiffusionPipeline)
    dummies = importlib.import_module("ppdiffusers.utils.dummy_paddle_and_paddlenlp_objects")
    with pytest.raises(ImportError, match="AudioLDM2UnifiedPipeline requires"):
        dummies.AudioLDM2UnifiedPipeline.from_pretrained("tiny")
    assert importlib.import_module("paddlemix.models").AudioLDM2Model.base_model_prefix == "audioldm2"


def test_each_registration_is_complete(suite):
    """A name is where the lazy import and the type checker look, once each; README.md shows the same lines."""
    added = {}
    for name in apply.REGISTRATIONS:
        lines = (suite / name).read_text("utf-8").splitlines()
        added[name] = [line.strip() for line in lines if re.search("AudioLDM2Unified|audioldm2.modeling", line)]
    counts = {Path(name).parent.name + "/" + Path(name).name: len(lines) for name, lines in added.items()}
    assert counts == {
        "ppdiffusers/__init__.py": 2,
        "pipelines/__init__.py": 2,
        "utils/dummy_paddle_and_paddlenlp_objects.py": 1,
        "models/__init__.py": 1,
    }
    page = (TREE / "README.md").read_text("utf-8")
    assert [line for lines in added.values() for line in lines if line not in page] == []


def test_a_second_run_changes_nothing(suite, capsys):
    assert apply.main([str(suite), "--check"]) == 0 and capsys.readouterr().out == "nothing to change\n"


def test_a_release_that_imports_everything_at_once():
    text = "    from .pipelines import (\n        AltDiffusionPipeline,\n        AudioLDMPipeline,\n    )\n"
    rules = apply.REGISTRATIONS["ppdiffusers/ppdiffusers/__init__.py"]
    assert apply.registered(text, rules) == text.replace(
        "        AudioLDMPipeline", "        AudioLDM2UnifiedPipeline,\n        AudioLDMPipeline"
    )


def test_what_is_no_checkout(tmp_path, capsys):
    assert apply.main([str(tmp_path)]) == 2
    assert "is missing: is " in capsys.readouterr().err and not list(tmp_path.iterdir())
    changed = write_suite(tmp_path / "changed") / "ppdiffusers" / "ppdiffusers" / "__init__.py"
    changed.write_text("nothing\n")
    assert apply.main([str(tmp_path / "changed")]) == 2
    assert "the suite has changed" in capsys.readouterr().err
    assert not (tmp_path / "changed" / "paddlemix" / "examples").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["tests/models/test_audioldm2.py", "ppdiffusers/tests/pipelines/audioldm2_unified/test_audioldm2_unified.py"],
)
def test_the_suites_own_tests(name, suite):
    spec = importlib.util.spec_from_file_location(Path(name).stem, suite / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
    assert result.testsRun > 4 and not result.skipped
    assert not result.failures + result.errors, "\n".join(text for _, text in result.failures + result.errors)


def run_predict(suite: Path, *flags: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["run_predict.py", *flags])
        runpy.run_path(str(suite / "paddlemix" / "examples" / "audioldm2" / "run_predict.py"), run_name="__main__")


@pytest.mark.slow
def test_run_predict_with_tiny(suite, tmp_path, capsys):
    run_predict(
        suite, "--model_name_or_path", "tiny", "--text", "a big bell", "--duration", "0.6", "--ddim_steps", "2",
        "--n_candidate_gen_per_text", "1", "--save_path", str(tmp_path),
    )  # fmt: skip
    (path,) = tmp_path.glob("*/a*bell.wav")
    assert soundfile.info(path).frames == 9600 and f"Save audio to {path}" in capsys.readouterr().out


@pytest.mark.slow
def test_run_predict_with_a_list(suite, tmp_path, capsys):
    (tmp_path / "list.txt").write_text("rain\n\0\nrain|drops\n")
    run_predict(
        suite, "--model_name_or_path", "untrained", "--text_list", str(tmp_path / "list.txt"), "--duration", "0.4",
        "--ddim_steps", "2", "--device", "cpu", "--batchsize", "2", "--save_path", str(tmp_path / "out"),
    )  # fmt: skip
    assert sorted(path.name for path in tmp_path.glob("out/*/*")) == ["drops.wav", "rain.wav"]
    assert "line 2: holds a NUL byte" in capsys.readouterr().out
    with pytest.raises(ValueError, match="unknown-model"):
        run_predict(suite, "--model_name_or_path", "unknown-model", "--text", "rain", "--save_path", str(tmp_path))


def test_the_tree_is_like_the_suites_files():
    header = "# Copyright (c) 2026 PaddlePaddle Authors. All Rights Reserved.\n#\n# Licensed under the Apache License"
    sources = [TREE / path for path in apply.files() if path.suffix == ".py"]
    assert len(sources) == 9
    assert [path for path in sources if not path.read_text("utf-8").startswith(header)] == []
    assert [path for path in sources for line in path.read_text("utf-8").splitlines() if len(line) > 119] == []
