"""`hornbook serve RUN [RUN ...]`."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hornbook.cli.common import Parser, note
from hornbook.errors import ConfigError, counted

if TYPE_CHECKING:
    from socket import socket

    from hornbook.serve.limits import Limits
    from hornbook.serve.shelf import Shelf

LOOPBACK = ("127.0.0.1", "localhost", "::1")
KEY = "HORNBOOK_API_KEY"
SMALL = 10**7  # parameters up to which one thread is about as fast as two
INSTALL = (
    "serve: needs FastAPI and uvicorn, which are not installed; install them with "
    "pip install 'hornbook[serve]'"
)


def run(arguments: list[str]) -> int:
    """Serves runs until it is interrupted or terminated."""
    parser = Parser("serve")
    add = parser.add_argument
    add("paths", nargs="+", metavar="RUN", help="run directories, or directories of runs")
    add(
        "--host",
        metavar="NAME",
        default="127.0.0.1",
        help="address to listen at (default: this machine alone, 127.0.0.1)",
    )
    add(
        "--port",
        type=int,
        metavar="N",
        default=8000,
        help="port, 0 for any that is free (default: 8000)",
    )
    add(
        "--api-key",
        metavar="KEY",
        help=f"require this key of each request (default: ${KEY}); needed with another --host",
    )
    add(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a further name that requests may address the server by (repeatable)",
    )
    add(
        "--allow-origin",
        metavar="ORIGIN",
        action="append",
        default=[],
        help="let pages of this origin use the server, such as http://localhost:3000 (repeatable)",
    )
    add(
        "--rows",
        type=int,
        metavar="N",
        default=64,
        help="texts generated side by side (default: 64)",
    )
    add(
        "--queue",
        type=int,
        metavar="N",
        default=256,
        help="texts that may wait for a place; more are answered 429 (default: 256)",
    )
    add(
        "--max-tokens",
        type=int,
        metavar="N",
        default=4096,
        help="longest text of one request, in tokens (default: 4096)",
    )
    add(
        "--seconds",
        type=float,
        metavar="X",
        default=120.0,
        help="time limit of a request (default: 120)",
    )
    add(
        "--threads",
        type=int,
        metavar="N",
        help="CPU threads of torch (default: 1 for small models)",
    )
    add("--open", action="store_true", help="open the page in a browser")
    args = parser.parse_args(arguments)
    key = os.environ.get(KEY) or None if args.api_key is None else args.api_key
    check(args, key)
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ConfigError(INSTALL) from error

    from hornbook.serve.limits import Limits
    from hornbook.serve.server import bind
    from hornbook.serve.shelf import Shelf

    limits = Limits(rows=args.rows, queue=args.queue, tokens=args.max_tokens, seconds=args.seconds)
    shelf = Shelf(args.paths, limits.models)
    with bind(args.host, args.port) as listening:
        _serve(args, key, limits, shelf, listening)
    return 0


def check(args: argparse.Namespace, key: str | None) -> None:
    """Raises ConfigError for options that do not fit."""
    if args.host not in LOOPBACK and key is None:
        raise ConfigError(
            f"api-key: found none, expected one with --host {args.host}, since other machines can "
            f"reach the server; give --api-key KEY, or set {KEY}"
        )
    if key is not None and not (key and key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError("api-key: expected ASCII characters without spaces, at least one")
    for name in args.allow_host:  # else it would be compared with every Host and never found
        if urlsplit(f"//{name}").hostname != name.lower():
            raise ConfigError(
                f"allow-host: found {name!r}, expected a name without a port, such as box.example"
            )
    for origin in args.allow_origin:
        scheme, name, *_ = urlsplit(origin)
        if origin != "*" and not (scheme and name and origin == f"{scheme}://{name}".lower()):
            raise ConfigError(
                f"allow-origin: found {origin!r}, expected an origin as a browser writes it, such as "
                "http://localhost:3000 (scheme, name, port, in lower case; no path), or *"
            )
    if not 0 <= args.port < 1 << 16:
        raise ConfigError(f"port: found {args.port}, expected 0 to 65535")
    for name, least in (("rows", 1), ("queue", 1), ("max_tokens", 1), ("seconds", 0.1)):
        if not getattr(args, name) >= least:
            option = name.replace("_", "-")
            raise ConfigError(f"{option}: found {getattr(args, name)}, expected at least {least}")
    if args.threads is not None and args.threads < 1:
        raise ConfigError(f"threads: found {args.threads}, expected at least 1")


def _serve(
    args: argparse.Namespace, key: str | None, limits: Limits, shelf: Shelf, listening: socket
) -> None:
    """Loads the first run, says where the server is, and serves until a signal."""
    import torch

    from hornbook.serve.app import create_app
    from hornbook.serve.guard import Access
    from hornbook.serve.server import build_server
    from hornbook.serve.server import run as run_server
    from hornbook.serve.service import Service

    names = shelf.names
    largest = 0
    if len(names) == 1:
        largest = shelf.load(names[0]).model.n_parameters
    if args.threads is not None or largest < SMALL:
        torch.set_num_threads(args.threads or 1)
    service = Service(shelf, limits)
    service.warm_up()

    def stop() -> None:
        service.stopping = True

    hosts = [name.lower() for name in (args.host, *args.allow_host)]
    access = Access(
        key=key, hosts=hosts, origins=args.allow_origin,
        any_address=args.host not in LOOPBACK,
    )  # fmt: skip
    server = build_server(create_app(service, access), limits, stop)
    host, port = listening.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    what = shown or "no runs yet"
    print(f"serving {what} at {address}/v1", flush=True)
    note("Ctrl-C ends it after what runs; a second one at once")
    if args.open:
        import webbrowser

        webbrowser.open(address)
    run_server(server, listening)
    note(f"served {counted(service.engine.counters.requests, 'generation request')}")
