"""The `understudy` command: one tree of sub-commands over all islands."""

import inspect
import re

import typer

from distill_jobs.cli import job_app
from distill_jobs.labelling.command import label
from distill_jobs.release.cli import release_app
from serving.commands.backup import backup, restore
from serving.commands.cameras import cameras_app
from serving.commands.deploy import deploy
from serving.commands.harvest import harvest_app
from serving.commands.key import key_app
from serving.commands.migrate import migrate
from serving.commands.report import report
from serving.commands.rollout import rollout_app
from serving.commands.route import route_app
from serving.commands.serve import serve
from serving.commands.tune import tune
from understudy.camera_cli import camera
from understudy.demo_cli import demo
from understudy.doctor import doctor

app = typer.Typer(
    name="understudy",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Distil a small YOLO student from a heavy teacher, prove it, serve it beside the teacher,
    and swap it in while cameras watch.

    New here? [bold]understudy doctor[/bold] says what this machine lacks,
    [bold]understudy demo[/bold] shows the whole way in eight minutes.""",
)
app.command(rich_help_panel="Start here")(demo)
app.command(rich_help_panel="Start here")(doctor)
app.add_typer(job_app, name="job", rich_help_panel="Make a student")
app.add_typer(release_app, name="release", rich_help_panel="Make a student")
app.command(rich_help_panel="Make a student")(label)
app.command(rich_help_panel="Serve")(serve)
app.command(rich_help_panel="Serve")(deploy)
app.command(rich_help_panel="Serve")(tune)
app.add_typer(route_app, name="route", rich_help_panel="Serve")
app.add_typer(rollout_app, name="rollout", rich_help_panel="Serve")
app.add_typer(cameras_app, name="cameras", rich_help_panel="Serve")
app.add_typer(key_app, name="key", rich_help_panel="Serve")
app.add_typer(harvest_app, name="harvest", rich_help_panel="Serve")
app.command(rich_help_panel="Serve")(report)
app.command(rich_help_panel="Serve")(camera)
app.command(rich_help_panel="Serve")(migrate)
app.command(rich_help_panel="Serve")(backup)
app.command(rich_help_panel="Serve")(restore)


def unwrapped(text: str) -> str:
    """Return a docstring as paragraphs: a terminal breaks lines by its own width, not by ours.

    Indented lines (examples) and lists stay as they are.
    """
    return re.sub(r"(?<=\S)\n(?=[^\s*-])", " ", inspect.cleandoc(text))


def _unwrap(group: typer.Typer) -> None:
    if isinstance(group.info.help, str):
        group.info.help = unwrapped(group.info.help)
    for command in group.registered_commands:
        text = command.help or (command.callback.__doc__ if command.callback else None)
        command.help = unwrapped(text) if text else None
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            _unwrap(inner.typer_instance)


_unwrap(app)


def main() -> None:
    """Entry point of the console script."""
    app()
