"""Reads the settings of a server: flags come before environment variables, those before a TOML file, then defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, create_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from ppaudioldm.serving.option import VARIABLE_PREFIX
from ppaudioldm.serving.settings import Limits, ServerSettings, Settings, all_options, options_of
from ppaudioldm.storage.folders import data_folder


def read_settings(flags: Mapping[str, Any], file: Path | None = None) -> ServerSettings:
    """The settings of a server.

    flags: values by key, None for those that are absent. file: a TOML file of keys. Raises ValueError, in one line, for
    an unknown key or a value that is not allowed, naming its flag, variable or key; OSError for a file that cannot be
    read.
    """
    values = _values({key: value for key, value in flags.items() if value is not None}, file)

    def of(owner: type) -> dict[str, Any]:
        return {name: values[option.key] for name, option in options_of(owner).items() if option.key in values}

    folder = (values.get("data") or data_folder()) / "jobs"
    keys = [*values.get("api_keys", ()), *_keys_in(values.get("api_keys_file"))]
    own = of(Settings) | {"api_keys": tuple(dict.fromkeys(keys))}
    names, host = own.get("allowed_hosts", ()), values.get("host", "")
    if host and ":" not in host and (names or not keys):  # where not every name is allowed, that of --host is
        own["allowed_hosts"] = (*names, host)
    return ServerSettings(Settings(folder, Limits(**of(Limits)), **own), **of(ServerSettings))


def _values(flags: Mapping[str, Any], file: Path | None) -> dict[str, Any]:
    """Key -> parsed value of all settings that are set anywhere."""
    if file is not None and not file.is_file():
        raise FileNotFoundError(f"{file} does not exist: --config needs a TOML file")
    fields: dict[str, Any] = {
        key: (Annotated[Any, BeforeValidator(option.parsed)], None) for key, (option, _) in all_options().items()
    }
    try:
        found = create_model("Sources", __base__=_base(file), **fields)(**flags)
    except ValidationError as error:
        raise ValueError(_message(error, flags, file)) from None
    except ValueError as error:  # of the TOML parser
        raise ValueError(f"{file} is not TOML: {error}") from None
    return {key: getattr(found, key) for key in found.model_fields_set}


def _base(file: Path | None) -> type[BaseSettings]:
    class Base(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=VARIABLE_PREFIX,
            env_ignore_empty=True,
            toml_file=file,
            extra="forbid",
            frozen=True,
            validate_default=False,  # None is no value, but means that a key is absent
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    return Base


def _message(error: ValidationError, flags: Mapping[str, Any], file: Path | None) -> str:
    """The first problem in one line."""
    problem, options = error.errors()[0], all_options()
    key = str(problem["loc"][0])
    if key not in options:
        return f"{file}: unknown key {key!r}, choose from {', '.join(options)}"
    option = options[key][0]
    source = option.flag if key in flags else option.variable if os.environ.get(option.variable) else f"{file}: {key}"
    return option.message(source, problem["input"])


def _keys_in(path: Path | None) -> list[str]:
    """The keys in a file, one a line; "#" begins a comment. Raises ValueError for a file without a key."""
    if path is None:
        return []
    lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise ValueError(f"{path} holds no key, allowed: one key a line")
    return keys
