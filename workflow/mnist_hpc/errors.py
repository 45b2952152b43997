"""The exception for what a person can mend, and the one for what goes on later."""


class UserError(Exception):
    """A known error: what was found, what was expected, what to do. Commands print it and exit with 2."""


class Interrupted(Exception):  # noqa: N818  it is no error
    """A training was told to stop, and has saved what it did. Commands exit with 75: try again."""


def reason(error: BaseException) -> str:
    """Return an exception's text on one line, or the name of its class where it has none."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(error))
    return " ".join(text.split()) or type(error).__name__
