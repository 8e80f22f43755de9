"""ppaudioldm beside diffusers: audioldm2-full's size, random weights, one clip with guidance, stage by stage.

    python benchmarks/compare.py                    # CPU: diffusers in fp32, bf16, bf16 channels-last
    python benchmarks/compare.py --device cuda      # GPU: diffusers in fp16, eager and compiled; ours on PyTorch
    python benchmarks/compare.py --checkpoint audioldm-s-full       # AudioLDM 1, beside the parts of AudioLDMPipeline
    python benchmarks/compare.py --small --duration 1 --rounds 1    # the smallest networks, to try the program

Needs the packages of `pip install 'ppaudioldm[parity]'`. Every round times each stage of each contender, in turn, so
that what else the machine does meets all of them alike: once, and four steps in a row, as they follow each other in a
clip. The table has medians over rounds. Memory is the peak of a
process of its own for each contender: all networks, one short clip.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

PROMPT = "a dog barks, rain"  # the tokenizer of random weights makes a token a byte: as many as of a usual sentence
STAGES = ("text", "step", "decode", "vocoder")
CPU = ("diffusers fp32", "diffusers bf16", "diffusers bf16 channels-last", "ppaudioldm")
CUDA = ("diffusers fp16", "diffusers fp16 compiled", "ppaudioldm")
CLIP_STEPS = (10, 25, 200)
CHECKPOINTS = ("audioldm2-full", "audioldm-s-full", "audioldm-m-full", "audioldm-l-full")  # whose sizes are compared
IN_A_ROW = {"step": 4}  # as in a clip, where a step finds its weights where the step before left them

Contender = dict[str, Callable[[], object]]  # stage -> what runs it once


def main() -> None:
    parser = argparse.ArgumentParser(description="ppaudioldm beside diffusers, stage by stage")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--checkpoint", choices=CHECKPOINTS, default=CHECKPOINTS[0])
    parser.add_argument("--duration", type=float, default=10.0, help="seconds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--small", action="store_true", help="networks as small as possible; ours are `untrained`")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cuda":
        os.environ["PPAUDIOLDM_FRAMEWORK"] = "torch"
    what = options.device, options.duration, options.checkpoint, options.small
    if options.memory_of:
        print(json.dumps(peak_memory(options.memory_of, *what)))
        return
    names = CPU if options.device == "cpu" else CUDA
    if options.device == "cpu":
        # Prepares the networks: what follows is from the cache.
        memory_of("ppaudioldm", *what)
    memory = {name: memory_of(name, *what) for name in names}
    contenders = {name: contender(name, *what) for name in names}
    seconds = rounds(contenders, options.device, options.rounds)
    report(seconds, memory, options.json)


def rounds(contenders: dict[str, Contender], device: str, count: int) -> dict[str, dict[str, float]]:
    """Median seconds of every stage of every contender."""
    times: dict[str, dict[str, list[float]]] = {name: {stage: [] for stage in STAGES} for name in contenders}
    for number in range(count + 1):
        for stage in STAGES:
            for name, run in contenders.items():
                count_in_a_row = IN_A_ROW.get(stage, 1)
                start = time.perf_counter()
                for _ in range(count_in_a_row):
                    run[stage]()
                wait_for(device)
                if number:  # the first round compiles and warms up
                    times[name][stage].append((time.perf_counter() - start) / count_in_a_row)
        print(f"round {number} of {count}", file=sys.stderr, flush=True)
    medians = {name: {stage: statistics.median(found[stage]) for stage in STAGES} for name, found in times.items()}
    for found in medians.values():
        found["decode + vocoder"] = found["decode"] + found["vocoder"]
        for steps in CLIP_STEPS:
            found[f"clip, {steps} steps (sum)"] = found["text"] + steps * found["step"] + found["decode + vocoder"]
    return medians


def report(seconds: dict[str, dict[str, float]], memory: dict[str, float | None], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"seconds": seconds, "peak_memory_gb": memory}, indent=1))
        return
    ours, *others = reversed(seconds)
    others.reverse()
    print("| | " + " | ".join([*others, ours]) + " | " + " | ".join(f"of {name}" for name in others) + " |")
    print("|---|" + "---:|" * (2 * len(others) + 1))
    for stage in seconds[ours]:
        values = [seconds[name][stage] for name in (*others, ours)]
        ratios = [seconds[ours][stage] / seconds[name][stage] for name in others]
        cells = [f"{value:.3f} s" for value in values] + [f"{ratio:.2f}x" for ratio in ratios]
        print(f"| {stage} | " + " | ".join(cells) + " |")
    if all(memory.values()):
        cells = [f"{memory[name]:.2f} GB" for name in (*others, ours)]
        cells += [f"{(memory[ours] or 0) / (memory[name] or 1):.2f}x" for name in others]
        print("| peak memory | " + " | ".join(cells) + " |")


def contender(name: str, device: str, duration: float, checkpoint: str, small: bool) -> Contender:
    if name == "ppaudioldm":
        return ours(device, duration, "untrained" if small else checkpoint)
    return diffusers(name, device, duration, checkpoint, small=small)


def memory_of(name: str, device: str, duration: float, checkpoint: str, small: bool) -> float | None:
    """GB that a process of its own needs at most."""
    arguments = ["--device", device, "--duration", str(duration), "--checkpoint", checkpoint, "--memory-of", name]
    arguments += ["--small"] if small else []
    process = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    return json.loads(process.stdout.splitlines()[-1])


def peak_memory(name: str, device: str, duration: float, checkpoint: str, small: bool) -> float | None:
    run = contender(name, device, duration, checkpoint, small)
    for stage in ("text", "step", "step", "decode", "vocoder"):
        run[stage]()
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 1e9
    from ppaudioldm.evaluation.speed import peak_memory_gb

    return peak_memory_gb()


def wait_for(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def ours(device: str, duration: float, checkpoint: str) -> Contender:
    from ppaudioldm.diffusion.timestep_features import timestep_features
    from ppaudioldm.engines.choice import create_engine
    from ppaudioldm.generation.text_condition import PromptEncoder, concatenated, padded
    from ppaudioldm.weights.locate import locate

    located = locate(checkpoint, random_weights=True)
    description, engine = create_engine(located, device="cuda:0" if device == "cuda" else "cpu")
    config, encoder = description.config, PromptEncoder(description, engine)

    def conditions() -> Any:
        return padded(concatenated(encoder.unconditional(1), encoder.encode([PROMPT])))

    found = conditions()
    contexts, masks = [[engine.asarray(x) for x in arrays] for arrays in (found.contexts, found.masks)]
    projected = engine.run("unet_contexts", contexts) if contexts else []
    film = None if found.film is None else engine.asarray(found.film)
    latents = engine.asarray(noise(1, config.vae.latent_channels, frames(duration), config.latent_bands))
    features = engine.asarray(timestep_features(np.array([500]), config.unet.model_channels))
    time = engine.run("unet_time_embedding", features)
    mel = engine.asarray(noise(1, 4 * frames(duration), config.vae.n_mels))
    return {
        "text": conditions,
        "step": lambda: engine.run("unet_guided_step", latents, time, projected, masks, film),
        "decode": lambda: engine.run("vae_decoder", latents),
        "vocoder": lambda: engine.run("vocoder", mel),
    }


def diffusers(
    name: str,
    device: str,
    duration: float,
    checkpoint: str = CHECKPOINTS[0],
    batch: int = 1,
    small: bool = False,
) -> Contender:
    """The stages of diffusers' pipeline for `batch` clips. small: networks as small as possible, to try the program."""
    import torch
    import transformers as hf
    from diffusers import AutoencoderKL

    dtype = torch.float32 if "fp32" in name else torch.bfloat16 if "bf16" in name else torch.float16
    layout = torch.channels_last if "channels-last" in name else torch.contiguous_format

    def network(make: Callable[..., torch.nn.Module], *arguments: object, **keywords: object) -> torch.nn.Module:
        # Made in its dtype: converting afterwards would count as memory.
        torch.set_default_dtype(dtype)
        try:
            with torch.device(device):
                return make(*arguments, **keywords).eval()
        finally:
            torch.set_default_dtype(torch.float32)

    parts = audioldm2_parts if checkpoint == "audioldm2-full" else audioldm1_parts
    text, unet = parts(network, device, checkpoint, batch, small)
    unet = unet.to(memory_format=layout)
    vae = network(
        AutoencoderKL,
        in_channels=1,
        out_channels=1,
        latent_channels=8,
        block_out_channels=(32, 32, 32) if small else (128, 256, 512),
        layers_per_block=2,
        down_block_types=["DownEncoderBlock2D"] * 3,
        up_block_types=["UpDecoderBlock2D"] * 3,
    ).to(memory_format=layout)
    vocoder = network(
        hf.SpeechT5HifiGan,
        hf.SpeechT5HifiGanConfig(
            model_in_dim=64,
            upsample_initial_channel=64 if small else 1024,
            upsample_rates=[5, 4, 2, 2, 2],
            upsample_kernel_sizes=[16, 16, 8, 4, 4],
            normalize_before=False,
        ),
    )
    if name.endswith("compiled step"):  # as ppaudioldm's compiled step
        unet = torch.compile(unet, mode="reduce-overhead")
    elif "compiled" in name:
        unet, vae.decode, vocoder = torch.compile(unet), torch.compile(vae.decode), torch.compile(vocoder)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(device, dtype)

    with torch.inference_mode():
        conditions = text()
    latents = tensor(noise(2 * batch, 8, frames(duration), 16)).contiguous(memory_format=layout)
    mel = tensor(noise(batch, 4 * frames(duration), 64))
    timestep = torch.tensor(500, device=device)
    stages: Contender = {
        "text": text,
        "step": lambda: unet(latents, timestep, **conditions, return_dict=False)[0],
        "decode": lambda: vae.decode(latents[:batch], return_dict=False)[0],
        "vocoder": lambda: vocoder(mel),
    }
    return {stage: torch.inference_mode()(run) for stage, run in stages.items()}


