"""SIGINT and SIGTERM: at once while nothing is at stake, else at the next good moment."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE = 4.0  # seconds that a process takes at most to end after the first signal


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
    network takes many seconds. So a thread watches as well, which the system tells of every
    signal: it ends the process when the second one comes, or `GRACE` seconds after the first.

    Args:
        give_up: is called by that thread before it ends the process for want of time.

    Attributes:
        received: the number of the signal, or None.
        saving: a lock; the thread lets whoever holds it finish.
    """

    def __init__(self, give_up: Callable[[], object] = lambda: None) -> None:
        self.received: int | None = None
        self.saving = threading.Lock()
        self.give_up = give_up

    def check(self) -> None:
        """Raise `Stopped` if a signal was received."""
        if self.received is not None:
            raise Stopped(self.received)

    def __enter__(self) -> "StopSignal":
        self._told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        self._wakeup_before = signal.set_wakeup_fd(self._tell, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = self.received or number

    def _watch(self) -> None:
        """Read the numbers of signals as they come; 0 says that all is over."""
        first = 0
        while number := os.read(self._told, 1)[0]:
            if number not in SIGNALS:
                continue
            if first:
                os._exit(128 + number)
            first = number
            timer = threading.Timer(GRACE, self._out_of_time, [number])
            timer.daemon = True
            timer.start()

    def _out_of_time(self, number: int) -> None:
        """End the process, unless it is ending by itself."""
        with self.saving:
            if not self._over.is_set():
                self.give_up()
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
        signal.set_wakeup_fd(self._wakeup_before)
        os.write(self._tell, b"\0")
        self._thread.join()
        os.close(self._told)
        os.close(self._tell)
