"""Notice signals that ask a training to stop."""

import signal
from collections.abc import Callable


def stop_requested() -> Callable[[], bool]:
    """Catch SIGTERM and SIGINT from now on; return a function that returns whether one has arrived."""
    received: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: received.append(number))
    return lambda: bool(received)
