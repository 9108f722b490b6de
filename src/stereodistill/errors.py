"""The one error family that users see: bad input, told in one line."""


class UserError(ValueError):
    """Something the user gave cannot be used; the message says what was expected and how to mend it.

    The command line prints the message alone (no traceback) and exits with code 2.
    """
