"""The value goes to another thread, task or process."""

from __future__ import annotations

import asyncio
import multiprocessing
import queue
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from tests.corpus.engines import Engine
from tests.corpus.programs import PHONE, program


def _normalise(phone: str) -> str:
    return phone.lstrip("+")


@program
def thread(engine: Engine, purpose: str) -> None:
    """Through a queue to another thread."""
    phones: queue.Queue[str] = queue.Queue()
    worker = threading.Thread(target=lambda: engine.use(phones.get()))
    worker.start()
    phones.put(engine.collect(PHONE, purpose))
    worker.join()


@program
def thread_pool(engine: Engine, purpose: str) -> None:
    """Through a pool of threads."""
    with ThreadPoolExecutor(2) as pool:
        engine.use(list(pool.map(_normalise, [engine.collect(PHONE, purpose)])))


@program
def task(engine: Engine, purpose: str) -> None:
    """Through tasks and a queue."""

    async def run() -> None:
        phones: asyncio.Queue[str] = asyncio.Queue()

        async def upload() -> None:
            engine.use(await phones.get())

        working = asyncio.create_task(upload())
        await phones.put(engine.collect(PHONE, purpose))
        await working

    asyncio.run(run())


@program
def to_thread(engine: Engine, purpose: str) -> None:
    """Through `asyncio.to_thread`, inside a zone that matches there."""

    async def run() -> None:
        phone = engine.collect(PHONE, purpose)
        with engine.zone():
            engine.use(await asyncio.to_thread(lambda: phone == PHONE))

    asyncio.run(run())


@program
def process_pool(engine: Engine, purpose: str) -> None:
    """Through a pool of processes."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        engine.use(pool.submit(_normalise, engine.collect(PHONE, purpose)).result())


@program
def process_queue(engine: Engine, purpose: str) -> None:
    """Through a queue between processes."""
    phones: multiprocessing.Queue[Any] = multiprocessing.Queue()
    phones.put({"phone": engine.collect(PHONE, purpose)})
    engine.use(phones.get(timeout=10))
    phones.close()
    phones.join_thread()
