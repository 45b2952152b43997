"""The one exception for what a person can mend."""


class UserError(Exception):
    """A known error: what was found, what was expected, what to do. Commands print it and exit with 2."""


def reason(error: BaseException) -> str:
    """Return an exception's text on one line, or the name of its class where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
