"""`translator serve MODEL`: an HTTP server with LibreTranslate's API and a page to translate with."""

from __future__ import annotations

import argparse
import sys

from translator.cli.options import (
    OptionError,
    add_engine,
    add_model,
    add_search,
    add_terms,
    decoding_changes,
    load_translator,
)
from translator.config import change_decoding, load_config

_EXTRA = {"fastapi", "fastapi_offline", "httptools", "prometheus_client", "py3langid", "starlette", "uvicorn"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.description = "Serve LibreTranslate's API, an OpenAPI page at /docs and a page to translate with at /."
    add_model(parser)
    add_engine(parser)
    add_terms(parser)
    group = parser.add_argument_group("server")
    group.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default: %(default)s)"
    )
    group.add_argument(
        "--port", type=int, default=5000, metavar="N", help="port; 0 is any that is free (default: %(default)s)"
    )
    group.add_argument(
        "--max-request-bytes",
        type=int,
        default=500_000,
        metavar="N",
        help="maximum size of a request; larger ones receive status 413 (default: %(default)s)",
    )
    group.add_argument(
        "--max-waiting",
        type=int,
        default=1_000_000,
        metavar="N",
        help="maximum number of characters in the queue; further requests receive status 429 (default: %(default)s)",
    )
    group.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="maximum time to receive and to translate a request; and to finish requests when the server is stopped "
        "(default: %(default)g)",
    )
    add_search(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until the process is stopped."""
    if arguments.max_request_bytes < 1 or arguments.max_waiting < 1 or not 0 < arguments.timeout < float("inf"):
        raise OptionError(
            "--max-request-bytes, --max-waiting and --timeout must be above 0 and finite. "
            f"Received: {arguments.max_request_bytes}, {arguments.max_waiting} and {arguments.timeout:g}."
        )
    try:
        from translator.serving.app import create_app
        from translator.serving.server import address, listen, serve
        from translator.serving.service import Limits
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        raise OptionError(
            f"translator serve requires {package}, which is not installed. Run `pip install 'translator[serve]'`."
        ) from error
    with listen(arguments.host, arguments.port) as sock:
        translator = load_translator(arguments)
        translator.decoding = change_decoding(translator.decoding, decoding_changes(arguments))
        source, target = _languages(arguments.model)
        limits = Limits(arguments.max_request_bytes, arguments.max_waiting, arguments.timeout)
        app = create_app(translator, source, target, limits)
        print(f"Serving {source} to {target} at {address(sock)}", file=sys.stderr, flush=True)
        serve(app, sock, arguments.timeout)
    return 0


def _languages(model: str) -> tuple[str, str]:
    """Return the codes of source and target language of a translation model."""
    from translator.checkpoint import CONFIG_FILE, locate_weights
    from translator.checkpoint.location import find_model, is_exported

    path = find_model(model)
    home = path if is_exported(path) else locate_weights(path)[0]
    data = load_config(home / CONFIG_FILE).data
    assert data.source_language is not None and data.target_language is not None
    return data.source_language, data.target_language
