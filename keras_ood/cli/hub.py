"""The commands that list presets and publish them."""

import fnmatch
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from keras_ood.cli import completion
from keras_ood.cli.computing import computing
from keras_ood.cli.console import Json, command, err, errors_in_a_line, show, table
from keras_ood.hub import handles, preset

NAMESPACE = "keras-ood"
"""User of the zoo's repositories on the Hub."""


def list_presets(
    pattern: Annotated[str, typer.Argument(help="Wildcards * and ?.")] = "*",
    hub: Annotated[bool, typer.Option("--hub", help="List what others have published for keras_ood on the Hub.")] = False,
    as_json: Json = False,
) -> None:
    """List the presets of the zoo, or with --hub those of others.

    Example: keras-ood list '*fashion*'
    """
    with errors_in_a_line():
        records = _on_the_hub(pattern) if hub else _in_the_zoo(pattern)
        title = "Not checked by us; files are verified when one is loaded"
        following = command("info", records[0]["preset"]) if records else ""
        show(records, as_json, lambda: table(records, title) if hub else _zoo_table(records), following)


def _in_the_zoo(pattern: str) -> list[dict[str, Any]]:
    names = handles.list_models(pattern)
    if not names:
        raise ValueError(f"No preset matches; all of them: {', '.join(handles.list_models())}. Received: {pattern!r}")
    records = []
    for name in names:
        folder, where = handles.find(name)
        content = None if folder is None else preset.read(folder)
        record: dict[str, Any] = {"preset": name, "where": where}
        for key in ("family", "parameters", "default_score", "auroc"):
            record[key] = None if content is None else content[key]
        record["encoder"] = None if content is None else content.get("encoder", {"title": "pixels"})["title"]
        record["in_distribution"] = None if content is None else content["in_distribution"]["title"]
        record["bytes"] = None if content is None else sum(file["size"] for file in content["files"].values())
        records.append(record)
    return records


def _zoo_table(records: list[dict[str, Any]]) -> Table:
    shown = Table(
        Column("preset", no_wrap=True),
        "family",
        "in-distribution",
        "looks at",
        "parameters",
        "size",
        "where",
        "score",
        "AUROC, worst and best set",
    )
    for record in records:
        if record["family"] is None:
            shown.add_row(record["preset"], *["-"] * 5, record["where"], "-", "-")
            continue
        auroc = sorted(record["auroc"].items(), key=lambda item: item[1])
        shown.add_row(
            record["preset"],
            record["family"],
            record["in_distribution"],
            record["encoder"],
            f"{record['parameters']:,}",
            f"{record['bytes'] / 2**20:.2f} MiB",
            record["where"],
            record["default_score"],
            f"{auroc[0][1]:.3f} {auroc[0][0]}, {auroc[-1][1]:.3f} {auroc[-1][0]}",
        )
    return shown


def _on_the_hub(pattern: str) -> list[dict[str, Any]]:
    from keras_ood.hub.pull import HUB_ERRORS, client, first_line

    try:
        models = [model for model in client().list_models(filter="keras_ood") if fnmatch.fnmatch(model.id, pattern)]
    except HUB_ERRORS as error:
        raise OSError(f"The Hub did not give its list: {first_line(error)}") from error
    return [
        {
            "preset": model.id,
            "downloads": model.downloads,
            "likes": model.likes,
            "changed": None if model.last_modified is None else f"{model.last_modified:%Y-%m-%d}",
        }
        for model in models
    ]


def publish(
    presets: Annotated[
        list[str] | None,
        typer.Argument(help="Zoo names or preset folders.", metavar="[PRESETS]...", autocompletion=completion.models),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every preset of the zoo.")] = False,
    repo: Annotated[
        str | None, typer.Option(help=f"Repository, user/repo; of a zoo preset {NAMESPACE}/NAME if absent.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show files, sizes and card; send nothing.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Create the repository as a private one.")] = False,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request.")] = False,
    message: Annotated[str | None, typer.Option("--message", help="Of the commit.")] = None,
    as_json: Json = False,
) -> None:
    """Publish presets on the Hugging Face Hub, one commit each, and pin the commits in the zoo's manifest.

    Example: keras-ood publish my-detector/ --repo me/my-detector --dry-run
    """
    with computing():
        from keras_ood.cards import card
        from keras_ood.hub.push import push

        known = handles.list_models()
        names = known if everything else presets or []
        if not names or (presets and everything):
            raise ValueError(f"`publish` takes presets or --all. Received: {presets or 'neither'}")
        if repo and len(names) > 1:
            raise ValueError(f"--repo goes with one preset. Received: {names}")
        records: list[dict[str, Any]] = []
        for name in names:
            zoo = name in known
            folder = handles.resolve(name, source="embedded") if zoo else Path(name)
            target = repo or (f"{NAMESPACE}/{name}" if zoo else None)
            if target is None:
                raise ValueError(f"A preset that is not the zoo's needs --repo user/repo. Received: {name!r}")
            target, _ = handles.parse_repository(target)
            if not zoo:
                card.address(folder, target)
            if dry_run:
                records.append({"preset": name, "repo_id": target, **_contents(folder)})
                continue
            published = push(folder, target, private=private or None, create_pr=create_pr, commit_message=message)
            done = published.pull_request or ("new commit" if published.created else "unchanged, no commit")
            err.print(f"{published.repo_id}@{published.revision}: {done}")
            records.append({"preset": name, **asdict(published)})
            if target == f"{NAMESPACE}/{name}" and not create_pr:  # a copy elsewhere is not the zoo's
                handles.pin(name, published.repo_id, published.revision)
        if dry_run:
            show(records, as_json, lambda: Group(*map(_plan, records)), "the same without --dry-run")
            return
        repositories = [record["repo_id"] for record in records]
        show(records, as_json, lambda: f"Published {', '.join(repositories)}", command("info", repositories[0]))


def _contents(folder: Path) -> dict[str, Any]:
    """What would be sent."""
    from keras_ood.hub.push import read_publishable

    content = read_publishable(folder)
    own = folder / preset.PRESET
    files = [{"file": preset.PRESET, "bytes": own.stat().st_size, "sha256": preset.sha256(own)}]
    files += [{"file": name, "bytes": file["size"], "sha256": file["sha256"]} for name, file in content["files"].items()]
    return {"files": files, "card": (folder / preset.CARD).read_text()}


def _plan(record: dict[str, Any]) -> Group:
    files = [file | {"sha256": file["sha256"][:16]} for file in record["files"]]
    title = f"{record['preset']} -> {record['repo_id']}: nothing was sent"
    return Group(table(files, title), Text(record["card"]))
