"""The Dockerfiles and the compose file say what holds of this package. `make install-test` runs their steps."""

from __future__ import annotations

import re

import pytest
import yaml

from ppaudioldm.cli import _parser
from ppaudioldm.serving.settings import all_options
from tests.dockerfiles import DOCKERFILES, ROOT, command, health_check, of, stages, variables

OTHER_VARIABLES = {"PPAUDIOLDM_CACHE", "PPAUDIOLDM_DATA", "PPAUDIOLDM_FRAMEWORK"}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dockerfile(name):
    build, image = stages(name)
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    for copied in of(build, "COPY"):
        assert set(copied.split()[:-1]) <= kept and all((ROOT / path).exists() for path in copied.split()[:-1])
    assert kept == {path for copied in of(build, "COPY") for path in copied.split()[:-1]}
    names = [instruction for instruction, _ in image]
    assert names.index("USER") < names.index("ENTRYPOINT") and of(image, "USER") == ["ppaudioldm"]
    assert of(image, "VOLUME") == ["/models"] and "/healthz" in " ".join(health_check(image))
    ours = {key for key in variables(image) if key.startswith("PPAUDIOLDM_")}
    assert ours <= OTHER_VARIABLES | {f"PPAUDIOLDM_{key.upper()}" for key in all_options()}
    assert all(
        value.startswith("/models/") for key, value in variables(image).items() if key.endswith(("CACHE", "DATA"))
    )
    assert _parser().parse_args(command(image)[1:]).run


def test_each_image_has_its_framework():
    extras = [re.findall(r'"\.\[(.*)\]"', " ".join(of(stages(name)[0], "RUN"))) for name in DOCKERFILES]
    assert extras == [["cpu,all"], ["torch,all"]]


def test_compose_file():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    assert services["cpu"]["build"] == "." and services["gpu"]["build"]["dockerfile"] == DOCKERFILES[1]
    for service in services.values():
        assert service["volumes"][0].endswith(":/models") and service["ports"][0].startswith("127.0.0.1:")
        assert _parser().parse_args(service["command"]).run
