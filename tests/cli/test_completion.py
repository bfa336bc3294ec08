"""What the shell completes."""

import pytest
from typer.testing import CliRunner

from keras_ood import datasets, scores
from keras_ood.cli import completion
from keras_ood.cli.main import app

pytestmark = pytest.mark.once

MODEL = "tilted-vae-digits"


def run(*arguments, **environment):
    """Invoke the command as a shell does."""
    result = CliRunner().invoke(app, arguments, env=environment, prog_name="keras-ood")
    assert result.exit_code == 0, result.output
    return result


def complete(words, shell="bash"):
    """Return what a shell is told to offer for the last word."""
    count = len(words.split(" ")) - 1
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(count), "_TYPER_COMPLETE_ARGS": words}
    asked |= {"_KERAS_OOD_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    return run(**asked).stdout.split()


def test_completion(monkeypatch, tmp_path):
    """Commands, options, presets of the zoo and in the folder, scores and data sets complete; paths are left to the shell."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tilt").mkdir()
    (tmp_path / "tilt" / "preset.json").touch()
    assert complete("keras-ood ev") == ["evaluate"]
    assert complete("keras-ood info tilted-vae-d") == [MODEL]
    assert complete("keras-ood info til")[-1] == "tilt"
    assert complete("keras-ood benchmark inflow-cifar10-p") == ["inflow-cifar10-pixels"]
    assert complete(f"keras-ood score {MODEL} --method la") == ["latent_norm"]
    assert complete(f"keras-ood evaluate {MODEL} --ood no") == ["noise", "normal_noise"]
    assert complete(f"keras-ood evaluate {MODEL} --ood mni") == ["mnist"]
    assert complete(f"keras-ood score {MODEL} ph") == []
    assert complete("keras-ood info tilted-vae-d", "fish") == [MODEL]
    assert f'"{MODEL}"' in "".join(complete("keras-ood info tilted-vae-d", "zsh"))


def test_completion_knows_every_name():
    """What completes is what the library has."""
    assert completion.methods() == scores.names()
    assert {*completion.data_sets()} == {*datasets.DATASETS, *datasets.GENERATED}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_installed(shell, monkeypatch, tmp_path):
    """`--show-completion` prints the shell's script, `--install-completion` writes it below the home folder."""
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert f"_KERAS_OOD_COMPLETE=complete_{shell}" in run("--show-completion", shell).stdout
    run("--install-completion", shell)
    written = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert any(f"_KERAS_OOD_COMPLETE=complete_{shell}" in text for text in written)
