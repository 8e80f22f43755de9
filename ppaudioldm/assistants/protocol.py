"""The server of the Model Context Protocol, by its makers' SDK: tools, and the sounds as resources."""

from __future__ import annotations

import base64
import json
import logging
from functools import partial
from typing import Any

import anyio.to_thread
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    Annotations,
    AudioContent,
    BlobResourceContents,
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    ListResourcesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceLink,
    TextContent,
    Tool,
    ToolAnnotations,
)

from ppaudioldm import __version__
from ppaudioldm.assistants.calls import MISTAKES, Answer, CallFailed, Calls, message_of
from ppaudioldm.assistants.sounds import SoundFile
from ppaudioldm.assistants.tools import all_tools, input_schema
from ppaudioldm.errors import quoted
from ppaudioldm.serving.service import SERVER_ERROR

INSTRUCTIONS = """\
Generates and edits sounds. Every call writes one file into the output folder of this server and returns its name, with
which edit_sound takes it again. Describe sounds in English. A call may take a minute.
"""
# Of a file in an answer, as base64: the SDK's clients take messages of up to 1 MiB. A longer sound is only named.
MAX_CONTENT_BYTES = 700_000
MAX_LISTED = 200  # sounds in one answer; a client asks for the next ones
ERRORS = (*MISTAKES, CallFailed)

logger = logging.getLogger(__name__)


def protocol_server(calls: Calls) -> Server:
    """The server, to be run over any transport."""
    answers = _Answers(calls)
    return Server(
        "ppaudioldm",
        version=__version__,
        title="ppaudioldm",
        instructions=INSTRUCTIONS,
        on_list_tools=answers.list_tools,
        on_call_tool=answers.call_tool,
        on_list_resources=answers.list_resources,
        on_read_resource=answers.read_resource,
    )


class _Answers:
    """What answers each request. The context is the SDK's of one request."""

    def __init__(self, calls: Calls) -> None:
        self._calls, self._tools = calls, all_tools()
        self._listed = [
            Tool(
                name=tool.name,
                title=tool.title,
                description=tool.description,
                input_schema=input_schema(tool, calls.voices),
                annotations=ToolAnnotations(
                    title=tool.title, read_only_hint=not tool.tasks, destructive_hint=False, open_world_hint=False
                ),
            )
            for tool in self._tools.values()
        ]

    async def list_tools(self, context: Any, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=self._listed)

    async def call_tool(self, context: Any, params: CallToolRequestParams) -> CallToolResult:
        tool = self._tools.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"unknown tool {quoted(params.name)}, choose from {', '.join(self._tools)}")
        if not tool.tasks:
            return _checkpoints(self._calls)
        try:
            answer = await self._calls.run(tool, params.arguments or {}, context.session.report_progress)
        except ERRORS as error:
            return _failed(message_of(error, self._calls.service))
        except Exception:
            logger.exception("a call of %s failed", tool.name)
            return _failed(SERVER_ERROR)
        return CallToolResult(content=_content(answer), structured_content=dict(answer.facts))

    async def list_resources(self, context: Any, params: PaginatedRequestParams | None) -> ListResourcesResult:
        cursor = (params.cursor if params else None) or "0"
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
            raise MCPError(INVALID_PARAMS, f"cursor is {quoted(cursor)}, allowed: that of an earlier answer")
        files, first = await _in_thread(self._calls.folder.files), int(cursor)
        last = first + MAX_LISTED
        return ListResourcesResult(
            resources=[Resource(**_resource(file)) for file in files[first:last]],
            next_cursor=str(last) if last < len(files) else None,
        )

    async def read_resource(self, context: Any, params: ReadResourceRequestParams) -> ReadResourceResult:
        folder = self._calls.folder
        try:
            content = await _in_thread(partial(folder.content, params.uri, MAX_CONTENT_BYTES))
        except ERRORS as error:
            raise MCPError(INVALID_PARAMS, message_of(error, self._calls.service)) from None
        media_type = SoundFile(params.uri, len(content), 0.0).media_type
        blob = BlobResourceContents(uri=params.uri, mime_type=media_type, blob=base64.b64encode(content).decode())
        return ReadResourceResult(contents=[blob])


def _content(answer: Answer) -> list[ContentBlock]:
    facts, file = answer.facts, answer.file
    line = (
        f"{file.name}: {facts['duration']:.2f} s, {facts['sample_rate'] / 1000:g} kHz, seed {facts['seed']},"
        f" {facts['checkpoint']} ({facts['licence']})"
    )
    text = "\n".join((line, *(f"Note: {note}" for note in answer.notes)))
    content: list[ContentBlock] = [TextContent(text=text), ResourceLink(**_resource(file))]
    if len(answer.content) <= MAX_CONTENT_BYTES:
        data = base64.b64encode(answer.content).decode()
        for_the_user = Annotations(audience=["user"])  # a language model cannot listen to it
        content.append(AudioContent(data=data, mime_type=file.media_type, annotations=for_the_user))
    return content


def _resource(file: SoundFile) -> dict[str, Any]:
    return {"uri": file.address, "name": file.name, "mime_type": file.media_type, "size": file.size_bytes}


def _checkpoints(calls: Calls) -> CallToolResult:
    found = {"checkpoints": calls.checkpoints()}
    text = TextContent(text=json.dumps(found, ensure_ascii=False))
    return CallToolResult(content=[text], structured_content=found)


def _failed(line: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=line)], is_error=True)


async def _in_thread(function: Any) -> Any:
    return await anyio.to_thread.run_sync(function)
