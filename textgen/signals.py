"""SIGINT and SIGTERM: at once while nothing is at stake, else at the next good moment."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 4.0  # seconds from the first signal to the end of the process


class Stopped(SystemExit):
    """A signal asked for the end; the exit status is 128 plus its number."""

    def __init__(self, number: int):
        super().__init__(128 + number)


def stop_on_signals() -> None:
    """Let a signal unwind the stack, so that what is unfinished is removed."""
    for number in SIGNALS:
        signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


class StopSignal:
    """While entered, the first signal is noted and the second ends the process at once.

    Python's own handlers wait until a call of compiled code returns, and compiling a
    network takes many seconds. So a thread, which the system tells of every signal, ends
    the process when the second one comes, or `GRACE` seconds after the first.

    Args:
        give_up: is called by that thread before it ends the process for want of time.

    Attributes:
        received: the number of the signal, or None.
        saving: a lock; whoever holds it may finish, however long that takes.
    """

    def __init__(self, give_up: Callable[[], object] = lambda: None) -> None:
        self.received: int | None = None
        self.saving = threading.Lock()
        self._give_up = give_up
        self._over = threading.Event()
        self._raises = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """While entered, a signal raises `Stopped`, as nothing is at stake."""
        self._raises = True
        try:
            if self.received is not None:
                raise Stopped(self.received)
            yield
        finally:
            self._raises = False

    def __enter__(self) -> "StopSignal":
        self._told, self._tell = socket.socketpair()
        self._tell.setblocking(False)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        self._wakeup = signal.set_wakeup_fd(self._tell.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        if self._raises:
            raise Stopped(number)

    def _watch(self) -> None:
        """Take the numbers of signals as they come; 0 says that all is over."""
        first = True
        while number := self._told.recv(1)[0]:
            if number not in SIGNALS:
                continue
            if not first:
                os._exit(128 + number)
            first = False
            timer = threading.Timer(GRACE, self._out_of_time, [number])
            timer.daemon = True
            timer.start()

    def _out_of_time(self, number: int) -> None:
        with self.saving:
            if not self._over.is_set():
                self._give_up()
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
        signal.set_wakeup_fd(self._wakeup)
        self._tell.send(b"\0")
        self._watcher.join()
        self._told.close()
        self._tell.close()
