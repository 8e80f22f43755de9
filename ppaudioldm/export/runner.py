"""Generates a sound with exported programs. Needs NumPy, and Paddle Inference or OpenVINO, whichever they are for.

python run.py --prompts prompts.json --seconds 5 --seed 1 -o bell.wav

`ppaudioldm export` copies this file as run.py, and the modules that it imports into the folder `runtime` beside it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ppaudioldm.audio.tagging.xmp import GENERATED, packet
from ppaudioldm.choices import check_sampler_for
from ppaudioldm.config import ModelConfig
from ppaudioldm.diffusion.denoise import denoise
from ppaudioldm.diffusion.noise import INITIAL, STEP, gaussian
from ppaudioldm.diffusion.samplers import make_sampler
from ppaudioldm.diffusion.schedule import NoiseSchedule
from ppaudioldm.diffusion.timestep_features import timestep_features
from ppaudioldm.generation.decoding import decode, latent_frames, latent_windows, vocode

Arrays = list[np.ndarray]
# What a prompt is conditioned on: contexts (1, L, D) and their masks (1, L), or a global vector (1, D).
Condition = tuple[Arrays, Arrays, "np.ndarray | None"]


class PaddleFunction:
    """A program of Paddle Inference."""

    def __init__(self, folder: Path, entry: dict[str, Any]) -> None:
        from paddle import inference

        config = inference.Config(str(folder / f"{entry['file']}.json"), str(folder / f"{entry['file']}.pdiparams"))
        config.disable_glog_info()
        # As traced: fused operations compute the same, but not to the last digits, and oneDNN's interpolation fails.
        config.switch_ir_optim(False)
        config.disable_mkldnn()
        config.set_cpu_math_library_num_threads(os.cpu_count() or 1)
        self._predictor = inference.create_predictor(config)
        self._names = entry["inputs"]
        self._used = set(self._predictor.get_input_names())

    def __call__(self, inputs: Arrays) -> Arrays:
        for entry, array in zip(self._names, inputs, strict=True):
            if entry["name"] in self._used:
                handle = self._predictor.get_input_handle(entry["name"])
                handle.reshape(array.shape)
                handle.copy_from_cpu(np.ascontiguousarray(array, entry["dtype"]))
        self._predictor.run()
        names = self._predictor.get_output_names()
        return [self._predictor.get_output_handle(name).copy_to_cpu() for name in names]


class OpenVINOFunction:
    """A model of OpenVINO, which keeps its states itself."""

    def __init__(self, folder: Path, entry: dict[str, Any]) -> None:
        import openvino

        precise = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
        core = openvino.Core()
        self._request = core.compile_model(folder / f"{entry['file']}.xml", "CPU", precise).create_infer_request()
        self._dtypes = [one["dtype"] for one in entry["inputs"] if not one["is_state"]]

    def reset(self) -> None:
        """Begin a new sequence of calls."""
        self._request.reset_state()

    def __call__(self, inputs: Arrays) -> Arrays:
        arrays = [np.ascontiguousarray(x, dtype) for x, dtype in zip(inputs, self._dtypes, strict=True)]
        return list(self._request.infer(arrays, share_outputs=False).to_tuple())


FUNCTIONS: dict[str, Callable[[Path, dict[str, Any]], Any]] = {"paddle": PaddleFunction, "openvino": OpenVINOFunction}


class Programs:
    """The exported functions of `folder` by name. Each is loaded when it is first run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        self.config = ModelConfig.from_dict(self.manifest["config"])
        self._loaded: dict[str, Any] = {}

    def run(self, function: str, *inputs: Any) -> Any:
        """The output of `function`, or a list of them. inputs: arrays, or lists of arrays."""
        flat = [x for group in inputs for x in (group if isinstance(group, (list, tuple)) else [group])]
        outputs = self.loaded(function)([x for x in flat if x is not None])
        return outputs if self.manifest["functions"][function]["returns_list"] else outputs[0]

    def loaded(self, function: str) -> Any:
        if function not in self._loaded:
            if function not in self.manifest["functions"]:
                raise ValueError(f"{self.folder}: {function} was not exported")
            entry = self.manifest["functions"][function]
            self._loaded[function] = FUNCTIONS[self.manifest["format"]](self.folder, entry)
        return self._loaded[function]

    def gpt2(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """A sequence of calls of GPT-2, each of which continues the one before."""
        function = self.loaded("gpt2")
        if isinstance(function, OpenVINOFunction):
            function.reset()
            return lambda embeddings, mask: function([embeddings, mask])[0]
        described = [one for one in self.manifest["functions"]["gpt2"]["inputs"] if one["is_state"]]
        states: Arrays = []

        def call(embeddings: np.ndarray, mask: np.ndarray) -> np.ndarray:
            empty = [np.zeros([len(embeddings), *[n or 0 for n in one["shape"][1:]]], np.float32) for one in described]
            output, *states[:] = function([embeddings, mask, *(states or empty)])
            return output

        return call

    # What `decode` and `vocode` ask of an engine besides `run`.

    def asarray(self, array: np.ndarray) -> np.ndarray:
        return array

    def to_numpy(self, array: np.ndarray) -> np.ndarray:
        return array

    def concat(self, arrays: Sequence[np.ndarray], axis: int) -> np.ndarray:
        return np.concatenate(list(arrays), axis)


def condition_of(programs: Programs, tokens: dict[str, list[int]]) -> Condition:
    """The conditioning of a prompt. tokens: its ids for "clap" and "flan_t5", and "phonemes" of a speech checkpoint."""
    config = programs.config
    arrays = {name: np.array([ids], np.int64) for name, ids in tokens.items()}
    ones = {name: np.ones(ids.shape, np.float32) for name, ids in arrays.items()}
    found: dict[str, np.ndarray] = {}
    masks: dict[str, np.ndarray] = {}
    if config.flan_t5:
        found["flan_t5"] = programs.run("flan_t5", arrays["flan_t5"], ones["flan_t5"])
        masks["flan_t5"] = ones["flan_t5"]
    clap = None
    if config.loa or config.unet.film_dim:
        clap = programs.run("clap_text", arrays["clap"], ones["clap"])
    if config.loa:
        assert clap is not None
        states, mask = found.get("flan_t5"), masks.get("flan_t5")
        if config.phoneme_encoder:
            states, mask = programs.run("phoneme_encoder", arrays["phonemes"])
        one = np.ones((1, 1), np.float32)
        found["loa"] = loa_tokens(programs, *programs.run("loa", [clap[:, None], states], [one, mask]))
        masks["loa"] = np.ones(found["loa"].shape[:2], np.float32)
    film = clap if config.unet.film_dim else None
    return [found[name] for name in config.contexts], [masks[name] for name in config.contexts], film


def loa_tokens(
    programs: Programs, prefix: np.ndarray, mask: np.ndarray, spoken: np.ndarray | None = None
) -> np.ndarray:
    """The tokens with which GPT-2 continues `prefix`, as many as the checkpoint was trained with."""
    config = programs.config
    assert config.loa and config.gpt2
    limit = config.gpt2.max_positions - config.loa.num_tokens
    prefix, mask = prefix[:, :limit], mask[:, :limit]
    gpt2 = programs.gpt2()
    guesses = np.zeros((1, config.loa.num_tokens, 1), np.float32) if spoken is None else spoken
    tokens = [gpt2(prefix, mask)[:, -1:] + guesses[:, :1]]
    while len(tokens) < config.loa.num_tokens:
        mask = np.concatenate([mask, mask[:, :1]], 1)
        guess = guesses[:, len(tokens), None]
        tokens.append(gpt2(tokens[-1] + guess, mask) + guess)
    return np.concatenate(tokens, 1)


def unconditional(programs: Programs) -> Condition:
    """What guidance leads away from without a negative prompt: zeros for LOA tokens, as in training."""
    config, empty = programs.config, programs.manifest["empty_prompt"]
    if config.unet.film_dim or not config.loa:
        return condition_of(programs, empty)
    zeros = np.zeros((1, config.loa.num_tokens, config.loa.hidden_size), np.float32)
    contexts, masks = {"loa": zeros}, {"loa": np.ones(zeros.shape[:2], np.float32)}
    if config.flan_t5:
        ids = np.array([empty["flan_t5"]], np.int64)
        masks["flan_t5"] = np.ones(ids.shape, np.float32)
        contexts["flan_t5"] = programs.run("flan_t5", ids, masks["flan_t5"])
    return [contexts[name] for name in config.contexts], [masks[name] for name in config.contexts], None


def both(first: Condition, second: Condition) -> Condition:
    """A batch of the two, whose shorter contexts are padded with masked zeros, to a power of two."""

    def padded(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        length = max(8, 1 << (max(a.shape[1], b.shape[1]) - 1).bit_length())
        rest = [(0, 0)] * (a.ndim - 2)
        return np.concatenate([np.pad(x, [(0, 0), (0, length - x.shape[1]), *rest]) for x in (a, b)])

    contexts, masks = ([padded(a, b) for a, b in zip(first[i], second[i], strict=True)] for i in (0, 1))  # type: ignore[arg-type]
    film = None if first[2] is None or second[2] is None else np.concatenate([first[2], second[2]])
    return contexts, masks, film


def generate(
    programs: Programs,
    tokens: dict[str, list[int]],
    negative_tokens: dict[str, list[int]] | None = None,
    seconds: float | None = None,
    seed: int = 0,
    steps: int | None = None,
    guidance_scale: float | None = None,
    sampler_name: str | None = None,
) -> np.ndarray:
    """The waveform (samples,) float32 of a prompt: that of `AudioLDM.generate` with the same seed and settings."""
    config = programs.config
    num_samples = round((programs.manifest["default_seconds"] if seconds is None else seconds) * config.sample_rate)
    frames = latent_frames(config, num_samples)
    sampler_name = sampler_name or config.diffusion.sampler
    check_sampler_for(config.diffusion.sampler, sampler_name)
    steps = config.diffusion.num_inference_steps if steps is None else steps
    sampler = make_sampler(sampler_name, NoiseSchedule(config.diffusion), steps)
    if guidance_scale is None:
        guidance_scale = config.diffusion.guidance_scale
    conditional = condition_of(programs, tokens)
    timesteps = sorted(set(sampler.timesteps))
    scale_inputs = None
    if config.unet.guidance_dim:
        if negative_tokens:
            raise ValueError("a negative prompt is set, but the guidance scale is an input of this checkpoint's UNet")
        scale_inputs, guidance_scale = np.full((len(timesteps), 1), guidance_scale, np.float32), 1.0
    is_guided = guidance_scale != 1
    if is_guided:
        away = condition_of(programs, negative_tokens) if negative_tokens else unconditional(programs)
        contexts, masks, film = both(away, conditional)
    else:
        contexts, masks, film = conditional
    projected = programs.run("unet_contexts", contexts) if contexts else []
    features = timestep_features(np.array(timesteps), config.unet.model_channels)
    # All at once, as `AudioLDM` does: one by one they round otherwise.
    embeddings = programs.run("unet_time_embedding", features, scale_inputs)
    windows = latent_windows(config, frames)
    step = "unet_guided_step" if is_guided else "unet_step"

    def predict(latents: np.ndarray, timestep: float, _: int) -> np.ndarray:
        embedding = embeddings[[timesteps.index(timestep)]]
        parts = windows.cut(latents, programs.concat)
        predictions = [programs.run(step, window, embedding, projected, masks, film) for window in parts]
        return windows.blend(predictions, programs.asarray, programs.concat)

    shape = config.vae.latent_channels, frames, config.latent_bands
    start = sampler.initial(gaussian(shape, [seed], INITIAL))
    # Only the latents after the last step are used.
    *_, (_, latents) = denoise(
        predict, sampler, start, guidance_scale, noise=lambda step: gaussian(shape, [seed], STEP, step)
    )
    mel = decode(programs, config, latents.astype(np.float32))  # type: ignore[arg-type]
    return vocode(programs, config, mel)[0, :num_samples]  # type: ignore[arg-type]


def tokens_of(programs: Programs, text: str) -> dict[str, list[int]]:
    """The token ids of a text. Needs the package `tokenizers`."""
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise ValueError(
            "--prompt needs the package tokenizers; --prompts takes what `ppaudioldm export` encoded"
        ) from None
    found = {}
    for kind, most in programs.manifest["tokenizers"].items():
        tokenizer = Tokenizer.from_file(str(programs.folder / f"{kind}-tokenizer.json"))
        tokenizer.enable_truncation(most)
        tokenizer.no_padding()
        found[kind] = tokenizer.encode(text).ids
    return found


def marking(manifest: dict[str, Any]) -> bytes:
    """Chunks of a WAV file that say, as INFO and XMP, that it is generated and by what."""
    software, model = manifest["made_by"], manifest["name"]
    comment = f"AI-generated with {software} and the model {model}"
    texts = b"".join(chunk(kind, text.encode() + b"\0") for kind, text in ((b"ISFT", software), (b"ICMT", comment)))
    return chunk(b"LIST", b"INFO" + texts) + chunk(b"_PMX", packet(software, GENERATED))


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def write_wav(path: Path, waveform: np.ndarray, sample_rate: int, chunks: bytes) -> None:
    """Write 16-bit PCM and `chunks`, or the samples themselves where the name ends in .npy."""
    if path.suffix == ".npy":
        np.save(path, waveform)
        return
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((waveform.clip(-1, 1) * 32767).round().astype("<i2").tobytes())
    body = content.getvalue()[8:] + chunks  # an even number of bytes: the samples have two each
    path.write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--folder", type=Path, default=Path(__file__).parent, help="of the export; default: where this file is")
    add("--prompt", help="what to generate; needs the package tokenizers")
    add("--prompts", type=Path, metavar="FILE", help="JSON with token ids, such as the exported prompts.json")
    add("--index", type=int, default=0, help="which of --prompts; default: 0")
    add("--negative-prompt", help="what it should not sound like; needs the package tokenizers")
    add("--seconds", type=float, help="default: the length of the checkpoint's training clips, up to 10")
    add("--seed", type=int, default=0, help="default: 0")
    add("--steps", type=int, help="default: 10, or fewer of a consistency model")
    add("--guidance-scale", type=float, help="default: as published")
    add("--sampler", help="dpm++, ddim, plms, ddpm or lcm; default: dpm++, of a consistency model its own")
    add("-o", "--output", type=Path, default=Path("sound.wav"), help=".wav, or .npy; default: sound.wav")
    options = parser.parse_args(arguments)
    try:
        programs = Programs(options.folder)
        if (options.prompt is None) == (options.prompts is None):
            raise ValueError("one of --prompt and --prompts is needed")
        if options.prompts is not None:
            tokens = json.loads(options.prompts.read_text("utf-8"))[options.index]["tokens"]
        else:
            tokens = tokens_of(programs, options.prompt)
        negative = tokens_of(programs, options.negative_prompt) if options.negative_prompt else None
        waveform = generate(
            programs, tokens, negative, options.seconds, options.seed, options.steps, options.guidance_scale,
            options.sampler,
        )  # fmt: skip
        write_wav(options.output, waveform, programs.config.sample_rate, marking(programs.manifest))
    except (ValueError, OSError, KeyError, IndexError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
