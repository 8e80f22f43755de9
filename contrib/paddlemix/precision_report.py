"""The report on precision that PaddleMIX's reviewers ask for: every network on Paddle against its public reference.

    python -m contrib.paddlemix.precision_report -o report.md                       # small networks, a minute
    python -m contrib.paddlemix.precision_report --size full -o report.md           # as audioldm2-full
    python -m contrib.paddlemix.precision_report --checkpoint FOLDER -o report.md   # a diffusers folder of your own

Both sides read the same diffusers folder and get the same inputs. fp32 is Paddle's dynamic graph. bf16, where the CPU
has it, is what this package runs on a CPU by default: the Paddle programs in OpenVINO; beside it is how far the
reference's own bf16 is from its fp32. Exit status 1 says that a network missed its limit in fp32.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.config import ModelConfig
from ppaudioldm.engines.engine import Engine
from ppaudioldm.storage.atomic import atomic_path

LIMITS = {"fp32": 1e-5, "bf16": 1e-3}
SIZES = {"small": "untrained", "full": "audioldm2-full"}
BATCH, FRAMES, TOKENS = 2, 64, 12  # latent frames (2.56 s), tokens of a prompt
TIMESTEP = 500

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Case:
    """A network in both libraries.

    reference: library, class and folder of PyTorch's network. inputs: of the configuration. ours: an engine and the
    inputs to an output. theirs: PyTorch's network and its tensors to the same output.
    """

    network: str
    reference: tuple[str, str, str]
    inputs: Callable[[ModelConfig], Arrays]
    ours: Callable[[Engine, ModelConfig, Arrays], Any]
    theirs: Callable[[Any, list[Any]], Any]

    def load(self, checkpoint: Path) -> Any:
        library, name, folder = self.reference
        module = getattr(import_module(library), name)
        return module.from_pretrained(checkpoint / folder, local_files_only=True).eval()


@dataclass(frozen=True)
class Row:
    """Errors of one network in one precision. reference_bf16: how far the reference's own bf16 is from its fp32."""

    network: str
    library: str
    precision: str
    error: float  # L2 norm of the difference over that of the reference
    largest: float
    mean: float
    reference_bf16: float | None = None

    @property
    def is_met(self) -> bool:
        return self.error < LIMITS[self.precision]


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# ---- Inputs


def latents(config: ModelConfig) -> Arrays:
    return [noise(0, BATCH, config.vae.latent_channels, FRAMES, config.latent_bands)]


def mel(config: ModelConfig) -> Arrays:
    return [noise(1, BATCH, FRAMES, config.vae.n_mels)]


