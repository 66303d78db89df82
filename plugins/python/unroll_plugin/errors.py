"""Errors with which a plugin tells the user what is wrong. Any other exception counts as a bug in the plugin: its
type and the line of the plugin's file are reported."""

import os
import traceback

INTERNAL, OPTIONS, STATE = 3, 1, 2  # UNROLL_ERROR_* of plugin.h
_LONGEST = 4000  # characters of a message


class Error(Exception):
    """The document fails with this text, which should say what happened and what to do."""

    status = INTERNAL


class OptionsError(Error):
    """Invalid options: name the key, its value, and what is allowed. Raise it in __init__."""

    status = OPTIONS


class StateError(Error):
    """load() received something that save() did not write."""

    status = STATE


def describe(error: BaseException, file: str) -> str:
    """The message of an Error, otherwise "FILE:LINE: TYPE: MESSAGE" with the plugin's own line.

    `file`: the plugin's. Its line is the innermost one in the plugin's folder.
    """
    message = str(error)
    if not isinstance(error, Error):
        message = f"{place(error, file)}: {type(error).__name__}" + (f": {message}" if message else "")
    return message[:_LONGEST]


def place(error: BaseException, file: str) -> str:
    """Where in the plugin's own code an exception was raised: "topics.py:12"."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{os.path.basename(error.filename)}:{error.lineno}"
    folder = os.path.dirname(os.path.abspath(file))
    own = [
        at
        for at in traceback.extract_tb(error.__traceback__)
        if os.path.abspath(at.filename).startswith(folder + os.sep)
    ]
    own = [at for at in own if not at.filename.startswith(os.path.dirname(__file__) + os.sep)]
    return f"{os.path.basename(own[-1].filename)}:{own[-1].lineno}" if own else os.path.basename(file)
