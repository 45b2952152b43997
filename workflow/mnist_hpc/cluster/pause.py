"""A pause after Slurm refused a job."""

import threading
import time

# s.
FIRST, LONGEST = 60.0, 300.0


class Pause:
    """A pause that all refused submissions share. It ends when its time is over or a job has made room."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._end = 0.0
        self._next = FIRST
        self._stopped = False

    def wait(self) -> bool:
        """Wait for the end of the pause; return whether submissions may go on."""
        with self._changed:
            while not self._stopped and (left := self._end - time.monotonic()) > 0:
                self._changed.wait(left)
            return not self._stopped

    def begin(self) -> float | None:
        """Begin a pause and return its length, s; return None if one is under way."""
        with self._changed:
            if self._end > time.monotonic():
                return None
            seconds, self._next = self._next, min(2 * self._next, LONGEST)
            self._end = time.monotonic() + seconds
            return seconds

    def end(self) -> None:
        """End the pause: a job has ended, so there may be room for another."""
        with self._changed:
            self._end = 0.0
            self._changed.notify_all()

    def accepted(self) -> None:
        """Let the next pause be a short one."""
        self._next = FIRST

    def stop(self) -> None:
        """End the pause for good."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
