"""The HTTP application: LibreTranslate's paths, and those of the page."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from translator import __version__
from translator.errors import UserError
from translator.inference.translator import Translator
from translator.serving import metrics, schema
from translator.serving.batcher import Batcher
from translator.serving.body import describe_body, read_body
from translator.serving.errors import ServingError
from translator.serving.explain import attention_maps_page, explain, has_attention_maps
from translator.serving.metrics import Metrics
from translator.serving.service import Limits, Service, StreamedSentence, Translated

Result = TypeVar("Result")

_PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
_CLIENT_GONE = 499  # nginx's status for metrics; no response is sent
_SENTENCE = {
    "parameters": [
        {"name": "q", "in": "query", "required": True, "schema": {"type": "string"}, "description": "one sentence"}
    ]
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {"application/json": {"schema": schema.Error.model_json_schema()}},
    }
    for status, text in {
        400: "Invalid request",
        408: "The request arrived too slowly",
        413: "The request is too large",
        415: "The body is neither JSON nor a form",
        429: "Too many texts are waiting; see Retry-After",
        503: "The server is stopping",
        504: "The translation took too long",
    }.items()
}


def create_app(translator: Translator, source: str, target: str, limits: Limits | None = None) -> FastAPI:
    """Return the application. Its lifespan ends the thread that owns the translator.

    Args:
        translator: translator, which nothing else may use while the application runs.
        source: code of the source language.
        target: code of the target language.
        limits: limits of size and time.
    """
    limits = limits or Limits()
    counts = Metrics()
    batcher = Batcher(translator, limits.max_waiting, counts.observe_batch)
    counts.watch_queue(lambda: batcher.waiting)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with batcher:
            yield

    app = FastAPIOffline(
        redoc_url=None,
        title="Translator",
        version=__version__,
        description=f"Translation from {source} to {target}, with LibreTranslate's API.",
        lifespan=lifespan,
    )
    app.router.route_class = _PlainRoute
    app.state.batcher = batcher
    app.add_middleware(_Measure, counts=counts)
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _internal_error)
    service = Service(batcher, source, target, limits.timeout)
    _add_translation(app, service, limits)
    _add_information(app, service, counts)
    _add_page(app, service, limits, has_maps=has_attention_maps(translator))
    return app


def _add_translation(app: FastAPI, service: Service, limits: Limits) -> None:
    """Add the paths that translate and detect."""

    @app.post(
        "/translate",
        response_model=schema.TranslateResponse,
        responses=_REFUSALS,
        openapi_extra=describe_body(schema.TranslateRequest, service.codes),
    )
    async def translate(request: Request) -> Response:
        """Translate a text or a list of texts."""
        body = await read_body(request, schema.TranslateRequest, limits.max_request_bytes, limits.timeout)
        results = await _unless_gone(request, service.translate(body))
        return JSONResponse(_translate_response(body, results))

    @app.post(
        "/translate/stream",
        response_class=Response,
        responses={
            **_REFUSALS,
            200: {
                "description": "One JSON object per line and sentence: line, source, translatedText. "
                "If the translation fails, the last object has only `error`.",
                "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            },
        },
        openapi_extra=describe_body(schema.StreamRequest, service.codes),
    )
    async def stream(request: Request) -> Response:
        """Translate a text and return each sentence as soon as it is translated."""
        body = await read_body(request, schema.StreamRequest, limits.max_request_bytes, limits.timeout)
        return StreamingResponse(_json_lines(service.stream(body)), media_type="application/x-ndjson")

    @app.post(
        "/detect",
        response_model=list[schema.Detection],
        responses=_REFUSALS,
        openapi_extra=describe_body(schema.DetectRequest),
    )
    async def detect(request: Request) -> Response:
        """Return the more probable of the two languages of this server."""
        body = await read_body(request, schema.DetectRequest, limits.max_request_bytes, limits.timeout)
        return JSONResponse([(await service.detect(body.q)).model_dump()])


def _add_information(app: FastAPI, service: Service, counts: Metrics) -> None:
    """Add the paths that describe the server."""

    @app.get("/languages", response_model=list[schema.Language])
    async def languages(request: Request) -> Response:
        """Return the languages of this server."""
        return JSONResponse([language.model_dump() for language in service.languages])

    @app.get("/health", response_model=schema.Health)
    async def health(request: Request) -> Response:
        """Return status 200 if requests are served."""
        return JSONResponse(schema.Health(status="ok").model_dump())

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"description": "Prometheus's text format", "content": {metrics.CONTENT_TYPE: {}}}},
    )
    async def measurements(request: Request) -> Response:
        """Return counters and histograms."""
        return Response(counts.page(), media_type=metrics.CONTENT_TYPE)


def _add_page(app: FastAPI, service: Service, limits: Limits, *, has_maps: bool) -> None:
    """Add the page for people, and what it shows of one sentence."""
    page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    for name, value in (("SOURCE", service.source), ("TARGET", service.target), ("MAPS", has_maps)):
        page = page.replace(f"{{/*{name}*/}}", json.dumps(value))
    page_headers = {"Content-Security-Policy": _PAGE_POLICY, "Referrer-Policy": "no-referrer"}

    @app.get("/", response_class=HTMLResponse)
    async def index(request: Request) -> Response:
        """Return a page to translate with."""
        return HTMLResponse(page, headers=page_headers)

    @app.post(
        "/explain",
        response_model=schema.Explanation,
        responses=_REFUSALS,
        openapi_extra=describe_body(schema.ExplainRequest),
    )
    async def explanation(request: Request) -> Response:
        """Return the best translations of a sentence, and the attention between its words and those of the best."""
        body = await read_body(request, schema.ExplainRequest, limits.max_request_bytes, limits.timeout)
        found = service.call(lambda translator: explain(translator, body.q, body.alternatives, body.prefix))
        return JSONResponse((await _unless_gone(request, found)).model_dump())

    @app.get("/attention", response_class=HTMLResponse, responses=_REFUSALS, openapi_extra=_SENTENCE)
    async def attention(request: Request) -> Response:
        """Return a page with the attention maps of a sentence, in all layers and heads."""
        sentence = request.query_params.get("q", "")
        page = service.call(lambda translator: attention_maps_page(translator, sentence))
        return HTMLResponse(await _unless_gone(request, page), headers=page_headers)


def _translate_response(request: schema.TranslateRequest, results: list[Translated]) -> dict[str, Any]:
    """Return the response, with lists if the request has a list."""
    response: dict[str, Any] = {"translatedText": [result.texts[0] for result in results]}
    if request.source == "auto":
        response["detectedLanguage"] = [result.detected.model_dump() for result in results if result.detected]
    if request.alternatives:
        response["alternatives"] = [result.texts[1:] for result in results]
    return {name: values[0] for name, values in response.items()} if isinstance(request.q, str) else response


async def _json_lines(sentences: AsyncIterator[StreamedSentence]) -> AsyncIterator[str]:
    """Yield a JSON object per sentence, and one with the error if the translation fails."""
    try:
        async for found in sentences:
            yield _json_line({"line": found.line, "source": found.source, "translatedText": found.translation})
    except UserError as error:
        yield _json_line({"error": str(error)})


def _json_line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


async def _unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """Return the result of an awaitable; cancel it if the client disconnects first."""
    task = asyncio.current_task()
    assert task is not None
    watch = asyncio.create_task(_cancel_when_gone(request, task))
    try:
        return await work
    except asyncio.CancelledError:
        if not watch.done() or task.uncancel() > 0:
            raise  # cancelled by another, as when the server stops
        raise ServingError("The client is gone.", status=_CLIENT_GONE) from None
    finally:
        watch.cancel()


async def _cancel_when_gone(request: Request, task: asyncio.Task[Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel()


async def _user_error(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, ServingError) else 400
    seconds = error.retry_after if isinstance(error, ServingError) else None
    return _error(str(error), status, {} if seconds is None else {"Retry-After": str(seconds)})


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(f"{error.detail}.", error.status_code, dict(error.headers or {}))


async def _internal_error(request: Request, error: Exception) -> Response:
    return _error("Internal error. The server's log has the details.", 500, {})


def _error(text: str, status: int, headers: dict[str, str]) -> Response:
    return JSONResponse({"error": text}, status, headers)


class _PlainRoute(APIRoute):
    """A route whose endpoint takes the request and returns the response. FastAPI only describes it.

    Its own handler, which finds arguments and checks results, takes 0.1 ms per request.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the endpoint."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


class _Measure:
    """Middleware that counts responses and measures their time."""

    def __init__(self, app: ASGIApp, counts: Metrics) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def observe(message: Message) -> None:
            """Note the status of the response, and pass the message on."""
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._counts.observe_request(route, status, time.perf_counter() - start)
