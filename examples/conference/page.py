"""The built page: files under names that change with what is in them, and one document for every room's link."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BUILT = Path(__file__).parent / "web" / "dist"

NOT_BUILT = (
    "The page has not been built yet: run `make serve` once in the clone (it needs the network for that), "
    "then start the node again. LiveKit's clients can join without it.\n"
)

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""The page speaks to the node and to nobody else. ``'self'`` stands for its websocket too (CSP level 3)."""

PERMISSIONS_POLICY = ", ".join(
    [f"{name}=(self)" for name in ("camera", "microphone", "display-capture", "speaker-selection", "fullscreen")]
    + [f"{name}=()" for name in ("geolocation", "payment", "usb", "serial", "hid", "midi")]
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": PERMISSIONS_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

DOCUMENT = "index.html"
FOR_EVER = "public, max-age=31536000, immutable"
ASK_FIRST = "no-cache"


class Page:
    """Answers with the page at ``/`` and at each room's link. Looks once at what has been built, when it is made."""

    def __init__(self, built: Path = BUILT) -> None:
        self._files = {file.relative_to(built).as_posix(): file for file in built.rglob("*") if file.is_file()}

    def routes(self) -> list[web.AbstractRouteDef]:
        """To be added to an application; ``/`` itself is the middleware's."""
        return [web.get("/r/{room}", self.document), web.get("/assets/{name}", self.asset)]

    @web.middleware
    async def front(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """``/`` is the page for those who read HTML; LiveKit's clients ask there whether the server is well."""
        if request.path != "/" or request.method not in ("GET", "HEAD"):
            return await handler(request)
        if "text/html" in request.headers.get("Accept", ""):
            return await self.document(request)
        response = await handler(request)
        response.headers["Vary"] = "Accept"
        return response

    async def document(self, request: web.Request) -> web.StreamResponse:
        """The page."""
        return self._file(DOCUMENT, ASK_FIRST, {"Vary": "Accept"})

    async def asset(self, request: web.Request) -> web.StreamResponse:
        """A script, a style or a picture: its name tells its content."""
        return self._file(f"assets/{request.match_info['name']}", FOR_EVER, {})

    def _file(self, name: str, caching: str, headers: dict[str, str]) -> web.StreamResponse:
        found = self._files.get(name)
        if found is not None:
            return web.FileResponse(found, headers={**HEADERS, **headers, "Cache-Control": caching})
        if name == DOCUMENT:
            return web.Response(status=503, text=NOT_BUILT)
        return web.Response(status=404, text="404 page not found\n")
