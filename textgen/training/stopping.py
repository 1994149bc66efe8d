"""How training is asked to stop: an interface that the commands implement with signals."""

from contextlib import AbstractContextManager, nullcontext


class Interrupted(Exception):
    """Training stopped because it was asked to; all is saved.

    Attributes:
        signal: the number of the signal that asked.
    """

    def __init__(self, signal: int):
        self.signal = signal
        super().__init__(signal)


class Stopping:
    """Nobody asks; Ctrl-C raises KeyboardInterrupt, as everywhere in Python.

    Attributes:
        received: the number of the signal that asks training to stop, or None.
        saving: is held while files are written, so that nothing ends the process then.
        saved: `time.monotonic()` when all was last saved, or None.
    """

    received: int | None = None
    saving: AbstractContextManager[object] = nullcontext()
    saved: float | None = None

    def at_once(self) -> AbstractContextManager[object]:
        """While entered, a request ends the process at once: nothing would be lost."""
        return nullcontext()

    def deferred(self, together: bool = False) -> AbstractContextManager[object]:
        """While entered, a request is noted in `received`.

        Args:
            together: whether other workers must stop too, which takes longer.
        """
        return nullcontext()
