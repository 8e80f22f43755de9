"""The Dockerfiles and the compose file say what holds of this package. `make install-test` runs their steps."""

from __future__ import annotations

import re
import sys

import pytest
import yaml
from compose_spec import PyCompose

from ppaudioldm.cli import _parser
from ppaudioldm.serving.settings import all_options
from tests.dockerfiles import DOCKERFILES, ROOT, command, copied, health_check, of, stages, variables

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

COMPOSE = ROOT / "compose.yaml"
OTHER_VARIABLES = {"PPAUDIOLDM_CACHE", "PPAUDIOLDM_DATA", "PPAUDIOLDM_FRAMEWORK"}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dockerfile(name):
    build, image = stages(name)
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert kept == set(copied(build)) and all((ROOT / path).exists() for path in kept)
    names = [instruction for instruction, _ in image]
    (user,) = of(image, "USER")
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert int(user) > 0 and f"useradd --uid {user} " in " ".join(of(image, "RUN"))
    assert of(image, "VOLUME") == ["/models"] and "/healthz" in " ".join(health_check(image))
    ours = {key for key in variables(image) if key.startswith("PPAUDIOLDM_")}
    assert ours <= OTHER_VARIABLES | {f"PPAUDIOLDM_{key.upper()}" for key in all_options()}
    assert all(
        value.startswith("/models/") for key, value in variables(image).items() if key.endswith(("CACHE", "DATA"))
    )
    assert _parser().parse_args(command(image)[1:]).run


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_the_wheel_is_made_of_is_copied(name):
    """Where a licence is missing, it is left out of the wheel with no more than a warning."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    places = copied(stages(name)[0])
    assert {"pyproject.toml", "MANIFEST.in", "ppaudioldm", project["readme"], *project["license-files"]} <= set(places)
    assert all(path == place for path, place in places.items())


@pytest.mark.parametrize("path", [*(ROOT / name for name in DOCKERFILES), COMPOSE], ids=lambda path: path.name)
def test_no_registry_of_packages_is_named(path):
    text = path.read_text("utf-8")
    addresses = re.findall(r"https?://[^\s'\"]+", text)
    assert all(address.startswith("http://127.0.0.1:") for address in addresses)
    assert not re.search(r"index-url|find-links|trusted-host|PIP_|sources.list", text)


def test_each_image_has_its_framework():
    extras = [re.findall(r'"\.\[(.*)\]"', " ".join(of(stages(name)[0], "RUN"))) for name in DOCKERFILES]
    assert extras == [["cpu,all"], ["torch,all"]]


def test_compose_file():
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    assert services["cpu"]["build"] == "." and services["gpu"]["build"]["dockerfile"] == DOCKERFILES[1]
    for service in services.values():
        assert service["volumes"][0].endswith(":/models") and service["ports"][0].startswith("127.0.0.1:")
        assert _parser().parse_args(service["command"]).run


def test_compose_file_keeps_to_the_specification():
    text = COMPOSE.read_text("utf-8")
    assert PyCompose.from_yaml(text).service_names() == ["cpu", "gpu"]
    with pytest.raises(ValueError, match="read_onyl"):
        PyCompose.from_yaml(text.replace("read_only", "read_onyl", 1))
