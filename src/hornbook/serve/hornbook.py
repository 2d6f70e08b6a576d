"""hornbook's own endpoints: scores, what is inside a model, runs and comparisons; health, metrics."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from hornbook.serve import card, inside, watching
from hornbook.serve.errors import Json, refused
from hornbook.serve.prompts import encode_with_end
from hornbook.serve.schemas import (
    CompareRequest,
    DetokenizeRequest,
    EmbeddingsRequest,
    EncodeRequest,
    ScoreRequest,
    TextRequest,
    TokenizeRequest,
    TreeRequest,
)
from hornbook.serve.service import Service
from hornbook.tokenizers.base import NULL


def router(service: Service) -> APIRouter:
    """The endpoints."""
    routes = APIRouter()
    _add_models(routes, service)
    _add_runs(routes, service)
    _add_tokenizer(routes, service)
    _add_state(routes, service)
    return routes


def _add_models(routes: APIRouter, service: Service) -> None:
    @routes.post("/v1/score")
    async def score(request: ScoreRequest) -> Response:
        """How surprising a run finds texts, token by token."""
        name, run = await service.run(request.model)
        texts = [request.input] if isinstance(request.input, str) else request.input
        found = await service.tasks.run(
            inside.scores, run, texts, request.alternatives, request.unknown, service.limits
        )
        return Json({"object": "list", "model": name, "data": found})

    @routes.post("/hornbook/attention")
    async def attention(request: TextRequest) -> Response:
        """What each token of a text attends to, in every layer and head."""
        name, run = await service.run(request.model)
        found = await service.tasks.run(inside.attention, run, request.text, request.unknown)
        return Json({"model": name, **found})

    @routes.post("/hornbook/tree")
    async def tree(request: TreeRequest) -> Response:
        """The most probable continuations of a prompt."""
        name, run = await service.run(request.model)
        root = await service.tasks.run(
            inside.tree, run, request.prompt, request.leaves, request.depth, request.unknown,
            service.limits,
        )  # fmt: skip
        return Json({"model": name, "root": root})

    @routes.post("/hornbook/embeddings")
    async def embeddings(request: EmbeddingsRequest) -> Response:
        """The embeddings of tokens, in two dimensions."""
        name, run = await service.run(request.model)
        found = await service.slow.run(inside.embeddings, run, request.most)
        return Json({"model": name, **found})

    @routes.post("/hornbook/encode")
    async def encode(request: EncodeRequest) -> Response:
        """The ids of a text, and the characters that the model does not know, which are left out."""
        _, run = await service.run(request.model)
        return Json(await service.tasks.run(card.encode, run, request.text))

    @routes.get("/hornbook/models/{name:path}")
    async def model(name: str) -> Response:
        """What a model is: its vocabulary, sizes, figures and text."""
        _, run = await service.run(name)
        return Json({"model": name, **await service.slow.run(card.describe, run)})


def _add_runs(routes: APIRouter, service: Service) -> None:
    async def path_of(name: str) -> Path:
        service.check_open()
        return (await service.tasks.run(service.shelf.summary, name)).path

    @routes.get("/hornbook/runs")
    async def runs() -> Response:
        """All runs, with their figures and standard errors."""
        service.check_open()
        listing = await service.tasks.run(service.shelf.refresh)
        return Json({"runs": [watching.row(run) for run in listing.runs.values()]})

    @routes.get("/hornbook/runs/{name:path}/log")
    async def log(name: str) -> Response:
        """The training log of a run."""
        return Json(await service.tasks.run(watching.log, await path_of(name)))

    @routes.get("/hornbook/runs/{name:path}/log/events")
    async def events(name: str, last_event_id: Annotated[str | None, Header()] = None) -> Response:
        """The training log of a run as server-sent events, until its training ends."""
        path, last = await path_of(name), last_event_id or "0"
        if not (last.isascii() and last.isdigit() and len(last) < 16):
            raise refused("Last-Event-ID", "expected the id of an event of this stream")

        async def sent() -> AsyncIterator[str]:
            written = time.monotonic()
            async for event in watching.follow(path, int(last)):
                if service.stopping:
                    return
                if event is not None:
                    yield event
                elif time.monotonic() - written > watching.QUIET:
                    yield ": waiting\n\n"
                else:
                    continue
                written = time.monotonic()

        return StreamingResponse(sent(), media_type="text/event-stream")

    @routes.get("/hornbook/runs/{name:path}/samples")
    async def samples(name: str) -> Response:
        """Samples of a run's report and of its newest weights."""
        await path_of(name)
        _, run = await service.run(name)
        return Json(await service.tasks.run(watching.samples, run))

    @routes.get("/hornbook/runs/{name:path}/baselines")
    async def baselines(name: str) -> Response:
        """What the losses of a run are compared with; counts of a run in training are made now."""
        return Json(await service.slow.run(watching.baselines, await path_of(name)))

    @routes.get("/hornbook/runs/{name:path}")
    async def run(name: str) -> Response:
        """A run's sizes, settings, figures and baselines."""
        return Json(await service.tasks.run(watching.details, name, await path_of(name)))

    @routes.post("/hornbook/compare")
    async def compare(request: CompareRequest) -> Response:
        """Compares runs on their validation text: figures, and what they say in a sentence."""
        paths = [await path_of(name) for name in request.runs]
        return Json(await service.slow.run(_compare, paths))


