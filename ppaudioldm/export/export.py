"""Writing a checkpoint as programs: each function of its networks, a manifest, tokenizers and the runner."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ppaudioldm import __version__
from ppaudioldm.checkpoints import derivatives_warning
from ppaudioldm.config import ModelConfig
from ppaudioldm.export import runner
from ppaudioldm.generation.options import check_texts, default_duration
from ppaudioldm.generation.text_condition import CLAP_MAX_TOKENS, T5_PAD
from ppaudioldm.models.build import network_names
from ppaudioldm.models.functions import INPUTS, flat_inputs, function_inputs, network_and_method
from ppaudioldm.storage.atomic import atomic_path
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.weights.checkpoint import Checkpoint

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
PACKAGE = Path(__file__).parents[1]
RUNTIME = "runtime"  # the folder beside run.py with the modules that it imports
FOR_TYPES = re.compile(r"^if TYPE_CHECKING:\n(?:    .*\n)+", re.MULTILINE)  # imports that no program runs
OUR_IMPORT = re.compile(r"^from ppaudioldm\.((?:\w+\.)*)(\w+) import ", re.MULTILINE)

SaveFunction = Callable[[str, Path], None]  # writes the function of that name to files that begin with the path


def exportable_functions(config: ModelConfig) -> list[str]:
    """The functions of a checkpoint that engines run."""
    names = [name for name in INPUTS if network_and_method(name)[0] in network_names(config)]
    if not config.contexts:
        names.remove("unet_contexts")
    absent = ["unet_guided_deep", "unet_guided_shallow"] if config.unet.conditions_finest else []
    if config.unet.guidance_dim:  # there is no second half to guide by
        absent += ["unet_guided_step", "unet_guided_deep", "unet_guided_shallow"]
    return [name for name in names if name not in absent]


def export(
    checkpoint: Checkpoint,
    folder: Path,
    format_name: str,
    save: SaveFunction,
    functions: Sequence[str] | None = None,
    prompts: Sequence[str] = (),
    notify: Callable[[str], None] = lambda line: None,
) -> None:
    """Write `checkpoint` as the folder `folder`, which appears complete or not at all.

    format_name: "paddle" or "openvino". functions: by default all of `exportable_functions`. prompts: whose token ids
    are stored as well, for a runner without tokenizers. notify: called with the name of each function before it is
    written. Raises ValueError for a function that the checkpoint does not have.
    """
    config = checkpoint.config
    available = exportable_functions(config)
    chosen = list(functions) if functions else available
    if unknown := [name for name in chosen if name not in available]:
        raise ValueError(f"{checkpoint.name} has no function {unknown[0]!r}, choose from {', '.join(available)}")
    texts = check_texts(prompts) if prompts else []
    if warning := derivatives_warning(checkpoint.licence, str(folder)):
        logger.warning("%s", warning)
    tokenizers = _tokenizers(checkpoint)
    with atomic_path(folder) as temporary:
        (temporary / "functions").mkdir(parents=True)
        for name in chosen:
            notify(name)
            save(name, temporary / "functions" / name)
        for kind in tokenizers:
            (temporary / f"{kind}-tokenizer.json").write_text(checkpoint.tokenizer_json(kind), "utf-8")
        manifest = _manifest(checkpoint, format_name, chosen, tokenizers)
        (temporary / "manifest.json").write_text(json.dumps(manifest, indent=1), "utf-8")
        encoded = [{"text": text, "tokens": _tokens(tokenizers, text)} for text in texts]
        (temporary / "prompts.json").write_text(json.dumps(encoded, indent=1), "utf-8")
        write_runner(temporary)


def _manifest(
    checkpoint: Checkpoint, format_name: str, functions: list[str], tokenizers: dict[str, PromptTokenizer]
) -> dict[str, Any]:
    config = checkpoint.config
    limits = {"clap": CLAP_MAX_TOKENS, "flan_t5": config.flan_t5.max_tokens if config.flan_t5 else 0}
    return {
        "version": FORMAT_VERSION,
        "made_by": f"ppaudioldm {__version__}",
        "name": checkpoint.name,
        "format": format_name,
        "config": config.to_dict(),
        "default_seconds": default_duration(config.diffusion.clip_seconds),
        "tokenizers": {kind: limits[kind] for kind in tokenizers},
        "empty_prompt": _tokens(tokenizers, ""),
        "functions": {
            name: {
                "file": f"functions/{name}",
                # A shape has null where any size is allowed.
                "inputs": [
                    {"name": x.name, "shape": list(x.shape), "dtype": x.dtype, "is_state": x.is_state}
                    for x in flat_inputs(function_inputs(name, config))
                ],
                "returns_list": name in ("unet_contexts", "vae_encoder", "phoneme_encoder", "loa", "gpt2"),
            }
            for name in functions
        },
    }


def _tokenizers(checkpoint: Checkpoint) -> dict[str, PromptTokenizer]:
    """By kind, those of the text encoders that the checkpoint has."""
    config = checkpoint.config
    found = {}
    if config.clap_text:
        text, clap = checkpoint.tokenizer_json("clap"), config.clap_text
        found["clap"] = PromptTokenizer(text, "CLAP", CLAP_MAX_TOKENS, clap.pad_token_id, clap.vocab_size)
    if config.flan_t5:
        text, t5 = checkpoint.tokenizer_json("flan_t5"), config.flan_t5
        found["flan_t5"] = PromptTokenizer(text, "FLAN-T5", t5.max_tokens, T5_PAD, t5.vocab_size)
    return found


def _tokens(tokenizers: dict[str, PromptTokenizer], text: str) -> dict[str, list[int]]:
    return {kind: [int(token) for token in tokenizer([text])[0][0]] for kind, tokenizer in tokenizers.items()}


def write_runner(folder: Path) -> None:
    """Write run.py, and the modules of this package that it imports, which need NumPy alone, as `runtime/`."""
    (folder / RUNTIME).mkdir()
    (folder / RUNTIME / "__init__.py").write_text(
        '"""Modules of ppaudioldm that run.py imports. Apache-2.0."""\n', "utf-8"
    )
    sources = {"": Path(runner.__file__)}
    pending = [""]
    while pending:
        name = pending.pop()
        text = FOR_TYPES.sub("", sources[name].read_text("utf-8"))
        for rooms, module in OUR_IMPORT.findall(text):
            if module not in sources:
                sources[module] = PACKAGE.joinpath(*rooms.split("."), f"{module}.py")
                pending.append(module)
        path = folder / RUNTIME / f"{name}.py" if name else folder / "run.py"
        path.write_text(OUR_IMPORT.sub(rf"from {RUNTIME}.\2 import ", text), "utf-8")
