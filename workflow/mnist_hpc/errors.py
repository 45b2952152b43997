"""The exception for errors that the user can fix, and the one for work that continues later."""


class UserError(Exception):
    """A known error: what was found, what was expected, what to do. Commands print it and exit with 2."""


class NoGpuError(UserError):
    """A job that needs a GPU finds none; another node may have one."""


class Interrupted(Exception):  # noqa: N818  it is not an error
    """A training was asked to stop and saved its state. Commands exit with 75, which means: run it again."""


def reason(error: BaseException) -> str:
    """Return an exception's text on one line, or the name of its class if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__
