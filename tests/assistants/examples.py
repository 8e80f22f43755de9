"""What the tests of assistants share: a server whose pipeline generates noise, and the SDK's client."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult

from ppaudioldm.assistants.calls import Calls
from ppaudioldm.assistants.protocol import protocol_server
from ppaudioldm.assistants.sounds import SoundFolder
from ppaudioldm.serving.models import Models
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.voices import all_voices
from tests.imitation import PATIENCE, ImitationPipeline
from tests.serving.examples import service_of

BELL: dict[str, Any] = {"prompt": "a bell", "duration": 0.5, "seed": 3}


@dataclass(frozen=True)
class Assistant:
    """A server of the protocol, without a transport."""

    service: Service
    pipeline: ImitationPipeline
    folder: SoundFolder
    server: Any


@contextlib.contextmanager
def assistant_of(folder: Path, models: Models | None = None, **settings: Any) -> Iterator[Assistant]:
    """models: in place of the pipeline."""
    pipeline = ImitationPipeline()
    with service_of(folder / "jobs", pipeline, **settings) as service:
        service.models = models or service.models
        sounds = SoundFolder(folder / "sounds", service.settings.disk_bytes)
        yield Assistant(service, pipeline, sounds, protocol_server(Calls(service, sounds, all_voices())))


def with_client(server: Any, use: Callable[[Client], Awaitable[Any]], **options: Any) -> Any:
    """What `use` of a client of `server` returns. server: what the SDK's client takes."""

    async def run() -> Any:
        with anyio.fail_after(PATIENCE):
            async with Client(server, **options) as client:
                return await use(client)

    return anyio.run(run)


async def refusal(request: Awaitable[Any]) -> str:
    """What the protocol's error says that answers the request."""
    with pytest.raises(MCPError) as raised:
        await request
    return str(raised.value)


def line_of(result: CallToolResult) -> str:
    """The line of an error."""
    assert result.is_error and len(result.content) == 1
    text = result.content[0].text
    assert "\n" not in text
    return text
