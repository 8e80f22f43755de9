"""How the server listens."""

from __future__ import annotations

import asyncio
import socket

import pytest

from ppaudioldm.serving.run import _bound


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_are_sent_at_once(host):
    """Without TCP_NODELAY the second piece of an answer waits until the client confirms the first, after 40 ms."""

    async def no_delay() -> int:
        loop = asyncio.get_running_loop()
        found = loop.create_future()

        class Accepted(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                connection = transport.get_extra_info("socket")
                found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        with _bound(host, 0) as listening:
            server = await loop.create_server(Accepted, sock=listening)
            with socket.create_connection(listening.getsockname()[:2]):
                answer = await found
            server.close()
            return answer

    try:
        assert asyncio.run(no_delay()) != 0
    except OSError as error:
        if host == "::1":
            pytest.skip(f"no IPv6 here: {error}")
        raise
