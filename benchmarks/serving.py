"""Load on `hornbook serve`: many clients at once against one after the other, hang-ups, memory.

    python benchmarks/serving.py RUN [--seconds 60] [--clients 64] [--requests 10000]

One client and many take turns. Each request asks for one short text with a seed, and its answer is
compared with `Run.sample`. Every eighth is streamed: the time to its first piece is measured. Prints a
table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import hornbook

PROMPTS = ("", "a", "ma", "jo", "el", "kat", "chr", "s")
TURNS = 4


@dataclass
class Result:
    """What clients measured together."""

    tokens: int = 0
    requests: int = 0
    errors: int = 0
    different: int = 0
    seconds: float = 0.0
    first: list[float] = field(default_factory=list)

    def add(self, other: Result) -> None:
        for name in ("tokens", "requests", "errors", "different", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.first += other.first


class Client:
    """A connection that is kept open."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, body: dict[str, Any], path: str = "/v1/completions") -> int:
        """Sends a request; returns the status after the headers of its answer."""
        raw = json.dumps(body).encode()
        self.writer.write(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(raw)}\r\n\r\n".encode()
            + raw
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.length = int(m[1]) if (m := re.search(rb"content-length: (\d+)", head)) else None
        return int(head.split(None, 2)[1])

    async def body(self) -> bytes:
        """The rest of the answer."""
        if self.length is not None:
            return await self.reader.readexactly(self.length)
        found = b""
        while piece := await self.chunk():
            found += piece
        return found

    async def chunk(self) -> bytes:
        """One piece of a stream; nothing at its end."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        data = await self.reader.readexactly(size + 2)
        return data[:-2]


async def ask(
    client: Client, number: int, expected: dict[tuple[str, int], str], result: Result
) -> None:
    """One request: the next prompt with the next seed."""
    prompt, seed = (
        PROMPTS[number % len(PROMPTS)],
        number // len(PROMPTS) % (len(expected) // len(PROMPTS)),
    )
    stream = number % 8 == 7
    body = {"prompt": prompt, "seed": seed, "max_tokens": 100, "stream": stream}
    if stream:
        body["stream_options"] = {"include_usage": True}
    began = time.perf_counter()
    status = await client.send(body)
    result.requests += 1
    if status != 200:
        result.errors += 1
        await client.body()
        return
    if not stream:
        answer = json.loads(await client.body())
        text, used = answer["choices"][0]["text"], answer["usage"]["completion_tokens"]
    else:
        raw = await client.chunk()
        result.first.append(time.perf_counter() - began)
        raw += await client.body()
        events = [json.loads(line[6:]) for line in raw.split(b"\n\n")[:-2]]
        text = "".join(c["text"] for event in events for c in event["choices"])
        used = events[-1]["usage"]["completion_tokens"]
    result.tokens += used
    result.different += prompt + text != expected[prompt, seed]


async def load(
    port: int, clients: int, seconds: float, expected: dict[tuple[str, int], str], most: int = 0
) -> Result:
    """Clients that ask one request after the other for a time, or `most` requests in all."""
    result, begin = Result(), time.perf_counter()
    end, number = begin + seconds, iter(range(1 << 62))

    async def run() -> None:
        client = Client(port)
        await client.open()
        while time.perf_counter() < end and not (most and result.requests >= most):
            await ask(client, next(number), expected, result)
        client.writer.close()

    await asyncio.gather(*(run() for _ in range(clients)))
    result.seconds = time.perf_counter() - begin
    return result


async def hang_up(port: int, clients: int) -> None:
    """Clients that leave in the middle of a long text."""

    async def run() -> None:
        client = Client(port)
        await client.open()
        # without an end of the document the text goes on to its 4000 tokens
        await client.send(
            {"prompt": "a", "max_tokens": 4000, "stream": True, "logit_bias": {"0": -100}}
        )
        await client.chunk()
        client.writer.close()

    await asyncio.gather(*(run() for _ in range(clients)))


async def metrics(port: int) -> dict[str, float]:
    """The counters of the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /metrics HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode()
    )
    text = (await reader.read()).decode()
    writer.close()
    return {m[1]: float(m[2]) for m in re.finditer(r"^hornbook_(\w+) (\S+)$", text, re.M)}


def resident(pid: int) -> float:
    """MiB of memory that a process has."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024  # type: ignore[index]


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def measure(port: int, pid: int, args: argparse.Namespace) -> dict[str, Any]:
    """All measurements against a running server."""
    run = hornbook.load(args.run)
    expected = {
        (prompt, seed): run.sample(1, prompt=prompt, seed=seed, max_tokens=100)[0].text
        for prompt in PROMPTS
        for seed in range(args.seeds)
    }
    asyncio.run(load(port, args.clients, 2.0, expected))  # warm
    one, many = Result(), Result()
    for _ in range(TURNS):
        one.add(asyncio.run(load(port, 1, args.seconds / TURNS, expected)))
        many.add(asyncio.run(load(port, args.clients, args.seconds / TURNS, expected)))
    before = resident(pid)
    rest = asyncio.run(load(port, args.clients, 3600, expected, most=args.requests))
    after = resident(pid)
    asyncio.run(hang_up(port, args.hang_ups))
    waited, begin = 0.0, time.perf_counter()
    while (state := asyncio.run(metrics(port)))["running"] + state["waiting"] and waited < 30:
        waited = time.perf_counter() - begin
    rates = [r.tokens / r.seconds for r in (one, many)]
    return {
        "tokens_per_second_one": rates[0],
        "tokens_per_second_many": rates[1],
        "ratio": rates[1] / rates[0],
        "requests_per_second_one": one.requests / one.seconds,
        "requests_per_second_many": many.requests / many.seconds,
        "first_piece_p50_ms": 1000 * quantile(many.first, 0.5),
        "first_piece_p99_ms": 1000 * quantile(many.first, 0.99),
        "first_piece_one_p50_ms": 1000 * quantile(one.first, 0.5),
        "errors": one.errors + many.errors + rest.errors,
        "different_texts": one.different + many.different + rest.different,
        "requests": one.requests + many.requests + rest.requests,
        "memory_before_mib": before,
        "memory_after_mib": after,
        "memory_requests": rest.requests,
        "still_running_after_hang_ups": state["running"] + state["waiting"],
        "seconds_until_nothing_runs": waited,
        "tokens_of_hang_ups_at_most": 4000 * args.hang_ups,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run of the default GPT on names")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=256, help="texts of each prompt")
    parser.add_argument("--hang-ups", type=int, default=200)
    args = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, "-m", "hornbook", "serve", args.run, "--port", "0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        line = server.stdout.readline()
        port = int(re.search(r":(\d+)/v1", line)[1])  # type: ignore[index]
        found = measure(port, server.pid, args)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)
    for name, value in found.items():
        print(f"{name:<30} {value:12,.1f}")
    print(json.dumps({"benchmark": "serving", "clients": args.clients, **found}))


if __name__ == "__main__":
    main()
