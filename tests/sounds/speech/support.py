"""A stand-in for the program flite, which not every machine has: a tone as long as the text, at the voice's pitch,
and a phone for each letter."""

import sys
from pathlib import Path

PROGRAM = """#!{python}
import array, math, sys, wave
words = [word for word in sys.argv[1:] if word != "-psdur"]
options = dict(zip(words[::2], words[1::2]))
pitch = {{"rms": 90, "slt": 170, "awb": 130, "kal16": 88}}[options["-voice"]]
length = 800 * len(options["-t"])
tone = array.array("h", (int(8000 * math.sin(2 * math.pi * pitch * i / 16000)) for i in range(length)))
with wave.open(options["-o"], "wb") as file:
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(16000)
    file.writeframes(bytes(1600) + tone.tobytes() + bytes(1600))
if "-psdur" in sys.argv:
    print("pau:0.05", *(f"ah:{{0.05 + 0.05 * (i + 1):.3f}}" for i in range(len(options["-t"]))))
"""


def install_stand_in(folder: Path, monkeypatch) -> None:
    """Put the stand-in on the PATH instead of everything else."""
    folder.mkdir(exist_ok=True)
    program = folder / "flite"
    program.write_text(PROGRAM.format(python=f"{sys.executable} -S"))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
