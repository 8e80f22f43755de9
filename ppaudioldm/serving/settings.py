"""The settings of a server, each defined once: flags, environment variables and a file's keys derive from them.

Every field that a user can set carries an `Option`; `serving.configuration` reads them. Nothing heavy is imported here,
so that `--help` can list them.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ppaudioldm.checkpoints import DEFAULT_CHECKPOINT
from ppaudioldm.choices import ENGINES, FRAMEWORKS, PRECISIONS, VOCODERS
from ppaudioldm.serving.option import BYTES, SECONDS, Option

MIB = 1 << 20
HOST_PATTERN = re.compile(r"\*|(\*\.)?[\w-]+(\.[\w-]+)*|\[[0-9a-fA-F:.]+\]")  # of a name, an address, or any name


def options_of(owner: type) -> dict[str, Option]:
    """Field -> option of the fields of Limits, Settings or ServerSettings that have one."""
    return {item.name: item.metadata["option"] for item in dataclasses.fields(owner) if "option" in item.metadata}


def all_options() -> dict[str, tuple[Option, Any]]:
    """Key -> option and default of all settings."""
    return {
        item.metadata["option"].key: (item.metadata["option"], item.default)
        for owner in (ServerSettings, Settings, Limits)
        for item in dataclasses.fields(owner)
        if "option" in item.metadata
    }


def _option(key: str, kind: type, help: str = "", **properties: Any) -> dict[str, Option]:
    return {"option": Option(key, kind, help, **properties)}


def _count(key: str, help: str) -> dict[str, Option]:
    return _option(key, int, help, above=0)


def _bytes(key: str, help: str = "") -> dict[str, Option]:
    return _option(key, int, help, units=BYTES, above=0)


def _seconds(key: str, help: str = "") -> dict[str, Option]:
    return _option(key, float, help, units=SECONDS, above=0)


def _check_numbers(owner: Any) -> None:
    for name, option in options_of(type(owner)).items():
        value = getattr(owner, name)
        if option.kind in (int, float) and value is not None and not option.holds(value):
            raise ValueError(option.message(name, value))


@dataclass(frozen=True)
class Limits:
    """The limits of one request, which is refused beyond them before any work. Raises ValueError for impossible ones.

    duration_s: of the recording, too. body_bytes, json_body_bytes: of a request with a recording, and of one without.
    body_grace_s: in which a body must arrive, and one second more for every 50 kB. timeout_s: from the arrival of a
    request to the end of its job.
    """

    duration_s: float = field(default=60.0, metadata=_option("max_duration", float, "seconds of a clip", above=0))
    steps: int = field(default=200, metadata=_count("max_steps", "denoising steps of a request"))
    candidates: int = field(default=8, metadata=_count("max_candidates", "candidates of a request"))
    text_characters: int = field(default=5000, metadata=_count("max_text", "characters of a text"))
    body_bytes: int = field(default=64 * MIB, metadata=_bytes("max_body", "size of a request"))
    json_body_bytes: int = field(default=MIB, metadata=_bytes("max_json_body"))
    body_grace_s: float = field(default=10.0, metadata=_seconds("body_grace"))
    timeout_s: float = field(default=600.0, metadata=_seconds("time_limit", "from a request to its answer"))

    def __post_init__(self) -> None:
        _check_numbers(self)


@dataclass(frozen=True)
class Settings:
    """The settings of a `Service`. Raises ValueError for impossible ones.

    folder: of the jobs; one server a folder. default_steps: of requests with neither steps nor preset; None: those of
    the preset "fast". keep_s: of finished jobs. disk_bytes: of all jobs. grace_s: in which running jobs may finish when
    the server stops. api_keys: without any, every client is accepted. allowed_hosts: names by which clients may ask for
    the server besides its addresses, localhost and the machine's own name; "*.example.com" is all below, "*" any.
    Empty: none, or any if there are api_keys.
    """

    folder: Path
    limits: Limits = field(default_factory=Limits)
    default_steps: int | None = field(
        default=None, metadata=_count("steps", "of requests with neither steps nor a preset; default: 10")
    )
    queue_size: int = field(default=32, metadata=_count("queue", "requests that may wait"))
    batch_size: int = field(default=4, metadata=_count("batch", "clips generated at once"))
    keep_s: float = field(default=7 * 86400.0, metadata=_seconds("keep", "how long finished jobs are kept"))
    disk_bytes: int = field(default=1024 * MIB, metadata=_bytes("disk", "size of all jobs"))
    grace_s: float = field(
        default=30.0,
        metadata=_option("grace", float, "for running jobs when the server stops", units=SECONDS, minimum=0),
    )
    api_keys: tuple[str, ...] = field(default=(), metadata=_option("api_keys", tuple))
    allowed_hosts: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "allowed_hosts",
            tuple,
            "host names of the server, with commas, such as sounds.example.com; default: its addresses, localhost and"
            " the machine's name; any if there are keys",
            own_metavar="NAMES",
        ),
    )

    def __post_init__(self) -> None:
        _check_numbers(self)
        for name in self.allowed_hosts:
            if not HOST_PATTERN.fullmatch(name):
                raise ValueError(
                    f"allowed_hosts holds {name!r}, allowed: names or addresses without a port, *.example.com, *"
                )
        object.__setattr__(self, "allowed_hosts", tuple(name.lower() for name in self.allowed_hosts))


@dataclass(frozen=True)
class ServerSettings:
    """The settings of `ppaudioldm serve`, `ui` and `mcp`: of the service, the address, the checkpoints and engines.

    data: the folder that holds the folder of the jobs; None: the user's own. output: the folder of the sounds of
    `ppaudioldm mcp`, which has its flag; None: one in `data`. The fields from `checkpoint` on have the
    flags that all commands share.
    """

    service: Settings
    host: str = field(
        default="127.0.0.1",
        metadata=_option("host", str, "to listen on; default: 127.0.0.1, which only this machine reaches"),
    )
    port: int = field(
        default=8000,
        metadata=_option("port", int, "to listen on; default: 8000; 0 takes a free one", minimum=0, maximum=65535),
    )
    speech_checkpoint: str | None = field(
        default=None,
        metadata=_option(
            "speech_checkpoint",
            str,
            "one that speaks, too, or none; default: the built-in one, if there is one",
            own_metavar="NAME|PATH",
        ),
    )
    voices: Path | None = field(
        default=None,
        metadata=_option("voices", Path, 'JSON of further voices: {"id": "A man speaks slowly", ...}'),
    )
    lora: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "lora",
            tuple,
            "LoRA adapters that requests may name, with commas: NAME=PATH, or a folder of adapters; default: none",
            own_metavar="NAME=PATH",
        ),
    )
    api_keys_file: Path | None = field(
        default=None,
        metadata=_option(
            "api_keys_file",
            Path,
            "of keys, one a line; or $PPAUDIOLDM_API_KEYS, with commas; default: none",
            own_flag="--api-keys",
        ),
    )
    data: Path | None = field(
        default=None,
        metadata=_option("data", Path, "of jobs; default: $PPAUDIOLDM_DATA, or the user's own", own_metavar="FOLDER"),
    )
    output: Path | None = field(default=None, metadata=_option("output", Path, own_metavar="FOLDER"))
    checkpoint: str = field(default=DEFAULT_CHECKPOINT, metadata=_option("checkpoint", str))
    ema: bool | None = field(default=None, metadata=_option("ema", bool))
    engine: str | None = field(default=None, metadata=_option("engine", str, choices=ENGINES))
    precision: str = field(default="auto", metadata=_option("precision", str, choices=PRECISIONS))
    vocoder: str | None = field(default=None, metadata=_option("vocoder", str, choices=VOCODERS))
    compile: bool = field(default=False, metadata=_option("compile", bool))
    low_memory: bool = field(default=False, metadata=_option("low_memory", bool))
    device: str | None = field(default=None, metadata=_option("device", str))
    framework: str | None = field(default=None, metadata=_option("framework", str, choices=FRAMEWORKS))

    def __post_init__(self) -> None:
        _check_numbers(self)
