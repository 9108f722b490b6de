"""Running one command line: what users see when it fails, is stopped, or warns."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from stereodistill.cli.app import ReaderLeft, Stopped, app
from stereodistill.errors import UserError

SUCCESS, USER_ERROR, BUG, STOPPED, READER_LEFT = 0, 2, 70, 130, 141
"""Exit codes; a command may leave with one of its own (`check`: 1 = must not be trained on).

141 is what a shell shows for a program whose reader closed the pipe (`stereodistill check DATA | head -1`)."""


def main() -> None:
    """Entry point of the `stereodistill` command."""
    _open_streams()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every failure of the user's input is one line on stderr.

    `STEREODISTILL_DEBUG=1` lets exceptions through with their traceback.
    """
    with _plain_messages():
        try:
            _refuse_empty(arguments)
            code = app(args=list(arguments) or ["--help"], prog_name="stereodistill", standalone_mode=False)
            sys.stdout.flush()
        except (Exception, Stopped, ReaderLeft, KeyboardInterrupt) as error:
            if isinstance(error, Stopped | KeyboardInterrupt):
                _ignore_interrupts()
            if os.environ.get("STEREODISTILL_DEBUG", "0") not in ("", "0"):
                raise
            return _told(error)
    return code if isinstance(code, int) else SUCCESS


def _told(error: BaseException) -> int:
    """Print the one line that belongs to an exception; returns the exit code."""
    if isinstance(error, Stopped | KeyboardInterrupt):
        _print_line(str(error) or "stopped; every file written so far is whole")
        return STOPPED
    if isinstance(error, ReaderLeft | BrokenPipeError):
        # What is still in the buffer would fail once more when Python leaves, with lines of its own.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return READER_LEFT
    if isinstance(error, UserError):
        _print_line(f"error: {error}")
    elif hasattr(error, "format_message"):  # about arguments: of click, or of the copy of click inside newer typer
        _print_line(f"error: {_usage(error)}")
    elif isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        _print_line(f"error: {where}{error.strerror or error}")
    elif _is_out_of_memory(error):
        _print_line("error: out of memory: give smaller images, a smaller batch or --device cpu")
    elif isinstance(error, UnicodeError):
        _print_line(f"error: a name or a text holds bytes that are not UTF-8 ({error}): rename the file")
    else:
        # Not the user's fault: whoever reports it needs the traceback.
        with suppress(OSError, ValueError):
            traceback.print_exception(error)
        _print_line(f"internal error: {type(error).__name__}: {error}; please report the lines above")
        return BUG
    return USER_ERROR


_OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "nsufficient memory",
    "ailed to allocate",
    "out of memory",
)
"""What PyTorch's and OpenCV's allocators say in a RuntimeError or an error of their own."""


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    foreign = isinstance(error, RuntimeError) or type(error).__module__.partition(".")[0] == "cv2"
    return foreign and any(words in str(error) for words in _OUT_OF_MEMORY)


def _refuse_empty(arguments: Sequence[str]) -> None:
    """An unset variable of a shell script must not mean the current folder."""
    for number, argument in enumerate(arguments):
        if argument and not (argument.startswith("--") and argument.endswith("=")):
            continue
        before = arguments[number - 1] if number else ""
        name = argument.rstrip("=") or (before if before.startswith("-") else f"argument {number + 1}")
        raise UserError(f"{name} is empty (an unset variable?): leave it out, or write . for the current folder")


def _ignore_interrupts() -> None:
    """Whoever presses Ctrl-C twice gets the same line and the same exit code."""
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _open_streams() -> None:
    """Streams that the caller closed lead nowhere, or the first file that is opened would get what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may hold what no text can
            stream.reconfigure(errors="backslashreplace")


def _print_line(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads it, or the disk that it goes to is full
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
