"""The clients of `bench serve`, `swap` and `soak`, in a process of their own; without TensorFlow.

Each line of standard input is a load to put on a server, and is answered by a line with what came of it:

    {"transport": "rest", "address": "127.0.0.1:8501", "path": "/v1/models/m:predict", "requests": [base64, …],
     "clients": 8, "seconds": 5, "rate": 0}

A client has a connection of its own. With rate 0 each asks again when it is answered (closed loop). Else so many
requests a second come at random moments, whatever the server does, and time counts from the moment that a request was
due, waiting for a free connection included (open loop). Another line ends a load before its time.

HTTP is spoken on a plain connection here: a client that takes as long as the server would measure itself.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from base64 import b64decode, b64encode
from collections import Counter
from itertools import count
from typing import Any, Protocol

PREDICT = "/tensorflow.serving.PredictionService/Predict"
PATIENCE = 60.0  # seconds until a request counts as lost
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Failed(Exception):
    """A request without an answer; the text says why."""


class Asker(Protocol):
    """One client's connection."""

    async def ask(self, body: bytes) -> bytes:
        """The answer to a request.

        Raises: Failed where there is none, or it is an error.
        """

    async def close(self) -> None:
        """Ends the connection."""


class Rest:
    """A connection that speaks HTTP."""

    def __init__(self, address: str, path: str) -> None:
        self._address = address.rsplit(":", 1)
        head = f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: "
        self._head = head.encode()
        self._pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: bytes) -> bytes:
        """As `Asker.ask`."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._ask(body)
        except (OSError, EOFError, TimeoutError) as error:
            await self.close()
            raise Failed(type(error).__name__) from error

    async def _ask(self, body: bytes) -> bytes:
        if self._pair is None:
            host, port = self._address
            self._pair = await asyncio.open_connection(host.strip("[]"), int(port), limit=2**20)
        reader, writer = self._pair
        writer.write(b"%s%d\r\n\r\n%s" % (self._head, len(body), body))
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not length:
            raise Failed("an answer without a length")
        answer = await reader.readexactly(int(length[1]))
        if head[9:12] != b"200":
            raise Failed(f"{head[9:12].decode()}: {answer[:200].decode('utf-8', 'replace')}")
        return answer

    async def close(self) -> None:
        """As `Asker.close`."""
        if self._pair:
            self._pair[1].close()
            self._pair = None


class Grpc:
    """A channel of its own, since grpc would share one connection among all clients of a process."""

    def __init__(self, address: str) -> None:
        import grpc

        most = [(f"grpc.max_{way}_message_length", 2**31 - 1) for way in ("send", "receive")]
        self._channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1), *most])
        self._predict, self._error = self._channel.unary_unary(PREDICT), grpc.aio.AioRpcError

    async def ask(self, body: bytes) -> bytes:
        """As `Asker.ask`."""
        try:
            return await self._predict(body, timeout=PATIENCE)
        except self._error as error:
            raise Failed(f"{error.code().name}: {(error.details() or '')[:200]}") from error

    async def close(self) -> None:
        """As `Asker.close`."""
        await self._channel.close()


class Tally:
    """What came of the requests: seconds of each that was answered, how the others failed, and the answers."""

    def __init__(self, requests: list[bytes]) -> None:
        self._requests, self._turn = requests, count()
        self.seconds: list[float] = []
        self.errors: Counter[str] = Counter()
        self.replies: list[Counter[bytes]] = [Counter() for _ in requests]

    async def one(self, asker: Asker, due: float | None = None) -> None:
        """Asks the next request; `due` is when it should have been, now by default."""
        index = next(self._turn) % len(self._requests)
        began = time.perf_counter() if due is None else due
        try:
            reply = await asker.ask(self._requests[index])
        except Failed as error:
            self.errors[str(error)] += 1
            await asyncio.sleep(0.01)  # a server that is gone is not asked a thousand times a second
        else:
            self.seconds.append(time.perf_counter() - began)
            self.replies[index][reply] += 1

    def report(self, seconds: float) -> dict[str, Any]:
        """As JSON; times in milliseconds."""
        times = sorted(self.seconds)
        parts = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "max_ms": 1.0}
        return {
            "seconds": seconds,
            "answered": len(times),
            "failed": self.errors.total(),
            "errors": dict(self.errors.most_common(20)),
            "requests_a_second": len(times) / seconds,
            **{name: 1000 * times[int(part * (len(times) - 1))] if times else None for name, part in parts.items()},
            "replies": [{b64encode(reply).decode(): number for reply, number in each.items()} for each in self.replies],
        }


async def load(spec: dict[str, Any], ended: asyncio.Event) -> dict[str, Any]:
    """Puts a load on a server until its time is over or `ended` is set; returns the report."""
    tally = Tally([b64decode(each) for each in spec["requests"]])
    rest = spec["transport"] == "rest"
    askers: list[Asker] = [
        Rest(spec["address"], spec["path"]) if rest else Grpc(spec["address"]) for _ in range(spec["clients"])
    ]
    began = time.perf_counter()
    end = began + spec["seconds"]

    async def closed(asker: Asker) -> None:
        while time.perf_counter() < end and not ended.is_set():
            await tally.one(asker)

    try:
        if spec["rate"]:
            await _open(tally, askers, spec["rate"], end, ended)
        else:
            await asyncio.gather(*map(closed, askers))
    finally:
        for asker in askers:
            await asker.close()
    return tally.report(time.perf_counter() - began)


async def _open(tally: Tally, askers: list[Asker], rate: float, end: float, ended: asyncio.Event) -> None:
    free: asyncio.Queue[Asker] = asyncio.Queue()
    for asker in askers:
        free.put_nowait(asker)

    async def one(due: float) -> None:
        asker = await free.get()
        try:
            await tally.one(asker, due)
        finally:
            free.put_nowait(asker)

    chance, due = random.Random(0), time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        while due < end and not ended.is_set():
            await asyncio.sleep(due - time.perf_counter())
            tasks.create_task(one(due))
            due += chance.expovariate(rate)


async def main() -> None:
    """Answers the lines of standard input until it ends."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    loop.run_in_executor(None, read)
    while line := await lines.get():
        ended = asyncio.Event()
        running = asyncio.create_task(load(json.loads(line), ended))
        told = asyncio.create_task(lines.get())
        await asyncio.wait((running, told), return_when=asyncio.FIRST_COMPLETED)
        ended.set()
        if told.done():
            last = not told.result()
        else:
            told.cancel()
            last = False
        print(json.dumps(await running), flush=True)
        if last:
            break


if __name__ == "__main__":
    asyncio.run(main())
