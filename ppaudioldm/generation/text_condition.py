"""Text conditioning: prompts to what the UNet attends to (LOA tokens, FLAN-T5 states), or to its FiLM vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np

from ppaudioldm.config import ModelConfig
from ppaudioldm.engines.engine import Array, Engine
from ppaudioldm.generation.loa import generate_loa
from ppaudioldm.text.tokenizer import PromptTokenizer
from ppaudioldm.weights.locate import Description

CLAP_MAX_TOKENS = 512
T5_PAD = 0
States = tuple[np.ndarray, np.ndarray]  # of one prompt (1, L, D), and their mask (1, L)
SHORTEST_CONTEXT = 8  # tokens, in `padded`: as many LOA tokens as most checkpoints have


@dataclass(frozen=True)
class Conditioning:
    """What the UNet is conditioned on, for B items.

    contexts: one (B, L, D) float32 for each of the checkpoint's `config.contexts`; masks: (B, L), 1 = attend.
    film: (B, 512) or None.
    """

    contexts: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]
    film: np.ndarray | None

    @property
    def count(self) -> int:
        """B."""
        return len(self.contexts[0]) if self.film is None else len(self.film)

    def take(self, items: Sequence[int]) -> Conditioning:
        """The rows `items`, in this order, which may repeat."""
        index = list(items)
        film = None if self.film is None else self.film[index]
        return Conditioning(tuple(c[index] for c in self.contexts), tuple(m[index] for m in self.masks), film)


def conditioning_of_embeddings(
    config: ModelConfig,
    prompt_embeds: np.ndarray | None,
    attention_mask: np.ndarray | None,
    generated_prompt_embeds: np.ndarray | None,
    prefix: str = "",
) -> Conditioning | None:
    """The conditioning of embeddings that a caller has computed, under the names of diffusers; None if there are none.

    prompt_embeds: FLAN-T5 states (B, L, D), or of AudioLDM 1 CLAP embeddings (B, D), which are brought to length 1;
    attention_mask: (B, L), 1 = attend, by default all. generated_prompt_embeds: LOA tokens (B, N, D). prefix: of these
    names in messages. Raises ValueError for what the checkpoint lacks, or for another shape.
    """
    embeddings = {"flan_t5": prompt_embeds, "loa": generated_prompt_embeds}
    if all(value is None for value in (*embeddings.values(), attention_mask)):
        return None
    if config.unet.film_dim and config.contexts:
        raise ValueError(f"{prefix}prompt_embeds are set, but the checkpoint is conditioned by FiLM as well")
    if config.unet.film_dim:
        return _film_of_embeddings(config.unet.film_dim, prompt_embeds, attention_mask, generated_prompt_embeds, prefix)
    names = {"flan_t5": f"{prefix}prompt_embeds", "loa": f"{prefix}generated_prompt_embeds"}
    for name, value in embeddings.items():
        if (value is None) == (name in config.contexts):
            problem = "missing" if value is None else "set, but the checkpoint has no use for them"
            raise ValueError(
                f"{names[name]} are {problem}: this checkpoint takes {', '.join(names[n] for n in config.contexts)}"
            )
    dims = dict(zip(config.contexts, [dim for dim in config.unet.context_dims if dim is not None], strict=True))
    contexts = {name: _checked_embedding(names[name], embeddings[name], dims[name]) for name in config.contexts}
    masks = {name: np.ones(context.shape[:2], np.float32) for name, context in contexts.items()}
    if attention_mask is not None and "flan_t5" in masks:
        masks["flan_t5"] = _checked_mask(f"{prefix}attention_mask", attention_mask, masks["flan_t5"].shape)
    sizes = {len(context) for context in contexts.values()}
    if len(sizes) > 1:
        raise ValueError(f"{' and '.join(names[name] for name in contexts)} have different batch sizes")
    return Conditioning(tuple(contexts.values()), tuple(masks.values()), None)


def _film_of_embeddings(
    dim: int,
    prompt_embeds: np.ndarray | None,
    attention_mask: np.ndarray | None,
    generated_prompt_embeds: np.ndarray | None,
    prefix: str,
) -> Conditioning:
    others = {"attention_mask": attention_mask, "generated_prompt_embeds": generated_prompt_embeds}
    for name, value in others.items():
        if value is not None:
            raise ValueError(f"{prefix}{name} is set, but this checkpoint takes {prefix}prompt_embeds alone")
    name = f"{prefix}prompt_embeds"
    array = _checked_embedding(name, prompt_embeds, dim, axes=2)
    length = np.linalg.norm(array, axis=1, keepdims=True)
    if not length.all():
        raise ValueError(f"{name} hold a row of zeros, allowed: embeddings, whose direction counts")
    return Conditioning((), (), array / length)


def _checked_embedding(name: str, values: object, dim: int, axes: int = 3) -> np.ndarray:
    """`values` as float32. axes: 3 for (B, L, dim), 2 for (B, dim). Raises ValueError for anything else."""
    array = np.asarray(values)
    fits = array.ndim == axes and array.shape[-1] == dim and 0 not in array.shape
    if not fits or not np.issubdtype(array.dtype, np.floating):
        shape = f"(B, {'L, ' if axes == 3 else ''}{dim})"
        raise ValueError(f"{name} are {array.dtype} of shape {array.shape}, expected floats {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} hold values that are not finite")
    return array.astype(np.float32)


def _checked_mask(name: str, values: object, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.asarray(values)
    if mask.shape != shape or not np.isin(mask, (0, 1)).all() or not mask.any(1).all():
        raise ValueError(f"{name} has shape {mask.shape}, expected {shape}, of 0 and 1, with a 1 in every row")
    return mask.astype(np.float32)


def concatenated(first: Conditioning, second: Conditioning) -> Conditioning:
    """One batch of `first` followed by `second`; the shorter contexts are padded with masked zeros."""
    pairs = [_equal_lengths(a, b) for a, b in zip(first.contexts, second.contexts, strict=True)]
    masks = [_equal_lengths(a, b) for a, b in zip(first.masks, second.masks, strict=True)]
    film = None if first.film is None or second.film is None else np.concatenate([first.film, second.film])
    return Conditioning(tuple(np.concatenate(p) for p in pairs), tuple(np.concatenate(m) for m in masks), film)


def padded(conditioning: Conditioning) -> Conditioning:
    """`conditioning` with contexts as long as a power of two, 8 at least; masked zeros change nothing for the UNet.

    An engine compiles the UNet for exact shapes: this way for a few lengths, not for each number of tokens in a prompt.
    """
    contexts = tuple(_pad(x, _padded_length(x.shape[1])) for x in conditioning.contexts)
    masks = tuple(_pad(x, _padded_length(x.shape[1])) for x in conditioning.masks)
    return replace(conditioning, contexts=contexts, masks=masks)


def _padded_length(length: int) -> int:
    return max(SHORTEST_CONTEXT, 1 << (length - 1).bit_length())


def _equal_lengths(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as long along axis 1 as the longer."""
    length = max(a.shape[1], b.shape[1])
    return _pad(a, length), _pad(b, length)


