"""The steps of the CPU's Dockerfile in fresh folders, for where there is no container engine: `make install-test`.

What only an image has, its system packages and its user, is left out.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

from tests.dockerfiles import ROOT, command, copied, health_check, of, stages, variables


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def test_the_cpu_image_serves(tmp_path):
    build, image = stages("Dockerfile")
    source, opt, models = tmp_path / "src", tmp_path / "opt", tmp_path / "models"
    source.mkdir()
    models.mkdir()
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python").symlink_to(sys.executable)
    for path, place in copied(build).items():
        (source / place).parent.mkdir(exist_ok=True)
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, source / place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / path, source / place)

    def placed(text: str) -> str:
        return text.replace("/opt/", f"{opt}/").replace("/models", str(models))

    hidden = ("PYTHONPATH", "PPAUDIOLDM_FRAMEWORK", "PPAUDIOLDM_ENGINE", "VIRTUAL_ENV")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    for step in of(build, "RUN"):
        path = f"{tools}:{os.environ['PATH']}"
        subprocess.run(["sh", "-ec", placed(step)], cwd=source, env=environment | {"PATH": path}, check=True)
    port = free_port()
    for name, value in variables(image).items():
        environment[name] = placed(value).replace("$PATH", os.environ["PATH"])
    environment |= {"PPAUDIOLDM_PORT": str(port), "PPAUDIOLDM_HOST": "127.0.0.1"}
    server = subprocess.Popen(command(image), cwd=models, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        check = [part.replace("8000", str(port)) for part in health_check(image)]
        deadline = time.monotonic() + 240
        while subprocess.run(check, env=environment, capture_output=True).returncode != 0:
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(1)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/sound-generation?output_format=wav",
            b'{"text": "a big bell", "duration_seconds": 1}',
            {"Content-Type": "application/json"},
        )
        sound = urllib.request.urlopen(request, timeout=240).read()
        assert sound.startswith(b"RIFF") and len(sound) > 30_000
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).read()
        assert b"<html" in page.lower()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    assert any((models / "cache").iterdir()) and (models / "data" / "jobs").is_dir()
