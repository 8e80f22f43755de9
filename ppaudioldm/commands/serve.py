"""`serve`: an HTTP server for existing clients."""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppaudioldm.checkpoints import DEFAULT_CHECKPOINT, built_in_speech_checkpoint
from ppaudioldm.commands.arguments import add_checkpoint, choose_framework
from ppaudioldm.commands.console import notify
from ppaudioldm.serving.settings import ServerSettings, all_options

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ppaudioldm.serving.models import Models
    from ppaudioldm.serving.service import Service
    from ppaudioldm.serving.voices import Voice

    Finish = Callable[[Service, FastAPI, dict[str, Voice]], FastAPI]

NO_CHECKPOINT = "none"
EXAMPLES = """\
examples:
  ppaudioldm serve --checkpoint cvssp/audioldm2
  ppaudioldm serve -c cvssp/audioldm2 --speech-checkpoint anhnct/audioldm2_gigaspeech --port 8000
  ppaudioldm serve --config server.toml
  curl localhost:8000/v1/sound-generation --json '{"text": "a dog barks"}' -o dog.mp3

Existing clients of ElevenLabs and OpenAI need only this server's address. docs/server.md describes every endpoint.
Every option is also a variable, such as $PPAUDIOLDM_PORT, and a key of the configuration file, such as port = 8000.
"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "serve",
        help="answer over HTTP, as ElevenLabs and OpenAI do",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(command)
    command.set_defaults(run=serve)


def add_options(command: argparse.ArgumentParser) -> None:
    """A flag for every setting that has one. Their values are None where they are absent, and texts: `settings_of`."""
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML with any of these options, such as max_steps = 100"
    )
    for key, (option, default) in all_options().items():
        if option.help:
            has_text = default is not None and "default: " not in option.help
            text = f"{option.help}; default: {option.as_text(default)}" if has_text else option.help
            command.add_argument(option.flag, dest=key, metavar=option.metavar, help=text)
    add_checkpoint(command, DEFAULT_CHECKPOINT)
    command.set_defaults(**dict.fromkeys(all_options()))


def settings_of(options: argparse.Namespace) -> ServerSettings:
    """The settings by flags, environment and `--config`. Raises ValueError or OSError, see `read_settings`."""
    try:
        from ppaudioldm.serving.configuration import read_settings
    except ModuleNotFoundError as error:
        raise ValueError(_missing(error)) from error
    return read_settings({key: getattr(options, key) for key in all_options()}, options.config)


def serve(options: argparse.Namespace) -> None:
    run(options, lambda service, app, voices: app)


def run(options: argparse.Namespace, finish: Finish) -> None:
    """Serve as the options say; `finish` of the service, its application and the voices returns the application."""
    settings, models, voices = opened(options)
    from ppaudioldm.serving.app import create_app
    from ppaudioldm.serving.run import serve as run_server
    from ppaudioldm.serving.service import Service

    if not settings.service.api_keys and not _is_loopback(settings.host):
        notify(f"warning: every client that reaches {settings.host} may use this server: --api-keys asks for a key")
    service = Service(models, settings.service)
    app = finish(service, create_app(service, voices), voices)
    run_server(service, app, settings.host, settings.port, notify)
    end_abandoned(service)


def opened(options: argparse.Namespace) -> tuple[ServerSettings, Models, dict[str, Voice]]:
    """The settings that the options stand for, and the checkpoints and voices of those. Raises ValueError, OSError."""
    settings = settings_of(options)
    choose_framework(argparse.Namespace(framework=settings.framework))
    from ppaudioldm.serving.library_versions import check_version

    try:
        check_version("uvicorn")
        import_module("ppaudioldm.serving.app")
        import_module("ppaudioldm.serving.run")
    except ModuleNotFoundError as error:
        raise ValueError(_missing(error)) from error
    from ppaudioldm.serving.voices import all_voices

    voices = all_voices(settings.voices)
    models = _opened_models(settings)
    _notify_of_models(models)
    return settings, models, voices


def end_abandoned(service: Service) -> None:
    """End the process if `service` has left its worker in the preparation of a network.

    That thread would be ended in the middle of a library's code, which may crash.
    """
    if service.is_abandoned:
        notify("stopped while a network was prepared")
        sys.stdout.flush()
        os._exit(0)


def _missing(error: ModuleNotFoundError) -> str:
    return f"serve needs {error.name}: pip install 'ppaudioldm[serve]'"


def _opened_models(settings: ServerSettings) -> Models:
    """Raises ValueError for a speech checkpoint that does not speak, or where the phonemizer is missing.

    The built-in speech checkpoint is not opened where the phonemizer is missing, or the other checkpoint speaks.
    """
    from ppaudioldm.serving.adapters import check_fit_any, named_adapters
    from ppaudioldm.serving.models import Models

    adapters = named_adapters(settings.lora)
    open_models = partial(
        Models.open,
        engine=settings.engine,
        device=settings.device,
        precision=settings.precision,
        ema=settings.ema,
        compile_step=settings.compile,
        vocoder=settings.vocoder,
        low_memory=settings.low_memory,
        adapters=adapters,
        only_named_adapters=True,
    )
    speech = None if settings.speech_checkpoint == NO_CHECKPOINT else settings.speech_checkpoint
    models = open_models([settings.checkpoint, *([speech] if speech else [])])
    check_fit_any(adapters, models)
    if speech and not models.all[-1].speaks:
        raise ValueError(f"{speech} does not speak, but is --speech-checkpoint")
    if models.speaks():
        _check_phonemizer()
    elif settings.speech_checkpoint is None and (built_in := built_in_speech_checkpoint()):
        try:
            _check_phonemizer()
        except ValueError as error:
            notify(f"note: {built_in} is not offered: {error}")
        else:
            models = Models([*models.all, *open_models([built_in]).all])
    return models


def _check_phonemizer() -> None:
    """Raises ValueError where it is missing."""
    from ppaudioldm.text.phonemes import to_phonemes

    to_phonemes("a")


def _notify_of_models(models: Models) -> None:
    for model in models.all:
        random = "; random weights, so it generates noise" if model.is_random else ""
        notify(f"{model.name}: {', '.join(model.tasks)}; {model.sample_rate} Hz; licence: {model.licence}{random}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
