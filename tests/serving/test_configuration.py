"""The settings of a server from flags, environment variables and a TOML file."""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from ppaudioldm.cli import main
from ppaudioldm.commands import serve
from ppaudioldm.commands.arguments import add_checkpoint
from ppaudioldm.serving.configuration import read_settings
from ppaudioldm.serving.settings import Limits, ServerSettings, Settings, all_options, options_of
from ppaudioldm.storage.folders import data_folder

MIB = 1 << 20


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for option, _ in all_options().values():
        monkeypatch.delenv(option.variable, raising=False)


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve.add_options(parser)
    return parser.parse_args(arguments)


def settings(*arguments: str) -> ServerSettings:
    return serve.settings_of(parsed(*arguments))


def toml(folder: Path, text: str) -> str:
    path = folder / "server.toml"
    path.write_text(text, "utf-8")
    return str(path)


# ---- What is read


def test_defaults():
    found = settings()
    assert found == ServerSettings(Settings(data_folder() / "jobs"))
    service, limits = found.service, found.service.limits
    assert (found.host, found.port, found.checkpoint, found.precision) == ("127.0.0.1", 8000, "tiny", "auto")
    assert (service.queue_size, service.batch_size, service.keep_s, service.grace_s) == (32, 4, 604_800, 30)
    assert (service.disk_bytes, service.default_steps, service.api_keys) == (1024 * MIB, None, ())
    assert dataclasses.astuple(limits) == (60.0, 200, 8, 5000, 64 * MIB, MIB, 10.0, 600.0)


def test_flags(tmp_path):
    arguments = "--port 0 --keep 12h --disk 1.5GB --grace 0 --max-duration 2.5 --max-body 2MB --time-limit 90 --steps 7"
    found = settings(*arguments.split(), "--data", str(tmp_path), "--ema", "--low-memory", "-c", "audioldm2-full")
    assert (found.port, found.ema, found.low_memory, found.checkpoint) == (0, True, True, "audioldm2-full")
    service = found.service
    assert (service.folder, service.keep_s, service.disk_bytes) == (tmp_path / "jobs", 43_200, 3 << 29)
    assert (service.grace_s, service.default_steps) == (0, 7)
    assert service.limits == Limits(duration_s=2.5, body_bytes=2 * MIB, timeout_s=90)


def test_every_setting_can_be_in_a_file(tmp_path):
    """Each has another value than its default in the file, and arrives."""
    values = {
        key: {bool: "true", int: "3", float: "2.5", tuple: '["a", "b"]'}.get(option.kind, '"x"')
        for key, (option, _) in all_options().items()
    }
    keys = tmp_path / "keys.txt"
    keys.write_text("# of our team\nc\n\na\n")
    values |= {"engine": '"eager"', "precision": '"bf16"', "vocoder": '"griffin-lim"', "framework": '"torch"'}
    values |= {"api_keys_file": f"'{keys}'"}
    found = settings("--config", toml(tmp_path, "".join(f"{key} = {value}\n" for key, value in values.items())))
    for owner in (found, found.service, found.service.limits):
        for name in options_of(type(owner)):
            assert getattr(owner, name) != type(owner).__dataclass_fields__[name].default, name
    assert found.service.api_keys == ("a", "b", "c") and found.service.folder == Path("x/jobs")
    assert found.service.limits.body_grace_s == 2.5 and found.voices == Path("x")


def test_flags_come_before_the_environment_before_the_file(tmp_path, monkeypatch):
    file = toml(tmp_path, 'queue = 1\nbatch = 1\nkeep = "1h"\nmax_body = 1000\n')
    monkeypatch.setenv("PPAUDIOLDM_QUEUE", "2")
    monkeypatch.setenv("PPAUDIOLDM_BATCH", "2")
    monkeypatch.setenv("PPAUDIOLDM_MAX_BODY", "")  # as if it were not set
    found = settings("--config", file, "--queue", "3").service
    assert (found.queue_size, found.batch_size, found.keep_s, found.limits.body_bytes) == (3, 2, 3600, 1000)


def test_variables_of_earlier_versions(tmp_path, monkeypatch):
    monkeypatch.setenv("PPAUDIOLDM_API_KEYS", " first, sécond,,first")
    monkeypatch.setenv("PPAUDIOLDM_DATA", str(tmp_path))
    monkeypatch.setenv("PPAUDIOLDM_ENGINE", "eager")
    keys = tmp_path / "keys"
    keys.write_text("third\n")
    found = settings("--api-keys", str(keys))
    assert found.service.api_keys == ("first", "sécond", "third")
    assert (found.service.folder, found.engine) == (tmp_path / "jobs", "eager")


