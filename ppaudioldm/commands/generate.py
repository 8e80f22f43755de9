"""`generate` and `speak`: a sound from words."""

from __future__ import annotations

import argparse
from typing import Any

from ppaudioldm.checkpoints import CHECKPOINTS, speech_names
from ppaudioldm.commands.common import add_settings, make
from ppaudioldm.options import Options

SPEAKER = "A female reporter is speaking"  # as in the module `speech`, which is too heavy for `--help`

EXAMPLES = """\
examples:
  ppaudioldm generate "a cat purring" -o cat.wav
  ppaudioldm generate "a cat purring" --checkpoint cvssp/audioldm2 --preset original --seed 7
  ppaudioldm generate "rain on a tin roof" --duration 30 --negative-prompt "music, speech"
"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "generate",
        help="make a sound from a prompt",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("prompt", help="what it should sound like")
    add_settings(command, "audioldm2-full", "prompt")
    command.set_defaults(run=generate)

    command = commands.add_parser("speak", help="say a text, of any length")
    command.add_argument("text", help="what to say, in English")
    command.add_argument(
        "--speaker",
        dest="prompt",
        default=SPEAKER,
        metavar="TEXT",
        help=f"who says it, and how; default: {SPEAKER!r}",
    )
    command.add_argument(
        "--phonemes", action="store_true", help="the text is phonemes as espeak writes them, not words"
    )
    add_settings(command, "audioldm2-speech-gigaspeech", "text")
    command.set_defaults(run=speak)


def generate(options: argparse.Namespace) -> None:
    Options().check_prompts([options.prompt])
    check_speaks(options.checkpoint, False)
    make(options, options.prompt, lambda pipeline, **settings: pipeline.generate(options.prompt, **settings))


def speak(options: argparse.Namespace) -> None:
    if not options.phonemes:
        from ppaudioldm.audio.phonemes import to_phonemes

        to_phonemes(options.text)  # a missing extra, or nothing to say, is found before a download
    Options().check_prompts([options.prompt])
    check_speaks(options.checkpoint, True)

    def create(pipeline: Any, **settings: Any) -> Any:
        from ppaudioldm import speech

        return speech.speak(pipeline, options.text, speaker=options.prompt, phonemes=options.phonemes, **settings)

    make(options, options.text, create, {"text": options.text})


def check_speaks(checkpoint: str, speaks: bool) -> None:
    """Raise ValueError for a published checkpoint of the other kind, before it is downloaded."""
    info = CHECKPOINTS.get(checkpoint)
    if info and (info.config.phoneme_encoder is not None) != speaks:
        if speaks:
            raise ValueError(f"{checkpoint} does not speak, choose from {', '.join(speech_names())}")
        raise ValueError(f"{checkpoint} says a text: use `ppaudioldm speak`")
