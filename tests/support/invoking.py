"""The command line as a shell runs it."""

from typer.testing import CliRunner

from keras_ood.cli.main import app


def run(*arguments, code=0):
    """Invoke the command and check its exit code."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result
