"""Running one command line: what users see when it fails, is stopped, or warns."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stereodistill.cli.app import Stopped, app
from stereodistill.errors import UserError

SUCCESS, USER_ERROR, BUG, STOPPED = 0, 2, 70, 130
"""Exit codes; a command may leave with one of its own (`check`: 1 = must not be trained on)."""


def main() -> None:
    """Entry point of the `stereodistill` command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every failure of the user's input is one line on stderr.

    `STEREODISTILL_DEBUG=1` lets exceptions through with their traceback.
    """
    with _plain_messages():
        try:
            code = app(args=list(arguments) or ["--help"], prog_name="stereodistill", standalone_mode=False)
        except (Exception, Stopped) as error:
            if os.environ.get("STEREODISTILL_DEBUG", "0") not in ("", "0"):
                raise
            return _told(error)
    return code if isinstance(code, int) else SUCCESS


def _told(error: BaseException) -> int:
    """Print the one line that belongs to an exception; returns the exit code."""
    if isinstance(error, Stopped):
        _print_line(str(error) or "stopped; every file written so far is whole")
        return STOPPED
    if isinstance(error, UserError):
        _print_line(f"error: {error}")
    elif hasattr(error, "format_message"):  # about arguments: of click, or of the copy of click inside newer typer
        _print_line(f"error: {_usage(error)}")
    elif isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        _print_line(f"error: {where}{error.strerror or error}")
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        _print_line("error: out of memory: give smaller images, a smaller batch or --device cpu")
    else:
        # Not the user's fault: whoever reports it needs the traceback.
        traceback.print_exception(error)
        _print_line(f"internal error: {type(error).__name__}: {error}; please report the lines above")
        return BUG
    return USER_ERROR


def _print_line(text: str) -> None:
    print(f"stereodistill: {' '.join(text.split())}", file=sys.stderr, flush=True)


def _usage(error: BaseException) -> str:
    complaint = getattr(error, "format_message", lambda: str(error))().rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{complaint}; see `{context.command_path if context else 'stereodistill'} --help`"


@contextmanager
def _plain_messages() -> Iterator[None]:
    """Our own warnings and log lines as single lines on stderr; those of other libraries are for developers."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("stereodistill: %(message)s"))
    logger = logging.getLogger("stereodistill")
    logger.addHandler(handler)
    with warnings.catch_warnings():
        if not os.environ.get("STEREODISTILL_DEBUG"):
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", module=r"stereodistill\b")
        warnings.showwarning = _show_warning
        try:
            yield
        finally:
            logger.removeHandler(handler)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    _print_line(f"warning: {message}")
