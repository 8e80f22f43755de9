"""The tasks, each defined once. The command line, the server, the page, `compat` and the error messages read TASKS.

To add a task: its function in a file of this folder, and an entry here. Imports no NumPy: `--help` lists them.
"""

from __future__ import annotations

from ppaudioldm.errors import quoted
from ppaudioldm.tasks.task import Parameter, Task, Use

SPEAKER = "A female reporter is speaking"
MAX_SPEED = 4.0
_PIECE_S = 10.0  # longer results of tasks that start from a recording are generated in pieces


def task_of(name: str) -> Task:
    """The task called `name`. Raises ValueError for an unknown one."""
    if name not in TASKS:
        raise ValueError(f"unknown task {quoted(name)}, choose from {', '.join(TASKS)}")
    return TASKS[name]


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="generate",
            title="Sound",
            action="Generate",
            summary="generate a sound from a prompt",
            function="ppaudioldm.pipeline:AudioLDM.generate",
            keeps_candidates=True,
            batches=True,
            takes_schedule=True,
        ),
        Task(
            name="speak",
            title="Speech",
            action="Speak",
            summary="speak a text of any length",
            function="ppaudioldm.tasks.speak:speak",
            plan="ppaudioldm.tasks.speak:plan",
            prompt=Use.OPTIONAL,
            prompt_keyword="speaker",
            prompt_help="who speaks, and how",
            default_prompt=SPEAKER,
            parameters=(
                Parameter("text", str, None, "what to say, in English", "", "Text", required=True),
                Parameter(
                    "phonemes",
                    bool,
                    False,
                    "the text is phonemes as espeak writes them, not words",
                    "--phonemes",
                    "Phonemes",
                ),
                Parameter(
                    "speed",
                    float,
                    1.0,
                    "how fast, without a change of pitch: 2 takes half the time",
                    "--speed",
                    "Speed",
                    "X",
                    minimum=1 / MAX_SPEED,
                    maximum=MAX_SPEED,
                ),
            ),
            speaks=True,
            pieces_above_s=0.0,
        ),
        Task(
            name="vary",
            title="Vary",
            action="Vary",
            summary="generate a new clip that resembles a recording",
            function="ppaudioldm.tasks.vary:vary",
            plan="ppaudioldm.tasks.vary:plan",
            prompt=Use.OPTIONAL,
            audio=Use.REQUIRED,
            duration_help="the recording's, up to 10",
            keeps_candidates=True,
            features="always",
            reads_beginning=True,
            pieces_above_s=_PIECE_S,
        ),
        Task(
            name="restyle",
            title="Restyle",
            action="Restyle",
            summary="let a recording sound as a prompt says",
            function="ppaudioldm.tasks.restyle:restyle",
            plan="ppaudioldm.tasks.restyle:plan",
            audio=Use.REQUIRED,
            parameters=(
                Parameter(
                    "strength",
                    float,
                    0.5,
                    "near 0 the recording stays as it is, at 1 nothing of it is left",
                    "--strength",
                    "Strength",
                    "S",
                    above=0.0,
                    maximum=1.0,
                ),
            ),
            takes_duration=False,
            pieces_above_s=_PIECE_S,
        ),
        Task(
            name="inpaint",
            title="Inpaint",
            action="Inpaint",
            summary="regenerate times or frequencies of a recording; the rest stays as it is",
            function="ppaudioldm.tasks.inpaint:inpaint",
            plan="ppaudioldm.tasks.inpaint:plan",
            prompt=Use.OPTIONAL,
            audio=Use.REQUIRED,
            parameters=(
                Parameter(
                    "ranges",
                    tuple,
                    (),
                    "seconds to regenerate; 6: is from there to the end; may be repeated",
                    "--range",
                    "Time",
                    "START:END",
                    unit="seconds",
                ),
                Parameter(
                    "frequencies",
                    tuple,
                    (),
                    "Hz to regenerate, within the ranges if there are any; may be repeated",
                    "--frequencies",
                    "Frequencies",
                    "LOW:HIGH",
                    unit="Hz",
                ),
            ),
            takes_duration=False,
            one_of=("ranges", "frequencies"),
            features="without prompt",
            edits=True,
            pieces_above_s=_PIECE_S,
        ),
        Task(
            name="extend",
            title="Extend",
            action="Extend",
            summary="continue a recording",
            function="ppaudioldm.tasks.extend:extend",
            plan="ppaudioldm.tasks.extend:plan",
            prompt=Use.OPTIONAL,
            audio=Use.REQUIRED,
            duration_help="20, the recording included",
            default_duration=20.0,
            features="without prompt",
            edits=True,
            pieces_above_s=_PIECE_S,
        ),
        Task(
            name="loop",
            title="Loop",
            action="Loop",
            summary="generate a clip whose end meets its start",
            function="ppaudioldm.tasks.loop:loop",
            plan="ppaudioldm.tasks.loop:plan",
            prompt=Use.OPTIONAL,
            audio=Use.OPTIONAL,
            duration_help="the recording's, or that of a clip",
            one_of=("prompt", "audio"),
            features="without prompt",
            edits=True,
            pieces_above_s=_PIECE_S,
        ),
        Task(
            name="upscale",
            title="Upscale",
            action="Upscale",
            summary="add the high frequencies that a recording lacks; the rest is its own sound",
            function="ppaudioldm.tasks.upscale:upscale",
            plan="ppaudioldm.tasks.upscale:plan",
            prompt=Use.OPTIONAL,
            audio=Use.REQUIRED,
            parameters=(
                Parameter(
                    "cutoff",
                    float,
                    None,
                    "Hz, where they begin; found in the recording's spectrum by default",
                    "--cutoff",
                    "Cutoff",
                    "HZ",
                    above=0.0,
                    unit="Hz",
                ),
            ),
            takes_duration=False,
            edits=True,
            raises_rate=True,
            pieces_above_s=_PIECE_S,
        ),
    )
}
