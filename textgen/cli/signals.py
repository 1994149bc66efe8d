"""SIGINT and SIGTERM: at once while nothing is at stake, else at the next good moment."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 3.0  # seconds from the first signal to the end of the process,
GRACE_TOGETHER = 20.0  # where other workers must stop with it


class Stopped(SystemExit):
    """A signal asked for the end.

    Attributes:
        status: of the process, 128 plus the signal's number.
    """

    def __init__(self, number: int):
        self.status = 128 + number
        super().__init__(self.status)


def stop_on_signals() -> None:
    """Let a signal unwind the stack, so that what is unfinished is removed."""
    for number in SIGNALS:
        signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


@contextmanager
def ended_by_signals(tell: Callable[[], object] = lambda: None) -> Iterator[None]:
    """While entered, a signal ends the process at once, after `tell`.

    For imports of compiled modules, which turn an exception that comes between into an
    ImportError.
    """
    with StopSignal(tell) as stop:
        with stop.nothing_at_stake():
            yield
        stop.check()


class StopSignal:
    """While entered, the first signal is noted and the second ends the process at once.

    Python's own handlers wait until a call of compiled code returns, and compiling a
    network takes many seconds. So a thread, which the system tells of every signal, ends
    the process when the second one comes, `grace` seconds after the first, or at once while
    nothing is at stake.

    Args:
        tell: is called by that thread before it ends the process, save by the second signal.
        grace: seconds.

    Attributes:
        received: the number of the signal, or None.
        saving: a lock; whoever holds it may finish, however long that takes.
    """

    def __init__(self, tell: Callable[[], object] = lambda: None, grace: float = GRACE) -> None:
        self.received: int | None = None
        self.saving = threading.Lock()
        self._tell = tell
        self._full_grace = self._grace = grace
        self._over = threading.Event()

    def check(self) -> None:
        """Raise `Stopped` if a signal came."""
        if self.received is not None:
            raise Stopped(self.received)

    @contextmanager
    def nothing_at_stake(self) -> Iterator[None]:
        """While entered, a signal ends the process at once; one that came before raises."""
        self._grace = 0.0
        try:
            self.check()
            yield
        finally:
            self._grace = self._full_grace

    def __enter__(self) -> "StopSignal":
        self._signals, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        self._woken = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number

    def _watch(self) -> None:
        """Take the numbers of signals as they come; 0 says that all is over."""
        first = True
        while number := self._signals.recv(1)[0]:
            if number not in SIGNALS:
                continue
            if not first:
                os._exit(128 + number)
            first = False
            timer = threading.Timer(self._grace, self._out_of_time, [number])
            timer.daemon = True
            timer.start()

    def _out_of_time(self, number: int) -> None:
        with self.saving:
            if not self._over.is_set():
                self._tell()
                os._exit(128 + number)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._woken)
        self._wake.send(b"\0")
        self._watcher.join()
        self._signals.close()
        self._wake.close()
