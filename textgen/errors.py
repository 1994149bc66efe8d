"""The one error class of textgen."""


class TextgenError(Exception):
    """A mistake that the user can mend: exit 1 and one line on stderr, no traceback.

    The message names the thing, the value received, and a fix.
    """
