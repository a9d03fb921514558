import shlex
from pathlib import Path
from typing import Annotated

import typer
from typer.testing import CliRunner

from distill_jobs.commands.again import given_again
from distill_jobs.commands.compare import Measured


def command(
    context: typer.Context,
    runs: list[Path],
    split: Measured = Measured.VAL,
    paired: Annotated[bool, typer.Option()] = True,
    look: Annotated[bool, typer.Option("--look")] = False,
) -> None:
    """Tell how it would be given once more."""
    typer.echo(given_again(context))


def test_every_option_that_is_not_at_its_default_is_given_again():
    app = typer.Typer()
    app.command("tell")(command)
    app.command("other")(lambda: None)
    given = ["tell", "runs/a b", "runs/c", "--split", "test", "--no-paired", "--look"]

    def told(arguments: list[str]) -> list[str]:
        answer = CliRunner().invoke(app, arguments)
        assert answer.exit_code == 0, answer.output
        return shlex.split(answer.output)

    assert told(given) == ["understudy", "job", *given]
    assert told(told(given)[2:]) == told(given)
    assert told(["tell", "runs/a"]) == ["understudy", "job", "tell", "runs/a"]