def audioldm1_parts(
    network: Callable[..., Any], device: str, checkpoint: str, batch: int, small: bool
) -> tuple[Callable[[], Any], Any]:
    """What AudioLDMPipeline conditions the UNet with, unconditional first, and that UNet."""
    import torch
    import transformers as hf
    from diffusers import UNet2DConditionModel

    from ppaudioldm.checkpoints import CHECKPOINTS as TABLE

    config = TABLE[checkpoint].config.unet
    channels, head_dim = (32, 32) if small else (config.model_channels, config.head_dim)
    widths = [channels * mult for mult in config.channel_mult]
    clap = network(hf.ClapTextModelWithProjection, hf.ClapTextConfig(num_hidden_layers=1 if small else 12))
    unet = network(
        UNet2DConditionModel,
        in_channels=8,
        out_channels=8,
        block_out_channels=widths,
        down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * 3),
        up_block_types=(*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"),
        attention_head_dim=[width // head_dim for width in widths],
        cross_attention_dim=widths,
        class_embed_type="simple_projection",
        class_embeddings_concat=True,
        projection_class_embeddings_input_dim=512,
    )

    def text() -> dict[str, torch.Tensor | None]:
        """As AudioLDMPipeline does, which pads to 512 tokens: the embedding, of both halves."""
        ids = torch.full((batch, 512), 50, device=device)
        embeddings = []
        for tokens in (2, len(PROMPT) + 2):
            mask = torch.zeros_like(ids)
            mask[:, :tokens] = 1
            embedding = clap(ids, attention_mask=mask).text_embeds
            embeddings.append(torch.nn.functional.normalize(embedding, dim=-1))
        return {"encoder_hidden_states": None, "class_labels": torch.cat(embeddings)}

    return text, unet


def audioldm2_parts(
    network: Callable[..., Any], device: str, checkpoint: str, batch: int, small: bool
) -> tuple[Callable[[], Any], Any]:
    """What AudioLDM2Pipeline conditions the UNet with, unconditional first, and that UNet."""
    import torch
    import transformers as hf
    from diffusers import AudioLDM2ProjectionModel, AudioLDM2UNet2DConditionModel

    depth = 1 if small else 24
    clap = network(hf.ClapModel, hf.ClapConfig())
    t5 = network(
        hf.T5EncoderModel,
        hf.T5Config(d_model=1024, d_ff=2816, d_kv=64, num_layers=depth, num_heads=16, feed_forward_proj="gated-gelu"),
    )
    projection = network(AudioLDM2ProjectionModel, 512, 1024, 768)
    gpt2 = network(hf.GPT2Model, hf.GPT2Config(n_layer=1 if small else 12))
    unet = network(
        AudioLDM2UNet2DConditionModel,
        in_channels=8,
        out_channels=8,
        block_out_channels=(32, 64, 64, 64) if small else (128, 256, 384, 640),
        down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * 3),
        up_block_types=(*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"),
        attention_head_dim=(1, 2, 2, 2) if small else (4, 8, 12, 20),
        cross_attention_dim=[(None, 768, 1024)] * 4,
    )

    def text() -> dict[str, torch.Tensor]:
        """As AudioLDM2Pipeline.encode_prompt does: LOA tokens, T5 states and their mask, unconditional first."""
        tokens = len(PROMPT) + 1
        ids = torch.full((batch, tokens), 50, device=device)
        mask = torch.ones(batch, tokens, dtype=torch.long, device=device)
        short = torch.zeros_like(mask)
        short[:, 0] = 1
        states, loa = [], []
        for given in (short, mask):  # the negative prompt is padded to the prompt's length
            embedding = clap.get_text_features(input_ids=ids, attention_mask=given).pooler_output[:, None]
            states.append(t5(ids, attention_mask=given).last_hidden_state)
            ones = given.new_ones(batch, 1)
            prefix = projection(embedding, states[-1], ones, given)
            x, cache = prefix.hidden_states, None
            attended = prefix.attention_mask
            for step in range(8):
                output = gpt2(
                    inputs_embeds=x if step == 0 else x[:, -1:],
                    attention_mask=attended,
                    past_key_values=cache,
                    use_cache=True,
                )
                cache = output.past_key_values
                x = torch.cat([x, output.last_hidden_state[:, -1:]], 1)
                attended = torch.cat([attended, ones], 1)
            loa.append(x[:, -8:])
        return {
            "encoder_hidden_states": torch.cat(loa),
            "encoder_hidden_states_1": torch.cat(states),
            "encoder_attention_mask_1": torch.cat([short, mask]),
        }

    return text, unet


def frames(duration: float) -> int:
    """Latent frames of a clip: one is 640 samples at 16 kHz, and the UNet halves their number three times."""
    return 8 * -(-round(duration * 16000) // (8 * 640))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


if __name__ == "__main__":
    main()
