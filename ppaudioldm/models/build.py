"""The networks of a checkpoint by name: their classes, configurations and parameter shapes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ppaudioldm import framework
from ppaudioldm.config import ModelConfig
from ppaudioldm.models.audiomae import AudioMAE
from ppaudioldm.models.clap_audio import ClapAudio
from ppaudioldm.models.clap_text import ClapText
from ppaudioldm.models.flan_t5 import FlanT5Encoder
from ppaudioldm.models.gpt2 import GPT2
from ppaudioldm.models.hifigan import HifiGan
from ppaudioldm.models.loa import LoaPrefix
from ppaudioldm.models.phoneme_encoder import PhonemeEncoder
from ppaudioldm.models.unet import UNet
from ppaudioldm.models.vae import VAEDecoder, VAEEncoder

# name -> (class, field of ModelConfig with its configuration)
NETWORKS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "unet": (UNet, "unet"),
    "vae_encoder": (VAEEncoder, "vae"),
    "vae_decoder": (VAEDecoder, "vae"),
    "vocoder": (HifiGan, "vocoder"),
    "clap_text": (ClapText, "clap_text"),
    "clap_audio": (ClapAudio, "clap_audio"),
    "flan_t5": (FlanT5Encoder, "flan_t5"),
    "phoneme_encoder": (PhonemeEncoder, "phoneme_encoder"),
    "gpt2": (GPT2, "gpt2"),
    "loa": (LoaPrefix, "loa"),
    "audiomae": (AudioMAE, "audiomae"),
}


def network_names(config: ModelConfig) -> list[str]:
    """The networks that a checkpoint of `config` consists of."""
    names = [name for name, (_, field) in NETWORKS.items() if getattr(config, field) is not None]
    return [name for name in names if name != "vocoder" or config.vocoder.method == "network"]


def build_empty(name: str, config: ModelConfig) -> Any:
    """The network called `name`, whose parameters get their values from `framework.assign_weights`."""
    network_class, field = NETWORKS[name]
    with framework.empty_weights():
        return network_class(getattr(config, field))


def parameter_shapes(name: str, config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every parameter of the network called `name`."""
    return _examined(name, getattr(config, NETWORKS[name][1]))[0]


def linear_weights(name: str, config: ModelConfig) -> frozenset[str]:
    """The parameters of the network called `name` that are matrices of linear layers."""
    return _examined(name, getattr(config, NETWORKS[name][1]))[1]


@lru_cache
def _examined(name: str, config: Any) -> tuple[dict[str, tuple[int, ...]], frozenset[str]]:
    """Shapes and matrices of the network called `name`, whose own configuration is `config`.

    Building it takes longer than everything else about opening a small checkpoint, and checkpoints share networks.
    """
    network_class, _ = NETWORKS[name]
    with framework.empty_weights():
        network = network_class(config)
    modules = framework.named_modules(network)
    linear = frozenset(f"{path}.weight" for path, module in modules if isinstance(module, framework.Linear))
    return framework.parameter_shapes(network), linear
