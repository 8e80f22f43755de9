"""Reads the repository's Dockerfiles."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCKERFILES = ("Dockerfile", "docker/gpu.Dockerfile")

Instruction = tuple[str, str]  # its name, and what follows it on one line


def stages(name: str) -> list[list[Instruction]]:
    """The instructions of each stage, which begins with FROM."""
    text = (ROOT / name).read_text("utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", " ", lines).splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            found.append([])
        if line.strip():
            found[-1].append((instruction, rest.strip()))
    return found


def of(stage: list[Instruction], name: str) -> list[str]:
    """What follows each instruction of that name."""
    return [rest for instruction, rest in stage if instruction == name]


def copied(stage: list[Instruction]) -> dict[str, str]:
    """The paths of the repository that a stage copies, and where in its working directory each goes."""
    places = {}
    for rest in of(stage, "COPY"):
        *paths, target = rest.split()
        for path in paths:
            place = posixpath.join(target, posixpath.basename(path)) if target.endswith("/") else target
            places[path] = posixpath.normpath(place)
    return places


def variables(stage: list[Instruction]) -> dict[str, str]:
    """The environment that a stage sets."""
    pairs = [part.partition("=") for rest in of(stage, "ENV") for part in shlex.split(rest)]
    return {name: value for name, _, value in pairs}


def command(stage: list[Instruction]) -> list[str]:
    """What a container runs."""
    return [*json.loads(of(stage, "ENTRYPOINT")[-1]), *json.loads(of(stage, "CMD")[-1])]


def health_check(stage: list[Instruction]) -> list[str]:
    return json.loads(of(stage, "HEALTHCHECK")[-1].partition("CMD ")[2])
