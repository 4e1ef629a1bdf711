"""Reading of request bodies within limits of size and time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from translator.errors import shorten
from translator.serving.errors import ServingError

Body = TypeVar("Body", bound=BaseModel)

_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"
_MAX_DISCARDED = 64_000_000  # bytes read of a body that is too large, so that the client receives the response


def describe_body(model: type[BaseModel], values: Mapping[str, Sequence[str]] | None = None) -> dict[str, Any]:
    """Return the OpenAPI description of a request body that `read_body` reads.

    Args:
        model: type of the body.
        values: for fields of strings, the values that are accepted.
    """
    schema = model.model_json_schema()
    for name, accepted in (values or {}).items():
        schema["properties"][name]["enum"] = list(accepted)
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": schema}, _FORM: {"schema": schema}}}}


async def read_body(request: Request, model: type[Body], max_bytes: int, timeout: float) -> Body:
    """Return a JSON or form body as a validated object.

    Args:
        request: the request.
        model: type of the result.
        max_bytes: maximum size of the body.
        timeout: maximum time to receive it, in seconds.

    Raises:
        ServingError: if the body is too large, slow, incomplete, of another type, or not valid.
    """
    content_type = request.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    try:
        async with asyncio.timeout(timeout):
            data = await _read(request, max_bytes)
    except TimeoutError:
        raise ServingError(f"The request must arrive within {timeout:g} seconds.", status=408) from None
    except ClientDisconnect:
        raise ServingError("The connection ended before the request was complete.") from None
    if content_type not in (_JSON, _FORM):
        raise ServingError(
            f"Content-Type must be {_JSON} or {_FORM}. Received: {shorten(content_type, 80)}.", status=415
        )
    value = _parse_form(data) if content_type == _FORM else _parse_json(data)
    try:
        return model.model_validate(value, strict=content_type == _JSON)
    except ValidationError as error:
        raise ServingError(" ".join(dict.fromkeys(map(_describe, error.errors())))) from None


async def _read(request: Request, max_bytes: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= max_bytes:
            chunks.append(chunk)
        elif size > _MAX_DISCARDED:
            break
    if size > max_bytes:
        raise ServingError(f"A request must have at most {max_bytes:,} bytes. Send the text in parts.", status=413)
    return b"".join(chunks)


def _parse_json(data: bytes) -> Any:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ServingError(f"The body must be JSON. The parser says: {shorten(reason)}.") from None
    if not isinstance(value, dict):
        raise ServingError(f"The body must be a JSON object. Received: {type(value).__name__}.")
    return value


def _parse_form(data: bytes) -> dict[str, str | list[str]]:
    """Return the fields of a form; `q` is a list if it occurs several times."""
    values: dict[str, str | list[str]] = {}
    for name, text in parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True):
        if name == "q" and name in values:
            previous = values[name]
            values[name] = [*previous, text] if isinstance(previous, list) else [previous, text]
        else:
            values[name] = text
    return values


def _describe(problem: Any) -> str:
    """Return a problem that pydantic found as a sentence, without the value: it may be long."""
    place = str(problem["loc"][0]) if problem["loc"] else "body"
    return f"{shorten(place)}: {problem['msg']}."
