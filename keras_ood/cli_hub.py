"""The commands that list presets and publish them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from keras_ood.console import err, errors_in_a_line, out

NAMESPACE = "keras-ood"
"""User of the zoo's repositories on the Hub."""


def list_presets(
    pattern: Annotated[str, typer.Argument(help="Wildcards * and ?.")] = "*",
    hub: Annotated[bool, typer.Option("--hub", help="List what others have published for keras_ood on the Hub.")] = False,
) -> None:
    """List the presets of the zoo, or with --hub those of others.

    Example: keras-ood list '*fashion*'
    """
    with errors_in_a_line():
        out.print(_hub_table(pattern) if hub else _zoo_table(pattern))


def _zoo_table(pattern: str) -> Table:
    from keras_ood.hub import handles, preset

    names = handles.list_models(pattern)
    if not names:
        raise ValueError(f"No preset matches; all of them: {', '.join(handles.list_models())}. Received: {pattern!r}")
    table = Table(
        Column("preset", no_wrap=True),
        "family",
        "in-distribution",
        "parameters",
        "size",
        "where",
        "score",
        "AUROC, worst and best set",
    )
    for name in names:
        folder, where = handles.find(name)
        if folder is None:
            table.add_row(name, *["-"] * 4, where, "-", "-")
            continue
        content = preset.read(folder)
        size = sum(file["size"] for file in content["files"].values())
        auroc = sorted(content["auroc"].items(), key=lambda item: item[1])
        ends = f"{auroc[0][1]:.3f} {auroc[0][0]}, {auroc[-1][1]:.3f} {auroc[-1][0]}"
        cells = (
            content["family"],
            content["in_distribution"]["title"],
            f"{content['parameters']:,}",
            f"{size / 2**20:.2f} MiB",
        )
        table.add_row(name, *cells, where, content["default_score"], ends)
    return table


def _hub_table(pattern: str) -> Table:
    import fnmatch

    from keras_ood.hub.pull import HUB_ERRORS, client, first_line

    try:
        models = [model for model in client().list_models(filter="keras_ood") if fnmatch.fnmatch(model.id, pattern)]
    except HUB_ERRORS as error:
        raise OSError(f"The Hub did not give its list: {first_line(error)}") from error
    table = Table(
        "repository", "downloads", "likes", "changed", title="Not checked by us; files are verified when one is loaded"
    )
    for model in models:
        changed = "" if model.last_modified is None else f"{model.last_modified:%Y-%m-%d}"
        table.add_row(escape(model.id), str(model.downloads), str(model.likes), changed)
    return table


def publish(
    presets: Annotated[list[str] | None, typer.Argument(help="Zoo names or preset folders.", metavar="[PRESETS]...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every preset of the zoo.")] = False,
    repo: Annotated[
        str | None, typer.Option(help=f"Repository, user/repo; of a zoo preset {NAMESPACE}/NAME if absent.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show files, sizes and card; send nothing.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Create the repository as a private one.")] = False,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request.")] = False,
    message: Annotated[str | None, typer.Option("--message", help="Of the commit.")] = None,
) -> None:
    """Publish presets on the Hugging Face Hub, one commit each, and pin the commits in the zoo's manifest.

    Example: keras-ood publish my-detector/ --repo me/my-detector --dry-run
    """
    from keras_ood.hub import handles
    from keras_ood.hub.push import push

    with errors_in_a_line():
        known = handles.list_models()
        names = known if everything else presets or []
        if not names or (presets and everything):
            raise ValueError(f"`publish` takes presets or --all. Received: {presets or 'neither'}")
        if repo and len(names) > 1:
            raise ValueError(f"--repo goes with one preset. Received: {names}")
        for name in names:
            zoo = name in known
            folder = handles.resolve(name, source="embedded") if zoo else Path(name)
            target = repo or (f"{NAMESPACE}/{name}" if zoo else None)
            if target is None:
                raise ValueError(f"A preset that is not the zoo's needs --repo user/repo. Received: {name!r}")
            target, _ = handles.parse_repository(target)
            if dry_run:
                _show(folder, target)
                continue
            published = push(folder, target, private=private or None, create_pr=create_pr, commit_message=message)
            done = published.pull_request or ("new commit" if published.created else "unchanged, no commit")
            err.print(f"{published.repo_id}@{published.revision}: {done}")
            if target == f"{NAMESPACE}/{name}" and not create_pr:  # a copy elsewhere is not the zoo's
                handles.pin(name, published.repo_id, published.revision)


def _show(folder: Path, target: str) -> None:
    from keras_ood.hub import card, preset

    content = preset.read(folder)
    preset.verify(folder, content)
    table = Table("file", "bytes", "sha256", title=f"{folder} -> {target}: nothing was sent")
    table.add_row(preset.PRESET, f"{(folder / preset.PRESET).stat().st_size:,}", preset.sha256(folder / preset.PRESET)[:16])
    for name, file in content["files"].items():
        table.add_row(name, f"{file['size']:,}", file["sha256"][:16])
    out.print(table)
    out.print((folder / card.CARD).read_text(), markup=False, highlight=False)
