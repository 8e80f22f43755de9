"""The code blocks of the documentation, and what of them is not run, by name and with a reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob("contrib/*/*.md"),
        *ROOT.glob("contrib/*/paddlemix/examples/*/*.md"),
    ]
)  # fmt: skip
TRANSLATIONS = {"README.zh-CN.md": "README.md"}  # a page -> the one whose blocks it repeats
SHELL = ("", "bash", "sh")
LANGUAGES = (*SHELL, "python", "json", "toml", "diff")
# A block without a language that is no shell: diagrams, and the configuration of another program.
DIAGRAMS = ("prompt --tokenizer-->", "HTTP --request gate-->", "network --paddle.jit-->", "location / {")

# Beginning of a line -> why it is not run. Of several for a line the first counts.
NOT_RUN = {
    "pip install": "downloads; `make install-test` installs each extra from the built wheel",
    "apt-get": "downloads",
    "make ": "makes an environment; CI runs these",
    "docker ": "needs a container engine: tests/test_containers.py, tests/environments/test_containers.py",
    "claude mcp add": "another program",
    "codex mcp add": "another program",
    "tensorboard --logdir": "another program, which serves until it is stopped",
    "visualdl --logdir": "another program, which serves until it is stopped",
    "torchrun": "several processes: tests/training/test_parallel.py",
    "python -m paddle.distributed.launch": "several processes: tests/training/test_parallel.py",
    "python -m ppaudioldm.sounds.bank": "downloads recordings",
    "bash benchmarks/gpu.sh": "needs a GPU",
    "tar c -C output/runs": "of a run on a GPU",
    "export RAY_USAGE_STATS_ENABLED": "of a cluster of several machines: tests/on_ray/test_cluster.py",
    "ray start": "of a cluster of several machines: tests/on_ray/test_cluster.py",
    "ppaudioldm generate --list prompts.jsonl": "on a cluster of several machines: tests/on_ray/test_cluster.py",
    "ppaudioldm generate --list prompts.txt": "starts a cluster: tests/on_ray/test_command.py runs it as written",
    "printf 'a dog barks": "the list of the line before this one",
    "ppaudioldm export tiny bell": "half a minute each: tests/parity/test_export.py runs them as written",
    "python bell": "of those exports: tests/parity/test_export.py runs them as written",
    "ppaudioldm evaluate-speech": "minutes: tests/evaluation/test_spoken.py",
    "ppaudioldm evaluate --kinds": "minutes: tests/evaluation/test_kinds.py",
    "ppaudioldm evaluate --sounds": "minutes: tests/evaluation/test_evaluate_command.py",
    "ppaudioldm evaluate --generated clips --reference real --vggish": "of networks that have to be downloaded",
    "OMP_NUM_THREADS=1 ppaudioldm evaluate": "needs a finished run: tests/evaluation/test_kinds.py",
    "ppaudioldm random-checkpoint audioldm2-full": "gigabytes: tests/test_every_checkpoint.py",
    "ppaudioldm assemble": "needs finished runs: tests/commands/test_train.py",
    'ppaudioldm generate "a church bell" -c audioldm2-fast': "needs a finished run: tests/commands/test_train.py",
    'ppaudioldm generate "a church bell" -c audioldm2-full --lora runs/': "needs a finished run: the same",
    "python -m contrib.paddlemix.precision_report --size full": "gigabytes: by hand",
    "python -m contrib.paddlemix.precision_report -o": "tests/parity/test_precision_report.py",
    "python contrib/paddlemix/apply.py": "needs a checkout of PaddleMIX: tests/contrib/test_paddlemix.py",
    "python paddlemix/examples": "needs a checkout of PaddleMIX: tests/contrib/test_paddlemix.py",
}
# Something in a Python block -> likewise.
PYTHON_NOT_RUN = {
    "from ppdiffusers import": "needs ppdiffusers: tests/contrib/test_paddlemix.py",
    "import PaperNetworks": "of networks that have to be downloaded: tests/evaluation/test_papers.py",
    "import generate_list_on_ray": "starts a cluster: tests/on_ray/test_cluster.py",
}


@dataclass(frozen=True)
class Block:
    """language: as it stands behind the fence, "" for none."""

    page: str
    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """The commands of a shell block, each on one line, without comments that fill a line."""
        joined = self.text.replace("\\\n", " ").splitlines()
        return [line for line in joined if line.strip() and not line.lstrip().startswith("#")]

    @property
    def uncommented(self) -> str:
        """Its text without comments at the ends of lines."""
        return re.sub(r"\s+#\s.*", "", self.text)


def blocks(page: Path) -> list[Block]:
    """In order; a block within a list is not indented."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    name = page.relative_to(ROOT).as_posix()
    texts = [(language, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)) for indent, language, text in found]
    return [Block(name, *one) for one in texts if not one[1].startswith(DIAGRAMS)]


def is_run(line: str) -> bool:
    """Whether a line of a shell block is."""
    return not line.startswith(tuple(NOT_RUN))


def is_run_in_python(text: str) -> bool:
    """Whether a Python block is."""
    return not any(part in text for part in PYTHON_NOT_RUN)