@pytest.mark.parametrize(
    ("arguments", "hosts"),
    [
        ("", ()),
        ("--host 0.0.0.0", ("0.0.0.0",)),
        ("--host ::1", ()),  # addresses are allowed anyway
        ("--host box.lan", ("box.lan",)),
        ("--host box.lan --allowed-hosts a.example,*.b.example", ("a.example", "*.b.example", "box.lan")),
        ("--host box.lan --api-keys {keys}", ()),  # any
        ("--allowed-hosts a.example --api-keys {keys}", ("a.example",)),
    ],
)
def test_the_hosts_of_the_server(tmp_path, arguments, hosts):
    (tmp_path / "keys").write_text("a")
    assert settings(*arguments.format(keys=tmp_path / "keys").split()).service.allowed_hosts == hosts


# ---- What is wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--queue", "0"], "--queue is '0', allowed: more than 0, a whole number"),
        (["--queue", "2.5"], "--queue is '2.5', allowed: more than 0, a whole number"),
        (["--port", "70000"], "--port is '70000', allowed: 0 to 65535, a whole number"),
        (["--keep", "7x"], "--keep is '7x', allowed: more than 0 seconds, such as 90, 90s, 12h or 7d"),
        (["--grace=-1s"], "--grace is '-1s', allowed: 0 and more seconds"),
        (["--disk", "5h"], "--disk is '5h', allowed: more than 0 bytes, such as 500MB or 2GB"),
        (["--max-duration", "nan"], "--max-duration is 'nan', allowed: more than 0"),
        (["--host", ""], "--host is '', allowed: a text"),
        (["--config", "none.toml"], "none.toml does not exist: --config needs a TOML file"),
    ],
)
def test_flags_that_are_not_allowed(arguments, message, capsys):
    assert main(["serve", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ppaudioldm: error: {message}") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_steps = -3", "max_steps is -3, allowed: more than 0, a whole number"),
        ("max_steps = true", "max_steps is True, allowed: more than 0"),
        ("ema = 'maybe'", "ema is 'maybe', allowed: true, false"),
        ("engine = 'steam'", "engine is 'steam', allowed: auto, openvino, eager"),
        ("api_keys = [1]", "api_keys is [1], allowed: a list of texts"),
        ("host = 5", "host is 5, allowed: a text"),
    ],
)
def test_keys_that_are_not_allowed(tmp_path, text, message):
    file = toml(tmp_path, text)
    with pytest.raises(ValueError) as raised:
        settings("--config", file)
    assert str(raised.value).startswith(f"{file}: {message}")


def test_a_variable_that_is_not_allowed(monkeypatch):
    monkeypatch.setenv("PPAUDIOLDM_MAX_BODY", "large")
    with pytest.raises(ValueError, match="^PPAUDIOLDM_MAX_BODY is 'large', allowed: more than 0 bytes"):
        settings()
    assert settings("--max-body", "1MB").service.limits.body_bytes == MIB


def test_unknown_keys_and_files_that_are_not_toml(tmp_path):
    with pytest.raises(ValueError, match=r"server.toml: unknown key 'quee', choose from host, port, "):
        settings("--config", toml(tmp_path, "quee = 3"))
    with pytest.raises(ValueError, match=r"server.toml is not TOML: "):
        settings("--config", toml(tmp_path, "queue: 3"))
    keys = tmp_path / "keys"
    keys.write_text("# none\n")
    with pytest.raises(ValueError, match="keys holds no key, allowed: one key a line"):
        settings("--api-keys", str(keys))


# ---- The definitions


def test_settings_that_all_commands_share_have_their_flags():
    parser = argparse.ArgumentParser()
    add_checkpoint(parser, ServerSettings.checkpoint)
    shared = vars(parser.parse_args([]))
    without_help = {key for key, (option, _) in all_options().items() if not option.help}
    assert set(shared) == without_help - {"api_keys", "max_json_body", "body_grace", "output"}  # the last is of `mcp`
    choices = {action.dest: tuple(action.choices or ()) for action in parser._actions}
    for key in shared:
        option, default = all_options()[key]
        assert option.choices == choices[key] and (shared[key] or None) == (default or None)


def test_values_from_python_are_checked():
    with pytest.raises(ValueError, match="^grace_s is -1, allowed: 0 and more seconds"):
        Settings(Path("jobs"), grace_s=-1)
    with pytest.raises(ValueError, match="^port is 65536, allowed: 0 to 65535"):
        ServerSettings(Settings(Path("jobs")), port=65536)
    assert read_settings({"port": 0}).port == 0


def test_help_needs_neither_pydantic_nor_numpy():
    program = "import sys, ppaudioldm.cli; print([n for n in ('pydantic', 'fastapi', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
