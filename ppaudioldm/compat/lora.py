"""LoRA adapters of a pipeline under the names that diffusers has for Stable Diffusion's."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ppaudioldm.errors import quoted
from ppaudioldm.pipeline import AudioLDM
from ppaudioldm.weights.lora import read_adapter
from ppaudioldm.weights.lora_choice import MOST_ADAPTERS, LoraChoice
from ppaudioldm.weights.lora_merge import check_fits

logger = logging.getLogger(__name__)

# Arguments of diffusers' load_lora_weights about how files are read, which make no difference here.
WITHOUT_EFFECT = frozenset(("use_safetensors", "low_cpu_mem_usage", "local_files_only", "cache_dir", "prefix"))


class LoraMethods:
    """Adapters by name, of which those that are active are added to the UNet's weights.

    An adapter is merged when a clip is generated: choosing takes no time, and fused weights are no faster.
    """

    def __init__(self) -> None:
        self._paths: dict[str, Path] = {}
        self._active: dict[str, float] = {}  # scale by name
        self._enabled, self._fused_scale = True, 1.0

    @property
    def _pipeline(self) -> AudioLDM:
        raise NotImplementedError

    def load_lora_weights(
        self,
        pretrained_model_name_or_path_or_dict: str | os.PathLike,
        adapter_name: str | None = None,
        *,
        weight_name: str | None = None,
        subfolder: str | None = None,
        **more: Any,
    ) -> None:
        """Load an adapter from a file or folder of this machine: nothing is downloaded.

        weight_name, subfolder: of the file in the folder. As in diffusers 0.42, this adapter alone is active then; see
        `set_adapters`. Raises ValueError for one that cannot be read or is of another model, and for a name that is
        taken.
        """
        place = pretrained_model_name_or_path_or_dict
        if not isinstance(place, (str, os.PathLike)):
            raise ValueError(f"load_lora_weights takes a file or folder, got a {type(place).__name__}")
        for name in sorted(set(more) - WITHOUT_EFFECT):
            logger.warning("load_lora_weights: %s=%r is not used", name, more[name])
        name = adapter_name or next(
            n for n in map("default_{}".format, range(MOST_ADAPTERS + 1)) if n not in self._paths
        )
        if name in self._paths:
            raise ValueError(f"adapter_name is {quoted(name)}, which is loaded already: choose another")
        if len(self._paths) >= MOST_ADAPTERS:
            raise ValueError(f"{len(self._paths)} adapters are loaded, allowed: up to {MOST_ADAPTERS}")
        path = Path(place, *(part for part in (subfolder, weight_name) if part))
        check_fits(read_adapter(path), self._pipeline.config, self._pipeline.checkpoint.name)
        self._paths[name] = path
        self._active = {name: 1.0}

    def set_adapters(
        self, adapter_names: str | Sequence[str], adapter_weights: float | Sequence[float | None] | None = None
    ) -> None:
        """Make these adapters the active ones, with these scales: one for all, one each, or 1.

        Raises ValueError for a name that is not loaded, and for another number of scales.
        """
        names = [adapter_names] if isinstance(adapter_names, str) else list(adapter_names)
        self._check_names(names)
        if isinstance(adapter_weights, dict):
            raise ValueError("adapter_weights by block are not supported, allowed: a number for each adapter")
        weights: list[float | None]
        if adapter_weights is None or isinstance(adapter_weights, (int, float)):
            weights = [adapter_weights] * len(names)
        else:
            weights = list(adapter_weights)
        if len(weights) != len(names):
            raise ValueError(f"there are {len(names)} adapter names, and {len(weights)} weights")
        scales = [1.0 if weight is None else float(weight) for weight in weights]
        self._active = {LoraChoice(name, scale).adapter: scale for name, scale in zip(names, scales, strict=True)}

    def get_active_adapters(self) -> list[str]:
        return list(self._active)

    def get_list_adapters(self) -> dict[str, list[str]]:
        """Part of the pipeline -> the names of its adapters."""
        return {"unet": list(self._paths)} if self._paths else {}

    def delete_adapters(self, adapter_names: str | Sequence[str]) -> None:
        """Forget these adapters; if none is active then, the first of the others is. Raises ValueError for a name that
        is not loaded."""
        names = [adapter_names] if isinstance(adapter_names, str) else list(adapter_names)
        self._check_names(names)
        for name in names:
            self._paths.pop(name, None)
            self._active.pop(name, None)
        if not self._active:
            self._active = dict.fromkeys([*self._paths][:1], 1.0)

    def unload_lora_weights(self, **_more: Any) -> None:
        """Forget all adapters."""
        self._paths, self._active = {}, {}
        self._enabled, self._fused_scale = True, 1.0

    def disable_lora(self) -> None:
        """Generate without adapters until `enable_lora`."""
        self._enabled = False

    def enable_lora(self) -> None:
        self._enabled = True

    def fuse_lora(self, components: Sequence[str] = (), lora_scale: float = 1.0, **_more: Any) -> None:
        """Multiply the scales of the active adapters by `lora_scale`; they are merged in any case."""
        self._fused_scale = float(lora_scale)

    def unfuse_lora(self, **_more: Any) -> None:
        """Undo the `lora_scale` of `fuse_lora`."""
        self._fused_scale = 1.0

    def _lora(self, cross_attention_kwargs: dict[str, Any] | None) -> list[str]:
        """The active adapters as `AudioLDM.engine_with` takes them. Raises ValueError for a scale out of range.

        cross_attention_kwargs: its "scale" multiplies all of them.
        """
        scale = self._fused_scale * float((cross_attention_kwargs or {}).get("scale", 1.0))
        if not self._enabled:
            return []
        return [str(LoraChoice(str(self._paths[name]), weight * scale)) for name, weight in self._active.items()]

    def _check_names(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._paths:
                loaded = ", ".join(self._paths) or "none is loaded"
                raise ValueError(f"there is no adapter {quoted(name)}, choose from {loaded}")
