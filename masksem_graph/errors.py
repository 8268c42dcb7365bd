"""The one exception that a user's mistake raises."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the file or field, what was found and what was expected. The command line prints it
    and exits with code 2; a program that calls the package catches it like any ``ValueError``.
    """
