"""SIGINT and SIGTERM: at once while nothing is at stake, else at the next good moment."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from textgen.training.stopping import Stopping

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 3.0  # seconds from the first signal to the end of the process,
GRACE_TOGETHER = 20.0  # where other workers must stop with it


class Stopped(SystemExit):
    """A signal asked for the end.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int):
        self.signal = number
        super().__init__(128 + number)


def stop_on_signals() -> None:
    """Let a signal unwind the stack, so that what is unfinished is removed."""
    for number in SIGNALS:
        signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


class StopSignals(Stopping):
    """Signals that ask training to stop.

    In `deferred` the first signal is noted and the second ends the process at once. Python's own
    handlers wait until a call of compiled code returns, and compiling a network takes many
    seconds. So a thread, which the system wakes at every signal, ends the process when the
    second one comes, or some seconds after the first; in `at_once` immediately.

    Args:
        last_words: is called by that thread before it ends the process, except by the second
            signal.
    """

    def __init__(self, last_words: Callable[[], object] = lambda: None) -> None:
        self.saving = threading.Lock()
        self._last_words = last_words
        self._grace = 0.0
        self._watching = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """While entered, a signal ends the process at once; one that came before raises.

        For imports of compiled modules too, which turn an exception that comes between into an
        ImportError.
        """
        if not self._watching:
            with self.deferred(), self.at_once():
                yield
            return
        grace, self._grace = self._grace, 0.0
        try:
            self._check()
            yield
            self._check()
        finally:
            self._grace = grace

    def _check(self) -> None:
        if self.received is not None:
            raise Stopped(self.received)

    @contextmanager
    def deferred(self, together: bool = False) -> Iterator[None]:
        """While entered, the first signal is noted, and the process ends some seconds later."""
        self._grace = GRACE_TOGETHER if together else GRACE
        signals, wake = socket.socketpair()
        wake.setblocking(False)
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(signals, over), daemon=True)
        watcher.start()
        woken = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        self._watching = True
        try:
            yield
        finally:
            self._watching = False
            over.set()
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(woken)
            wake.send(b"\0")
            watcher.join()
            signals.close()
            wake.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number

    def _watch(self, signals: socket.socket, over: threading.Event) -> None:
        """Take the numbers of signals as they come; 0 says that all is over."""
        first = True
        while number := signals.recv(1)[0]:
            if number not in SIGNALS:
                continue
            if not first:
                os._exit(128 + number)
            first = False
            timer = threading.Timer(self._grace, self._out_of_time, [number, over])
            timer.daemon = True
            timer.start()

    def _out_of_time(self, number: int, over: threading.Event) -> None:
        with self.saving:
            if not over.is_set():
                self._last_words()
                os._exit(128 + number)
