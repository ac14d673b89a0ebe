"""The outlet: a thread through which signals leave, so that no exporter can hold up a sink's caller.

Whoever hands something over waits until it has left, so that signals are where a reader expects them,
but never longer than `WAIT_SECONDS`; after that nobody waits again until the outlet has caught up.
What is handed over while too much is waiting is dropped, and counted.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic

from taint.guard import after_fork, report_internal_error
from taint.telemetry.metrics import count_dropped

__all__ = ["MAX_WAITING", "WAIT_SECONDS", "Outlet"]

WAIT_SECONDS = 0.05
"""The longest that an exporter that is slow or stuck holds up a caller, once."""
MAX_WAITING = 2048
"""How much may wait to leave: the default queue length of OpenTelemetry's batch processors."""

Job = Callable[[], object]

_local = threading.local()


class Outlet:
    """One daemon thread, started with the first thing handed over, and anew in a forked process.

    Args:
        at_end: Is called on the thread at the end of every interval; tells whether another one begins.
        interval_seconds: Length of an interval; it begins with something handed over.
    """

    def __init__(self, at_end: Callable[[], bool], interval_seconds: float) -> None:
        self._at_end = at_end
        self.interval_seconds = interval_seconds
        self._begin()
        after_fork(self._begin)

    def _begin(self) -> None:
        self._jobs: SimpleQueue[tuple[Job, threading.Lock]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._is_late = False
        self._end: float | None = None

    @property
    def is_here(self) -> bool:
        """Tell whether this code runs on the outlet's own thread."""
        return getattr(_local, "is_outlet", False)

    def hand_over(self, job: Job, *, wait_seconds: float | None = None) -> bool:
        """Have something done on the thread, and wait a moment for it.

        Args:
            job: What to do. What it raises is reported once and goes no further.
            wait_seconds: How long to wait, whatever else is waiting; by default shortly, not at all while the
                outlet is late, and dropped where too much is waiting.

        Returns:
            Whether it is done.
        """
        if wait_seconds is None and self._jobs.qsize() >= MAX_WAITING:
            count_dropped()
            return False
        if self._thread is None and not self._start():
            _do(job)  # The interpreter is ending: nobody else can.
            return True
        done = threading.Lock()
        done.acquire()
        self._jobs.put((job, done))
        if wait_seconds is None and self._is_late:
            return False
        is_done = done.acquire(timeout=WAIT_SECONDS if wait_seconds is None else wait_seconds)
        if not is_done:
            self._is_late = True
        return is_done

    def flush(self, timeout_seconds: float = 2.0) -> bool:
        """End the interval now and wait until everything has left.

        Args:
            timeout_seconds: The longest to wait.

        Returns:
            Whether everything has left.
        """
        return self._thread is None or self.is_here or self.hand_over(self._end_interval, wait_seconds=timeout_seconds)

    def _start(self) -> bool:
        with self._starting:
            if self._thread is not None:
                return True
            thread = threading.Thread(target=self._run, name="taint-telemetry", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
            # Now, not on import: what is registered last runs first, and that must be before the providers shut down.
            atexit.unregister(self.flush)
            atexit.register(self.flush)
            return True

    def _run(self) -> None:
        _local.is_outlet = True
        while True:
            try:
                job, done = self._jobs.get(timeout=None if self._end is None else max(0.0, self._end - monotonic()))
            except Empty:
                _do(self._end_interval)
                continue
            _do(job)
            if self._end is None and job != self._end_interval:
                self._end = monotonic() + self.interval_seconds
            if self._jobs.empty():
                self._is_late = False
            done.release()

    def _end_interval(self) -> None:
        self._end = None
        if self._at_end():
            self._end = monotonic() + self.interval_seconds


def _do(job: Job) -> None:
    try:
        job()
    except Exception as error:  # noqa: BLE001  # Telemetry is the application's; its failure is not the sink's.
        report_internal_error("emitting telemetry", error)