def tokens(config: ModelConfig) -> Arrays:
    """Ids that both tokenizers have, and their mask: the first prompt is half as long as the second."""
    ids = np.random.default_rng(3).integers(3, 250, (BATCH, TOKENS))
    mask = np.ones(ids.shape, np.float32)
    mask[0, TOKENS // 2 :] = 0
    ids[0, TOKENS // 2 :] = 1 if config.clap_text is None else config.clap_text.pad_token_id
    return [ids, mask]


def unet_inputs(config: ModelConfig) -> Arrays:
    loa, states = (dim for dim in config.unet.context_dims if dim)
    return [*latents(config), noise(4, BATCH, 8, loa), noise(5, BATCH, TOKENS, states), tokens(config)[1]]


def projection_inputs(config: ModelConfig) -> Arrays:
    assert config.loa
    clap, states = config.loa.condition_dims
    return [noise(7, BATCH, 1, clap), noise(8, BATCH, TOKENS, states), tokens(config)[1]]


def gpt2_inputs(config: ModelConfig) -> Arrays:
    assert config.gpt2
    return [noise(6, BATCH, TOKENS, config.gpt2.hidden_size), np.ones((BATCH, TOKENS), np.float32)]


def clap_audio_inputs(config: ModelConfig) -> Arrays:
    return [10 * noise(9, BATCH, 1, 1001, 64)]


# ---- Outputs of this package


def plain(function: str) -> Callable[[Engine, ModelConfig, Arrays], Any]:
    """A function of an engine that takes the inputs as they are; of several outputs the first."""

    def run(engine: Engine, config: ModelConfig, inputs: Arrays) -> Any:
        output = engine.run(function, *[engine.asarray(x) for x in inputs])
        return output[0] if isinstance(output, (list, tuple)) else output

    return run


def our_unet(engine: Engine, config: ModelConfig, inputs: Arrays) -> Any:
    from ppaudioldm.diffusion.timestep_features import timestep_features

    x, loa, states, mask = (engine.asarray(array) for array in inputs)
    contexts = list(engine.run("unet_contexts", [loa, states]))
    features = timestep_features(np.full(BATCH, TIMESTEP), config.unet.model_channels)
    time = engine.run("unet_time_embedding", engine.asarray(features))
    return engine.run("unet_step", x, time, contexts, [engine.asarray(np.ones((BATCH, 8), np.float32)), mask])


def our_projection(engine: Engine, config: ModelConfig, inputs: Arrays) -> Any:
    clap, states, mask = (engine.asarray(x) for x in inputs)
    return engine.run("loa", [clap, states], [engine.asarray(np.ones((BATCH, 1), np.float32)), mask])[0]


def our_gpt2(engine: Engine, config: ModelConfig, inputs: Arrays) -> Any:
    return engine.start("gpt2")(*[engine.asarray(x) for x in inputs])


def our_clap_audio(engine: Engine, config: ModelConfig, inputs: Arrays) -> Any:
    from ppaudioldm.audio.clap_mel import interpolate_frames

    frames = np.stack([interpolate_frames(channel, 1024)[None] for (channel,) in inputs[0]]).astype(np.float32)
    return plain("clap_audio")(engine, config, [frames])


# ---- Outputs of the references


def their_unet(unet: Any, inputs: list[Any]) -> Any:
    x, loa, states, mask = inputs
    return unet(x, TIMESTEP, loa, encoder_hidden_states_1=states, encoder_attention_mask_1=mask).sample


def their_projection(projection: Any, inputs: list[Any]) -> Any:
    clap, states, mask = inputs
    return projection(clap, states, mask.new_ones(BATCH, 1), mask).hidden_states


def their_gpt2(gpt2: Any, inputs: list[Any]) -> Any:
    embeddings, mask = inputs
    return gpt2(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state


def their_clap_audio(clap: Any, inputs: list[Any]) -> Any:
    import torch

    is_longer = torch.zeros(BATCH, 1, dtype=torch.bool)
    return unit_length(clap.get_audio_features(input_features=inputs[0], is_longer=is_longer))


def their_clap_text(clap: Any, inputs: list[Any]) -> Any:
    return unit_length(clap.get_text_features(input_ids=inputs[0], attention_mask=inputs[1]))


def their_flan_t5(t5: Any, inputs: list[Any]) -> Any:
    return t5(input_ids=inputs[0], attention_mask=inputs[1]).last_hidden_state


def unit_length(embedding: Any) -> Any:
    import torch

    return torch.nn.functional.normalize(getattr(embedding, "pooler_output", embedding), dim=-1)


VAE, CLAP = ("diffusers", "AutoencoderKL", "vae"), ("transformers", "ClapModel", "text_encoder")
CASES = (
    Case("UNet", ("diffusers", "AudioLDM2UNet2DConditionModel", "unet"), unet_inputs, our_unet, their_unet),
    Case("VAE encoder", VAE, mel, plain("vae_encoder"), lambda vae, x: vae.encode(x[0][:, None]).latent_dist.mean),
    Case("VAE decoder", VAE, latents, plain("vae_decoder"), lambda vae, x: vae.decode(x[0]).sample.squeeze(1)),
    Case("HiFi-GAN", ("transformers", "SpeechT5HifiGan", "vocoder"), mel, plain("vocoder"), lambda net, x: net(x[0])),
    Case("CLAP text", CLAP, tokens, plain("clap_text"), their_clap_text),
    Case("CLAP audio", CLAP, clap_audio_inputs, our_clap_audio, their_clap_audio),
    Case("FLAN-T5", ("transformers", "T5EncoderModel", "text_encoder_2"), tokens, plain("flan_t5"), their_flan_t5),
    Case(
        "projection", ("diffusers", "AudioLDM2ProjectionModel", "projection_model"), projection_inputs, our_projection,
        their_projection,
    ),
    Case("GPT-2", ("transformers", "GPT2Model", "language_model"), gpt2_inputs, our_gpt2, their_gpt2),
)  # fmt: skip


# ---- The comparison


def reference_output(case: Case, module: Any, inputs: Arrays, dtype: str) -> np.ndarray:
    import torch

    precision = getattr(torch, dtype)
    tensors = [torch.from_numpy(x) for x in inputs]
    tensors = [x.to(precision) if x.is_floating_point() else x for x in tensors]
    with torch.no_grad():
        return case.theirs(module.to(precision), tensors).float().numpy()


def kept(case: Case, array: np.ndarray, inputs: Arrays) -> np.ndarray:
    """`array` without what nothing reads: the states of padding."""
    return array[inputs[-1] == 1] if case.network == "FLAN-T5" else array


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """The L2 norm of the difference over that of `expected`; infinite for another shape or what is not finite."""
    if actual.shape != expected.shape or not np.isfinite(actual).all():
        return float("inf")
    return float(np.linalg.norm((actual.astype(np.float64) - expected).ravel()) / np.linalg.norm(expected.ravel()))


def compare(case: Case, precision: str, actual: np.ndarray, expected: np.ndarray, own: float | None = None) -> Row:
    error = relative_error(actual, expected)
    difference = np.abs(actual - expected) if np.isfinite(error) else np.array(np.inf)
    return Row(case.network, case.reference[0], precision, error, difference.max(), difference.mean(), own)


def compare_all(folder: Path, has_bf16: bool) -> Iterator[Row]:
    """The rows of every network; one is in memory at a time in each library."""
    from ppaudioldm.engines.choice import create_engine
    from ppaudioldm.weights.locate import locate

    located = locate(folder)
    description, fp32 = create_engine(located, "eager", "cpu", "f32", low_memory=True)
    engines = {"fp32": fp32}
    if has_bf16:
        engines["bf16"] = create_engine(located, "openvino", "cpu", "bf16", low_memory=True)[1]
    for case in CASES:
        inputs, module = case.inputs(description.config), case.load(folder)
        expected = kept(case, reference_output(case, module, inputs, "float32"), inputs)
        own = None
        for precision, engine in engines.items():
            if precision == "bf16":
                own = relative_error(kept(case, reference_output(case, module, inputs, "bfloat16"), inputs), expected)
            actual = engine.to_numpy(case.ours(engine, description.config, inputs))
            yield compare(case, precision, kept(case, actual, inputs), expected, own)
            engine.release()
        del module
        gc.collect()


def cpu_has_bf16() -> bool:
    from ppaudioldm.openvino_engine.engine import checked_precision

    return checked_precision("auto") == "bf16"


def report(rows: Sequence[Row], checkpoint: str) -> str:
    """The report as Markdown."""
    libraries = ("torch", "diffusers", "transformers", "openvino")
    versions = ", ".join(
        [f"paddle {import_module('paddle').__version__}", *(f"{name} {version(name)}" for name in libraries)]
    )
    lines = [
        "# AudioLDM2 precision alignment",
        "",
        f"{date.today().isoformat()}, {versions}. Checkpoint: {checkpoint}.",
        "",
        "Error: the L2 norm of the difference from the reference in fp32 over the L2 norm of that; beside it the",
        "largest and the mean absolute difference. bf16 of the reference: the error of its own bf16.",
        "",
        "| network | reference | precision | error | largest | mean | bf16 of the reference | limit | met |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        own = "" if row.reference_bf16 is None else f"{row.reference_bf16:.1e}"
        lines.append(
            f"| {row.network} | {row.library} | {row.precision} | {row.error:.1e} | {row.largest:.1e}"
            f" | {row.mean:.1e} | {own} | {LIMITS[row.precision]:.0e} | {'yes' if row.is_met else 'no'} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the report, Markdown")
    parser.add_argument("--size", choices=SIZES, default="small", help="of the random checkpoint (default: small)")
    parser.add_argument("--checkpoint", type=Path, help="a diffusers folder of AudioLDM 2 in its place")
    parser.add_argument("--no-bf16", action="store_true", help="leave bf16 out")
    options = parser.parse_args(arguments)
    if options.checkpoint is not None and not (options.checkpoint / "model_index.json").is_file():
        print(f"error: {options.checkpoint} is no diffusers folder: it has no model_index.json", file=sys.stderr)
        return 2
    os.environ["PPAUDIOLDM_FRAMEWORK"] = "paddle"
    from ppaudioldm.weights.convert import write_random

    with tempfile.TemporaryDirectory() as scratch:
        folder, name = options.checkpoint, str(options.checkpoint)
        if folder is None:
            folder, name = Path(scratch, "checkpoint"), f"random weights of the size of {SIZES[options.size]}"
            write_random(SIZES[options.size], folder, "diffusers", seed=0)
        rows = []
        for row in compare_all(folder, not options.no_bf16 and cpu_has_bf16()):
            print(f"{row.network}, {row.precision}: {row.error:.1e}", flush=True)
            rows.append(row)
    with atomic_path(options.output) as temporary:
        temporary.write_text(report(rows, name), "utf-8")
    print(f"Wrote {options.output}")
    return int(any(not row.is_met for row in rows if row.precision == "fp32"))


if __name__ == "__main__":
    sys.exit(main())
