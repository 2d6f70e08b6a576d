"""From a request of either form to continuations, and through the engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import numpy as np
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hornbook.data.part import Part
from hornbook.generate.sampling import Sampling, draw_key, make_generator
from hornbook.metrics.loss import likeliest_tokens
from hornbook.run import Run
from hornbook.serve.choice import Choice, Logprob, Options, Piece
from hornbook.serve.errors import ApiError, Json, as_api_error, refused
from hornbook.serve.job import Job
from hornbook.serve.limits import Limits
from hornbook.serve.prompts import Beginning
from hornbook.serve.schemas import Generation, Stop
from hornbook.serve.service import Service

DEFAULT_TOKENS = 500  # as `hornbook sample`


class ClientGoneError(Exception):
    """The client of a request went away."""


def as_options(
    request: Generation,
    run: Run,
    limits: Limits,
    *,
    max_tokens: int | None,
    alternatives: int | None,
) -> Options:
    """How a request's text is generated. Raises ApiError, ConfigError for values out of range."""
    tokens = min(DEFAULT_TOKENS, limits.tokens) if max_tokens is None else max_tokens
    if tokens > limits.tokens:
        raise refused("max_tokens", f"found {tokens}, expected at most {limits.tokens:,}")
    if alternatives is not None and alternatives > limits.alternatives:
        raise refused("logprobs", f"found {alternatives}, expected at most {limits.alternatives}")
    if request.stream_options is not None and not request.stream:
        raise refused("stream_options", "found it without stream, expected it with stream alone")
    top_k = request.top_k if request.top_k is not None and request.top_k > 0 else None
    temperature = 1.0 if request.temperature is None else request.temperature
    sampling = Sampling(
        temperature=temperature,
        top_k=None if top_k is None or top_k >= run.tokenizer.vocab_size else top_k,
        top_p=None if request.top_p in (None, 1.0) else request.top_p,
        min_p=request.min_p or None,
        draws=run.config.generation.sampling,
    )
    return Options(
        sampling=sampling,
        max_tokens=tokens,
        stop=_stops(request.stop, limits),
        bias=_bias(request, run),
        presence=request.presence_penalty or 0.0,
        frequency=request.frequency_penalty or 0.0,
        alternatives=alternatives,
        deadline=time.monotonic() + limits.seconds,
    )


def _stops(stop: Stop, limits: Limits) -> tuple[str, ...]:
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if len(stops) > limits.stops:
        raise refused("stop", f"found {len(stops)} texts, expected at most {limits.stops}")
    if any(not text for text in stops):
        raise refused("stop", "found an empty text, expected at least one character")
    return stops


def _bias(request: Generation, run: Run) -> dict[int, float]:
    size, found = run.tokenizer.vocab_size, {}
    for name, bias in (request.logit_bias or {}).items():
        if not (name.isascii() and name.isdigit() and len(name) < 10 and int(name) < size):
            raise refused("logit_bias", f"found {name!r}, expected a token id from 0 to {size - 1}")
        found[int(name)] = bias
    return found


def as_choices(
    prompts: list[Beginning], run: Run, options: Options, seed: int | None, n: int, *, stream: bool
) -> list[Choice]:
    """n continuations of each prompt, which draw what `hornbook sample -n N --seed SEED` draws."""
    choices: list[Choice] = []
    for prompt in prompts:
        # a negative seed is another one than its absolute value
        generator = make_generator(None if seed is None else seed % (1 << 63))
        keyed = options.sampling.draws == "keyed"
        key = draw_key(generator) if keyed else 0
        own = [
            Choice(
                len(choices) + i, prompt.ids, run.tokenizer, options, taken=prompt.taken,
                held=prompt.held, key=key, number=i, generator=None if keyed else generator,
                stream=stream,
            )
            for i in range(n)
        ]  # fmt: skip
        if not keyed:  # one after the other, from the same generator
            for before, after in pairwise(own):
                before.next = after
        choices += own
    return choices


def start(service: Service, run: Run, choices: list[Choice], *, stream: bool) -> Job:
    """Submits continuations to the engine. Raises QueueFullError, StoppedError."""
    model, window = run.model, run.config.generation.window
    job = Job(model, window, choices, stream=stream)
    service.engine.submit(job)
    return job


@asynccontextmanager
async def while_connected(receive: Receive, job: Job) -> AsyncIterator[None]:
    """Cancels a job when its client goes away, and when the block is left."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        job.cancel()
        job.error = ClientGoneError()
        job.wake()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        job.cancel()
        watcher.cancel()


async def finished(receive: Receive, job: Job) -> None:
    """Waits for all of a job. Raises ClientGoneError."""
    async with while_connected(receive, job):
        await job.news()


class EventStream(Response):
    """Server-sent events: what `chunks` makes of a job's pieces, errors in it, and `[DONE]`."""

    media_type = "text/event-stream"

    def __init__(
        self,
        job: Job,
        chunks: Callable[[list[Piece]], list[object]],
        last: Callable[[], list[object]],
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-cache"})
        del self.headers["content-length"]
        self.job, self.chunks, self.last = job, chunks, last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events as they come."""

        async def write(events: list[object]) -> None:
            body = b"".join(event_bytes(event) for event in events)
            await send({"type": "http.response.body", "body": body, "more_body": True})

        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        with suppress(ClientGoneError):
            async with while_connected(receive, self.job):
                try:
                    await write(self.chunks([]))
                    while pieces := await self.job.news():
                        await write(self.chunks(pieces))
                    await write(self.last())
                except ClientGoneError:
                    raise
                except Exception as error:
                    await write([as_api_error(error).body()])
                await write(["[DONE]"])
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def event_bytes(event: object) -> bytes:
    """One server-sent event."""
    data = event.encode() if isinstance(event, str) else Json(event).body
    return b"data: " + bytes(data) + b"\n\n"


async def prompt_logprobs(
    service: Service, run: Run, prompt: list[int], alternatives: int
) -> list[Logprob]:
    """The log probabilities of a prompt's tokens, as `hornbook score` has them; of the first none."""
    return await service.tasks.run(_prompt_logprobs, run, prompt, alternatives)


def _prompt_logprobs(run: Run, prompt: list[int], alternatives: int) -> list[Logprob]:
    found = [Logprob(prompt[0], None, ())]
    if len(prompt) < 2:
        return found
    ids = np.array(prompt)
    part = Part(ids, np.array([0, len(ids) - 1]), run.documents, run.tokenizer.count_bytes(ids[1:]))
    rows = zip(prompt[1:], *(x.tolist() for x in likeliest_tokens(run.model, part, alternatives)),
               strict=True)  # fmt: skip
    for token, nats, tokens, log_p in rows:
        pairs = tuple(zip(tokens, log_p, strict=True))
        # one value for the token wherever it is listed: clients ask whether it is the largest
        found.append(Logprob(token, dict(pairs).get(token, -nats), pairs))
    return found


def mean_logprob(choice: Choice) -> float:
    """The mean log probability of a continuation's tokens, by which the best of several is chosen."""
    values = [entry.logprob or 0.0 for entry in choice.logprobs]
    return sum(values) / max(1, len(values))


def check_choices(prompts: int, n: int, limits: Limits) -> None:
    """Raises ApiError for more continuations than one request may have."""
    if prompts * n > limits.choices:
        raise ApiError(
            400, f"n: found {prompts * n} continuations in all, expected at most {limits.choices}",
            param="n",
        )  # fmt: skip
