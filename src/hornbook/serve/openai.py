"""OpenAI's endpoints: models, completions and chat completions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive

from hornbook.run import Run
from hornbook.runs.listing import RunSummary
from hornbook.serve.choice import Choice, Logprob, Piece
from hornbook.serve.direct import Endpoint
from hornbook.serve.errors import Json, refused
from hornbook.serve.generation import (
    ClientGoneError,
    EventStream,
    as_choices,
    as_options,
    check_choices,
    finished,
    mean_logprob,
    prompt_logprobs,
    start,
)
from hornbook.serve.job import Job
from hornbook.serve.prompts import Beginning, as_prompts, chat_prompt
from hornbook.serve.responses import ChatFormat, CompletionFormat, envelope, usage
from hornbook.serve.schemas import ChatRequest, CompletionRequest, Generation
from hornbook.serve.service import Service
from hornbook.serve.shelf import UnknownModelError

CLIENT_GONE = 499  # nobody reads it


def router(service: Service) -> APIRouter:
    """The endpoints."""
    routes = APIRouter()

    @routes.get("/v1/models")
    async def models() -> Response:
        """The runs that are served."""
        listing = await service.tasks.run(service.shelf.refresh)
        data = [_model(listing.runs[name]) for name in listing.weights]
        return Json({"object": "list", "data": data})

    @routes.get("/v1/models/{name:path}")
    async def model(name: str) -> Response:
        """One run."""
        listing = await service.tasks.run(service.shelf.refresh)
        if name not in listing.weights:
            raise UnknownModelError(f"model: found no run {name!r}")
        return Json(_model(listing.runs[name]))

    @routes.post("/v1/completions")
    async def completions(request: CompletionRequest, http: Request) -> Response:
        """Continues prompts."""
        return await complete(service, request, http.receive)

    @routes.post("/v1/chat/completions")
    async def chat(request: ChatRequest, http: Request) -> Response:
        """Continues a conversation."""
        return await converse(service, request, http.receive)

    return routes


def endpoints(service: Service) -> dict[str, tuple[type[Generation], Endpoint]]:
    """Those that generate, without FastAPI (`direct.py`)."""
    return {
        "/v1/completions": (CompletionRequest, partial(complete, service)),
        "/v1/chat/completions": (ChatRequest, partial(converse, service)),
    }


def _model(run: RunSummary) -> dict[str, Any]:
    created = int(datetime.fromisoformat(run.created).timestamp())
    return {"id": run.name, "object": "model", "created": created, "owned_by": "hornbook"}


async def complete(service: Service, request: CompletionRequest, receive: Receive) -> Response:
    """`POST /v1/completions`."""
    name, run = await service.run(request.model)
    limits, n = service.limits, request.n or 1
    if request.suffix:
        raise refused("suffix", "these models read from left to right; leave suffix out")
    best_of = request.best_of or n
    if best_of < n:
        raise refused("best_of", f"found {best_of}, expected at least n ({n})")
    if best_of > n and request.stream:
        raise refused("best_of", "found it with stream, expected one of them")
    asked = request.logprobs
    recorded = 0 if asked is None and best_of > n else asked
    options = as_options(request, run, limits, max_tokens=request.max_tokens, alternatives=recorded)
    whole = run.template is not None
    prompts = as_prompts(
        request.prompt, run.tokenizer, request.unknown, limits,
        whole=whole, typed=bool(request.typed),
    )  # fmt: skip
    check_choices(len(prompts), best_of, limits)
    stream = bool(request.stream)
    choices = as_choices(prompts, run, options, request.seed, best_of, stream=stream)
    read = []
    if request.echo:
        read = await _echoes(service, run, prompts, asked, continued=options.max_tokens > 0)
    head = envelope("cmpl", "text_completion", name)
    begun = [Beginning([]) if read else prompt for prompt in prompts for _ in range(n)]
    form = CompletionFormat(
        run.tokenizer,
        logprobs=asked is not None,
        begun=begun,
        ids=bool(request.return_tokens_as_token_ids),
    )

    def echoed(index: int) -> tuple[str, list[Logprob]]:
        return read[index // best_of] if read else ("", [])

    if stream:
        job = _started(service, run, choices, options.max_tokens, stream=True)

        def first() -> list[dict[str, Any]]:
            found = []
            for choice in choices if read else []:
                text, entries = echoed(choice.index)
                found.append(form.choice(choice.index, text, entries, None))
            if not options.max_tokens:
                found += [form.choice(choice.index, "", [], "length") for choice in choices]
            return found

        return _stream(request, job, head, first, form.chunk, lambda: usage(prompts, choices))
    job = _started(service, run, choices, options.max_tokens, stream=False)
    try:
        await finished(receive, job)
    except ClientGoneError:
        return Response(status_code=CLIENT_GONE)
    found: list[dict[str, Any]] = []
    for i in range(len(prompts)):
        own = choices[i * best_of : (i + 1) * best_of]
        if best_of > n:
            own = sorted(own, key=mean_logprob, reverse=True)[:n]
        for choice in own:
            text, entries = echoed(choice.index)
            shown = [*entries, *choice.shown] if asked is not None else []
            found.append(
                form.choice(len(found), text + choice.text, shown, choice.finish or "length")
            )
    return Json({**head, "choices": found, "usage": usage(prompts, choices)})


async def _echoes(
    service: Service, run: Run, prompts: list[Beginning], asked: int | None, *, continued: bool
) -> list[tuple[str, list[Logprob]]]:
    """The texts of prompts, with the log probabilities of their tokens if these are asked for; not of
    those whose place the first token of a continuation takes."""
    found = []
    for prompt in prompts:
        entries = [] if asked is None else await prompt_logprobs(service, run, prompt.ids, asked)
        if continued:
            entries = entries[: len(entries) - prompt.taken]
        found.append((run.tokenizer.decode(prompt.ids), entries))
    return found


async def converse(service: Service, request: ChatRequest, receive: Receive) -> Response:
    """`POST /v1/chat/completions`."""
    name, run = await service.run(request.model)
    limits, n = service.limits, request.n or 1
    if request.top_logprobs and not request.logprobs:
        raise refused("top_logprobs", "found it without logprobs, expected logprobs: true")
    alternatives = (request.top_logprobs or 0) if request.logprobs else None
    tokens = request.max_completion_tokens or request.max_tokens
    template = run.template
    options = as_options(request, run, limits, max_tokens=tokens, alternatives=alternatives)
    if template is not None:
        stops = (*options.stop, *template.stops)
        options = replace(options, stop=stops, ending=template.ending)
    text = chat_prompt(request.messages, documents=run.documents, template=template)
    whole = template is not None
    prompts = as_prompts(text, run.tokenizer, request.unknown, limits, whole=whole)
    check_choices(1, n, limits)
    stream = bool(request.stream)
    choices = as_choices(prompts, run, options, request.seed, n, stream=stream)
    job = start(service, run, choices, stream=stream)
    form = ChatFormat(run.tokenizer, logprobs=bool(request.logprobs))
    if stream:
        head = envelope("chatcmpl", "chat.completion.chunk", name)
        return _stream(
            request, job, head, lambda: [form.first(choice.index) for choice in choices],
            form.chunk, lambda: usage(prompts, choices),
        )  # fmt: skip
    try:
        await finished(receive, job)
    except ClientGoneError:
        return Response(status_code=CLIENT_GONE)
    head = envelope("chatcmpl", "chat.completion", name)
    return Json(
        {**head, "choices": [form.choice(c) for c in choices], "usage": usage(prompts, choices)}
    )


def _started(
    service: Service, run: Run, choices: list[Choice], max_tokens: int, *, stream: bool
) -> Job:
    """The job of continuations, which has none where no token is to be generated."""
    if max_tokens:
        return start(service, run, choices, stream=stream)
    return Job(run.model, run.config.generation.window, [], stream=stream)


def _stream(
    request: Generation,
    job: Job,
    head: dict[str, Any],
    first: Callable[[], list[dict[str, Any]]],
    chunk: Callable[[Piece], dict[str, Any]],
    used: Callable[[], dict[str, int]],
) -> Response:
    """A stream of chunks with one choice each, and the usage at the end if it was asked for."""
    counts = bool(request.stream_options and request.stream_options.include_usage)
    if counts:
        head = {**head, "usage": None}
    begun = False

    def chunks(pieces: list[Piece]) -> list[object]:
        nonlocal begun
        found = [] if begun else first()
        begun = True
        found += [chunk(piece) for piece in pieces]
        return [{**head, "choices": [choice]} for choice in found]

    def last() -> list[object]:
        return [{**head, "choices": [], "usage": used()}] if counts else []

    return EventStream(job, chunks, last)
