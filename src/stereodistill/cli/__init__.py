"""The command line: `stereodistill VERB ...`; see `stereodistill --help`."""

from stereodistill.cli.run import main, run

__all__ = ["main", "run"]
