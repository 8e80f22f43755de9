"""Refuses requests that web pages of other sites send, and those for a host name that is not the server's.

A browser sends requests for any page that is open in it, also to a server that only its own machine reaches. Such a
page cannot forge the headers `Host`, `Origin` and `Sec-Fetch-Site`. With DNS rebinding, where the name of the other
site suddenly resolves to this server's address, its pages are of the same origin as the server, but `Host` is foreign.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from ppaudioldm.serving.request_gate import App, Receive, Send, send_error
from ppaudioldm.serving.settings import Settings

ANY_HOST = "*"
OWN_SITE = ("same-origin", "none")  # values of Sec-Fetch-Site: a page of this server, or the user's own doing
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/?#@\s]+)(:[0-9]*)?", re.IGNORECASE)


class SiteGuard:
    """ASGI middleware for `app`, of a server with these settings."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._hosts = allowed_hosts(settings)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (problem := self.problem(scope["method"], scope["headers"])):
            await send_error(send, 403, problem)
            return
        await self._app(scope, receive, send)

    def problem(self, method: str, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Why a request with these headers is refused; None if it is not."""
        found: dict[str, list[str]] = {}
        for key, value in headers:
            found.setdefault(key.decode("latin-1").lower(), []).append(value.decode("latin-1").strip())
        hosts = found.get("host", [])
        name = host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None:
            return "the request has no valid header Host"
        if not is_allowed_host(name, self._hosts):
            return (
                f"the host {name[:100]!r} is not one of this server: start it with --allowed-hosts {name[:100]}, "
                "or ask it by its address"
            )
        single = {key: values[0] for key, values in found.items() if len(values) == 1}
        if any(len(found.get(key, ())) > 1 for key in ("origin", "sec-fetch-site")) or self._is_foreign(
            method, hosts[0], single
        ):
            return "the request comes from a page of another site"
        return None

    def _is_foreign(self, method: str, host: str, headers: Mapping[str, str]) -> bool:
        origin = headers.get("origin")
        if origin is not None and not self._is_own(origin, host):
            return True
        site = headers.get("sec-fetch-site")
        if site is None or site in OWN_SITE:
            return False
        # A link on another site, that a user follows, may show what this server has; it changes nothing.
        follows_link = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
        return not (follows_link and method in ("GET", "HEAD") and origin is None)

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether `origin` is this server: as `host` says, or by a name that the settings allow, behind a proxy."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or parts.path or parts.query:
            return False
        if parts.netloc.lower() == host.lower():
            return True
        name = host_name(parts.netloc)
        return name is not None and _matches(name, [allowed for allowed in self._hosts if allowed != ANY_HOST])


def allowed_hosts(settings: Settings) -> tuple[str, ...]:
    """The names of a server besides addresses, localhost and the machine's own: those that the settings allow.

    A server with keys has any name by default: no other page can know the key, and its page's cookie stays with a name.
    """
    return settings.allowed_hosts or ((ANY_HOST,) if settings.api_keys else ())


def host_name(header: str) -> str | None:
    """The host in a header `Host`, without its port, in small letters; None for what is none."""
    match = HOST.fullmatch(header)
    return match[1].lower().rstrip(".") or None if match else None


def is_allowed_host(name: str, allowed: Iterable[str]) -> bool:
    """Whether the host `name` is an address, localhost, this machine's name, or one of `allowed`."""
    # No other site can take an address for its name. A browser never asks for localhost elsewhere than on its machine.
    return _is_address(name) or _matches(name, ("localhost", "*.localhost", *_own_names(), *allowed))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(
        pattern in (ANY_HOST, name) or (pattern.startswith("*.") and name.endswith(pattern[1:])) for pattern in patterns
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _own_names() -> tuple[str, str]:
    own = socket.gethostname().lower().rstrip(".")
    return own, f"{own}.local"
