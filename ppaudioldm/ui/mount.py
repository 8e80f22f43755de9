"""Mounts the page on the server's FastAPI application, beside its other routes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse
from starlette.middleware import Middleware
from starlette.routing import Mount

from ppaudioldm.serving.library_versions import check_version
from ppaudioldm.serving.service import Service
from ppaudioldm.serving.voices import Voice, all_voices
from ppaudioldm.ui import files, texts
from ppaudioldm.ui.access import PageAccess, PageKeys, login_routes
from ppaudioldm.ui.first_script import FirstScript
from ppaudioldm.ui.gradio_routes import GradioRoutes
from ppaudioldm.ui.uploads import UploadRoom

HERE = Path(__file__).parent
PATH = "/ui"
MAX_UPLOADS = 8  # recordings of the largest size that the folder of uploads may hold


def with_page(app: FastAPI, service: Service, voices: Mapping[str, Voice] | None = None) -> FastAPI:
    """`app`, the application of `service`, with the page at PATH, to which "/" redirects.

    Recordings that browsers send are kept in the folder `uploads` beside the jobs, which is emptied now. Raises
    ValueError for another version of Gradio than this page is written for.
    """
    check_version("gradio")
    uploads = service.settings.folder / "uploads"
    shutil.rmtree(uploads, ignore_errors=True)
    uploads.mkdir(parents=True)
    # Gradio reads these when it is imported; by default it reports every page to its makers.
    os.environ["GRADIO_TEMP_DIR"] = str(uploads.resolve())
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio

    from ppaudioldm.ui.actions import Actions
    from ppaudioldm.ui.page import Page

    keys = PageKeys(service.settings.api_keys)

    @app.get("/", include_in_schema=False)
    async def front(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{request.scope.get('root_path', '')}{PATH}/")

    app.include_router(login_routes(keys), prefix=PATH)
    app.include_router(files.routes(service), prefix=PATH)
    limits = service.settings.limits
    room = UploadRoom(uploads, MAX_UPLOADS * limits.body_bytes)
    page = Page(Actions(service, uploads, room), all_voices() if voices is None else voices)
    gradio.mount_gradio_app(
        app,
        page.blocks,
        PATH,
        theme=theme(gradio.themes),
        head=head(),
        footer_links=[],
        max_file_size=limits.body_bytes,
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    mount = app.routes[-1]
    assert isinstance(mount, Mount)
    _close_with(app, service, mount.app)
    mount.app = GradioRoutes(mount.app, uploads)
    # Behind the server's own, which refuse other sites and large bodies first.
    access = Middleware(PageAccess, path=PATH, keys=keys, room=room, max_bytes=limits.body_bytes)
    app.user_middleware += [access, Middleware(FirstScript, path=PATH, html=texts.script())]
    return app


def head() -> str:
    """HTML of our style sheet, which Gradio would rewrite if it were passed as its css, and of the page's icon."""
    icon = base64.b64encode((HERE / "icon.svg").read_bytes()).decode()
    link = f'<link rel="icon" type="image/svg+xml" href="data:image/svg+xml;base64,{icon}">'
    return f"{link}<style>{(HERE / 'page.css').read_text('utf-8')}</style>"


def theme(themes: Any) -> Any:
    """Gradio's default theme with fonts that every browser has, and with more contrast."""
    default = themes.Default(
        primary_hue="teal", font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")
    )
    return default.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        input_placeholder_color="*neutral_500",
    )


def _close_with(app: FastAPI, service: Service, page: Any) -> None:
    """End the event streams of open pages when the service begins to stop; it would wait for them otherwise."""
    lifespan = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def watched(app: FastAPI) -> AsyncIterator[Any]:
        loop = asyncio.get_running_loop()

        def close() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(page.stop_event.set)

        end = service.hooks.close.add(close)
        try:
            async with lifespan(app) as state:
                yield state
        finally:
            end()

    app.router.lifespan_context = watched
