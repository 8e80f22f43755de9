"""How far bf16 is from fp32, ours and PyTorch's, on the same random weights of audioldm2-full's size.

    python benchmarks/errors.py                     # L2 norm of the difference over that of the fp32 result
    python benchmarks/errors.py --small             # the smallest networks, to try the program

The fp32 results are PyTorch's, eager. Needs PyTorch and 8 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

FUNCTIONS = {"unet_guided_step": "unet", "vae_decoder": "vae_decoder", "vocoder": "vocoder"}
TOKENS = 17


def main() -> None:
    parser = argparse.ArgumentParser(description="How far bf16 is from fp32")
    parser.add_argument("--small", action="store_true", help="the smallest networks, and a second of sound")
    parser.add_argument("--compute", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.compute:
        compute(options.compute[0], Path(options.compute[1]), options.small)
        return
    small = ["--small"] if options.small else []
    with tempfile.TemporaryDirectory() as folder:
        for framework, way in (("torch", "float32"), ("torch", "bfloat16"), ("paddle", "openvino")):
            environment = os.environ | {"PPAUDIOLDM_FRAMEWORK": framework}
            subprocess.run([sys.executable, __file__, "--compute", way, folder, *small], check=True, env=environment)
        for function in FUNCTIONS:
            expected = np.load(Path(folder, f"{function}-float32.npy"))
            errors = {}
            for way in ("bfloat16", "openvino"):
                difference = np.load(Path(folder, f"{function}-{way}.npy")).astype(np.float64) - expected
                errors[way] = float(f"{np.linalg.norm(difference) / np.linalg.norm(expected):.2e}")
            print(json.dumps({"function": function, "PyTorch bf16": errors["bfloat16"], "ours": errors["openvino"]}))


def inputs(function: str, config: Any, frames: int) -> list[Any]:
    """Unit noise; what the contexts become is noise too. Of the UNet's second input, the time features."""
    from ppaudioldm.diffusion.timestep_features import timestep_features
    from ppaudioldm.models.functions import function_inputs

    latents = noise(0, 1, config.vae.latent_channels, frames, config.latent_bands)
    if function == "vae_decoder":
        return [latents]
    if function == "vocoder":
        return [noise(1, 1, 4 * frames, config.vae.n_mels)]
    (*_, widths, _) = function_inputs(function, config)
    projected = [noise(2 + i, 2, (8, TOKENS)[i], x.shape[2]) for i, x in enumerate(widths)]
    masks = [np.ones(x.shape[:2], np.float32) for x in projected]
    masks[1][0, 1:] = 0  # the unconditional half has one token
    return [latents, timestep_features(np.array([500]), config.unet.model_channels), projected, masks]


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def compute(way: str, folder: Path, small: bool) -> None:
    from ppaudioldm.engines.choice import create_engine
    from ppaudioldm.weights.locate import locate

    engine_name = "openvino" if way == "openvino" else "eager"
    located = locate("untrained") if small else locate("audioldm2-full", random_weights=True)
    description, engine = create_engine(located, engine_name, "cpu")
    for function, network in FUNCTIONS.items():
        arrays = inputs(function, description.config, 24 if small else 256)
        if way != "openvino":
            import torch

            engine.prepare(function)
            dtype = getattr(torch, way)
            engine._networks[network].to(dtype)
            arrays = tensors(arrays, dtype)
        if network == "unet":
            arrays[1] = engine.run("unet_time_embedding", arrays[1])
        np.save(folder / f"{function}-{way}.npy", engine.to_numpy(engine.run(function, *arrays)))
        if way != "openvino":
            del engine._networks[network]


def tensors(x: Any, dtype: Any) -> Any:
    import torch

    return [tensors(y, dtype) for y in x] if isinstance(x, list) else torch.from_numpy(x).to(dtype)


if __name__ == "__main__":
    main()