def _pad(x: np.ndarray, length: int) -> np.ndarray:
    """`x` with zeros at the end of axis 1, up to `length`."""
    return np.pad(x, [(0, 0), (0, length - x.shape[1])] + [(0, 0)] * (x.ndim - 2))


class PromptEncoder:
    """The text side of a checkpoint, run by `engine`."""

    def __init__(self, checkpoint: Description, engine: Engine) -> None:
        self._checkpoint = checkpoint
        self._config = checkpoint.config
        self._engine = engine

    def embed_text(self, prompts: Sequence[str]) -> np.ndarray:
        """CLAP embeddings of `prompts`, (B, 512), of length 1."""
        return self._engine.run_numpy("clap_text", *self._clap_tokenizer(prompts))

    def encode(
        self,
        prompts: Sequence[str],
        phonemes: np.ndarray | None = None,
        loa: np.ndarray | None = None,
        on_step: Callable[[], None] = lambda: None,
        film: np.ndarray | None = None,
    ) -> Conditioning:
        """The conditioning of `prompts`.

        phonemes: (1, 310) int64, what each of them says, for a speech checkpoint. loa: (N, 768) float32 tokens for each
        of them, in place of GPT-2's. on_step: called `num_steps` times for each; what it raises ends the work. film:
        (512,) for each of them, in place of CLAP's embeddings of the prompts. Each prompt is encoded alone: GPT-2's
        positions count padding, so a prompt padded to the length of another would have other LOA tokens. But one
        network encodes all of them before the next one does: with little memory each is read once.
        """
        found: list[dict[str, States]] = [{} for _ in prompts]
        for prompt, states in zip(prompts, found, strict=True):
            if self._config.flan_t5:
                states["flan_t5"] = self._flan_t5(prompt)
            on_step()
        claps = [self._clap(prompt, loa is None, film) for prompt in prompts]
        if self._config.loa and loa is not None:
            for states in found:
                states["loa"] = loa[None].astype(np.float32), np.ones((1, len(loa)), np.float32)
        elif self._config.loa:
            spoken = None if self._config.phoneme_encoder is None else self._spoken(phonemes)
            prefixes = [self._prefix(c, *(spoken or states["flan_t5"])) for c, states in zip(claps, found, strict=True)]
            for states, prefix in zip(found, prefixes, strict=True):
                states["loa"] = self._loa(prefix, on_step)
        return reduce(concatenated, [self._conditions(*pair) for pair in zip(found, claps, strict=True)])

    def num_steps(self, has_loa: bool) -> int:
        """The steps in which a prompt is encoded: its text, and each LOA token that GPT-2 predicts if it has none."""
        return 1 + (self._config.loa.num_tokens if self._config.loa and not has_loa else 0)

    def _flan_t5(self, prompt: str) -> States:
        ids, mask = self._t5_tokenizer([prompt])
        return self._engine.run_numpy("flan_t5", ids, mask), mask

    def _clap(self, prompt: str, predicts_loa: bool, film: np.ndarray | None) -> np.ndarray | None:
        """CLAP's embedding (1, 512) of `prompt`, or `film` in its place; None where nothing is conditioned on it."""
        if film is not None:
            return film[None].astype(np.float32)
        is_needed = (self._config.loa and predicts_loa) or self._config.unet.film_dim
        return self.embed_text([prompt]) if is_needed else None

    def unconditional(self, batch: int) -> Conditioning:
        """The unconditional half, as in training: zero LOA tokens, and FLAN-T5 states of an empty prompt."""
        return self._unconditional.take([0] * batch)

    @cached_property
    def _unconditional(self) -> Conditioning:
        """Of one item; it does not depend on the prompts."""
        config = self._config
        found: dict[str, States] = {}
        if config.flan_t5:
            found["flan_t5"] = self._flan_t5("")
        if config.loa:
            # The mask is all ones: attention is spread evenly over zeros, as in training.
            shape = (1, config.loa.num_tokens, config.loa.hidden_size)
            found["loa"] = np.zeros(shape, np.float32), np.ones(shape[:2], np.float32)
        clap = self.embed_text([""]) if config.unet.film_dim else None
        return self._conditions(found, clap)

    def _spoken(self, phonemes: np.ndarray | None) -> States:
        """States and mask of the phonemes, which take the place of FLAN-T5's before GPT-2."""
        engine = self._engine
        assert phonemes is not None
        states, mask = engine.run("phoneme_encoder", engine.asarray(phonemes))
        return engine.to_numpy(states), engine.to_numpy(mask)

    def _prefix(self, clap: np.ndarray | None, states: np.ndarray, mask: np.ndarray) -> Sequence[Array]:
        """The outputs of LoaPrefix for one prompt: CLAP's embedding (1, 512) and `states` (1, L, D) before GPT-2."""
        engine = self._engine
        assert clap is not None
        found: Sequence[Array] = engine.run(
            "loa",
            [engine.asarray(clap[:, None]), engine.asarray(states)],
            [engine.asarray(np.ones((1, 1), np.float32)), engine.asarray(mask)],
        )
        return found

    def _loa(self, prefix: Sequence[Array], on_step: Callable[[], None]) -> States:
        """The LOA tokens of one prompt that GPT-2 predicts, and their mask. prefix: from `_prefix`."""
        config, engine = self._config, self._engine
        assert config.loa and config.gpt2
        gpt2 = engine.start("gpt2")

        def one_token(embeddings: Array, mask: Array) -> Array:
            hidden = gpt2(embeddings, mask)
            on_step()
            return hidden

        embeddings, mask, *guess = prefix
        tokens = generate_loa(
            embeddings,
            mask,
            one_token,
            config.loa.num_tokens,
            engine.concat,
            config.gpt2.max_positions,
            *guess,
        )
        return engine.to_numpy(tokens), np.ones((1, config.loa.num_tokens), np.float32)

    def _conditions(self, found: dict[str, States], clap: np.ndarray | None) -> Conditioning:
        names = self._config.contexts
        film = clap if self._config.unet.film_dim else None
        return Conditioning(tuple(found[name][0] for name in names), tuple(found[name][1] for name in names), film)

    @cached_property
    def _clap_tokenizer(self) -> PromptTokenizer:
        config = self._config.clap_text
        assert config
        text = self._checkpoint.tokenizer_json("clap")
        return PromptTokenizer(text, "CLAP", CLAP_MAX_TOKENS, config.pad_token_id, config.vocab_size)

    @cached_property
    def _t5_tokenizer(self) -> PromptTokenizer:
        config = self._config.flan_t5
        assert config
        text = self._checkpoint.tokenizer_json("flan_t5")
        return PromptTokenizer(text, "FLAN-T5", config.max_tokens, T5_PAD, config.vocab_size)
