"""The command line: `stereodistill VERB ...`; see `stereodistill --help`."""

import sys
from collections.abc import Sequence

__all__ = ["main", "run"]


def main() -> None:
    """Entry point of the `stereodistill` command; Ctrl-C while the rest is imported leaves without a traceback too."""
    try:
        from stereodistill.cli.entry import main as run_main
    except KeyboardInterrupt:
        print("stereodistill: stopped; nothing was begun", file=sys.stderr)
        sys.exit(130)
    run_main()


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code (see `cli.entry.run`)."""
    from stereodistill.cli.entry import run as run_line

    return run_line(arguments)
