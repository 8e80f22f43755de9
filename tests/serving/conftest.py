from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.serving.examples import PATIENCE, Server, serving, write_speech_checkpoint


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """With a checkpoint that speaks besides; one step a clip."""
    folder = tmp_path_factory.mktemp("server")
    speech = write_speech_checkpoint(folder)
    limits = ("--steps", "1", "--max-duration", "1", "--max-body", "2MB")
    with serving(folder / "data", "--speech-checkpoint", str(speech), *limits) as started:
        yield started


@pytest.fixture
def client(server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as found:
        yield found
