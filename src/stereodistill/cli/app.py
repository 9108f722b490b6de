"""The verbs, in the order in which data meets them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stereodistill.cli import calibration, footage, learning, network, rectifying, studies


class Stopped(BaseException):
    """Ctrl-C; the message says what is saved."""


class ReaderLeft(BaseException):
    """Whoever read what a command prints has closed the pipe; click would leave with 1, a verdict of `check`."""


class _Verbs(TyperGroup):
    def get_params(self, ctx: Any) -> Any:
        params = super().get_params(ctx)
        for param in params:
            # For a flag that is neither True nor False typer imports pydantic, half of what `--help` costs.
            if getattr(param, "is_flag", False) and param.default is None:
                param.default = False
        return params

    def make_context(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().make_context(*args, **extra)
        except BrokenPipeError as closed:  # of `--help`
            raise ReaderLeft from closed

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:  # typer would drop the message
            raise Stopped(str(stop)) from stop
        except BrokenPipeError as closed:
            raise ReaderLeft from closed


# Plain help: rich would take longer to import than everything else together.
_PLAIN: dict[str, Any] = {"rich_markup_mode": None, "pretty_exceptions_enable": False}
app = typer.Typer(cls=_Verbs, **_PLAIN)
_weights = typer.Typer(cls=_Verbs, help="The weights that are shipped, and what weights say.", **_PLAIN)


def _print_version(wanted: bool) -> None:
    if wanted:
        from stereodistill import __version__

        typer.echo(f"stereodistill {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Monocular depth networks from stereo footage, without labels."""


for _verb in (
    learning.demo,
    calibration.calibrate,
    rectifying.rectify,
    footage.check,
    learning.fit,
    footage.label,
    footage.match,
    network.predict,
    learning.train,
    studies.study,
    network.evaluate,
    footage.synth,
    network.export,
):
    app.command()(_verb)
_weights.command("list")(network.weights_list)
_weights.command("show")(network.weights_show)
_weights.command("import")(network.weights_import)
app.add_typer(_weights, name="weights")