def _compare(paths: list[Path]) -> dict[str, Any]:
    from hornbook.api import compare

    found = compare(paths).to_json()
    for result in found["standings"]:
        result.pop("path")
    return found


def _add_tokenizer(routes: APIRouter, service: Service) -> None:
    """The form of vLLM, which evaluation harnesses read."""

    @routes.get("/tokenizer_info")
    async def tokenizer_info() -> Response:
        """How `/tokenize` reads the special tokens of the only run that is served."""
        _, run = await service.run(None)
        end = NULL if run.tokenizer.end_id is not None else None
        return Json({"tokenizer_class": "hornbook", "bos_token": end, "eos_token": end})

    @routes.post("/tokenize")
    async def tokenize(request: TokenizeRequest) -> Response:
        """The ids of a text; a null character in it is the end of a document."""
        _, run = await service.run(request.model)
        ids = encode_with_end(run.tokenizer, request.prompt)
        return Json({"count": len(ids), "max_model_len": run.model.context_length, "tokens": ids})

    @routes.post("/detokenize")
    async def detokenize(request: DetokenizeRequest) -> Response:
        """The text of ids."""
        _, run = await service.run(request.model)
        if max(request.tokens, default=0) >= run.tokenizer.vocab_size:
            raise refused("tokens", f"expected ids below {run.tokenizer.vocab_size}")
        return Json({"prompt": run.tokenizer.decode(request.tokens)})


def _add_state(routes: APIRouter, service: Service) -> None:
    @routes.get("/health")
    async def health() -> Response:
        """Whether the server takes requests."""
        service.check_open()
        return Json({"status": "ok"})

    @routes.get("/metrics")
    async def metrics() -> Response:
        """Counters in Prometheus' text format."""
        return PlainTextResponse(prometheus(service), media_type="text/plain; version=0.0.4")


def prometheus(service: Service) -> str:
    """What the server did and does, in Prometheus' text format."""
    engine, counters = service.engine, service.engine.counters
    figures = (
        ("requests_total", "counter", "generation requests accepted", counters.requests),
        ("requests_refused_total", "counter", "requests refused as the queue was full",
         counters.refused),
        ("prompt_tokens_total", "counter", "tokens of prompts", counters.prompt_tokens),
        ("generated_tokens_total", "counter", "tokens generated", counters.generated),
        ("steps_total", "counter", "steps in each of which every continuation got a token",
         counters.ticks),
        ("running", "gauge", "continuations being generated", engine.running),
        ("waiting", "gauge", "continuations in the queue", engine.queued),
        ("tasks", "gauge", "other requests that run or wait",
         service.tasks.pending + service.slow.pending),
        ("uptime_seconds", "gauge", "since the server began", round(time.time() - service.began, 3)),
    )  # fmt: skip
    lines = []
    for name, kind, about, value in figures:
        name = f"hornbook_{name}"
        lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}", f"{name} {value}"]
    return "\n".join(lines) + "\n"
