"""Presets travel: huggingface_hub's own client, unmodified, against a Hub on loopback."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import huggingface_hub
import keras
import numpy as np
import pytest
from hub_server import Fault
from huggingface_hub import ModelCard
from typer.testing import CliRunner

import keras_ood
from keras_ood import PresetError
from keras_ood.cli import console, main
from keras_ood.cli import hub as cli_hub
from keras_ood.hub import handles, manifest, preset
from keras_ood.hub.preset import DamagedFileError
from keras_ood.hub.pull import pull
from keras_ood.hub.push import push

pytestmark = pytest.mark.once_on_jax

ROOT = Path(keras_ood.__file__).parents[1]


def changed(folder, note):
    """Make a preset another one: its `preset.json` and card differ, its weights do not."""
    (folder / "README.md").write_text((folder / "README.md").read_text() + f"\n{note}\n")
    preset.seal(folder, preset.read(folder) | {"note": note})
    return folder


def commit_files(hub, repo, files):
    """Commit behind the client's back."""
    repository = hub.repositories[repo]
    operations = [
        {"key": "file", "value": {"path": path, "content": base64.b64encode(content).decode()}}
        for path, content in files.items()
    ]
    repository.commit(operations, "by hand", "refs/heads/main", repository.resolve("main"))


def note_of(folder):
    return preset.read(folder).get("note")


def test_a_preset_travels_bit_for_bit(repo, pretrained, digits):
    """`push_to_hub`, then `from_pretrained` of the repository: the same weights, calibration and scores."""
    published = pretrained.push_to_hub(repo, note="mine")
    assert len(published.revision) == 40
    again = keras_ood.from_pretrained(repo)
    for mine, theirs in zip(pretrained.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(again.score(digits[1]), pretrained.score(digits[1]))
    np.testing.assert_array_equal(again.p_values(digits[1]), pretrained.p_values(digits[1]))
    np.testing.assert_array_equal(
        keras_ood.from_pretrained(f"hf://{repo}@{published.revision}").score(digits[1][:9]), again.score(digits[1][:9])
    )


def test_plain_keras_loads_it(repo, folder, pretrained, digits):
    """`keras.saving.load_model("hf://user/repo")` gives a calibrated detector."""
    push(folder, repo)
    detector = keras.saving.load_model(f"hf://{repo}")
    np.testing.assert_array_equal(detector.p_values(digits[1]), pretrained.p_values(digits[1]))


def test_one_commit_a_tag_and_a_valid_card(hub, repo, folder):
    """All files in one commit under the version's tag; large ones beside git; what is no file of the preset goes."""
    published = push(folder, repo)
    repository = hub.repositories[repo]
    assert repository.git("rev-list", "--count", "main") == b"2"  # the repository's own first one, and ours
    assert repository.resolve(f"refs/tags/v{keras_ood.__version__}") == published.revision == repository.resolve("main")
    files = repository.tree("main")
    assert set(files) == {path.name for path in folder.iterdir()}
    assert "lfs" in files["model.weights.h5"]
    for name, entry in files.items():
        assert repository.read(entry) == (folder / name).read_bytes()
    assert ModelCard(repository.read(files["README.md"]).decode()).data.library_name == "keras"
    (folder / "samples.png").unlink(missing_ok=True)
    (folder / "results.csv").unlink()
    preset.seal(folder, preset.read(folder))
    push(folder, repo)
    assert "results.csv" not in repository.tree("main")


def test_only_the_presets_own_files_are_sent(hub, repo, folder):
    """What else lies in the folder stays at home; a `preset.json` that lists such a file is refused before anything is sent."""
    (folder / "labels_of_patients.csv").write_text("mine")
    push(folder, repo)
    assert "labels_of_patients.csv" not in hub.repositories[repo].tree("main")
    content = preset.read(folder)
    content["files"]["labels_of_patients.csv"] = preset.File(size=4, sha256=preset.sha256(folder / "labels_of_patients.csv"))
    (folder / "preset.json").write_text(json.dumps(content))
    hub.requests.clear()
    with pytest.raises(PresetError, match=r"publishes no files but .*Received: .*labels_of_patients.csv"):
        push(folder, repo)
    assert hub.requests == []


def test_an_unchanged_preset_makes_no_commit(repo, folder):
    """Publishing the same files again gives the same revision, and the version's tag names it."""
    first = push(folder, repo)
    assert first.created
    again = push(folder, repo)
    assert not again.created
    api = huggingface_hub.HfApi()
    assert again.revision == first.revision == api.model_info(repo).sha
    assert {tag.name: tag.target_commit for tag in api.list_repo_refs(repo).tags} == {
        f"v{keras_ood.__version__}": first.revision
    }


def test_what_is_there_is_not_sent_again(hub, repo, folder):
    """An unchanged preset moves no file and asks for no commit."""
    push(folder, repo)
    hub.requests.clear()
    push(folder, repo)
    assert not [line for line in hub.requests if line.startswith("PUT") or "/commit/" in line]


def test_an_old_revision_stays_pinned(repo, folder):
    """Commits and tags give what they gave; the branch gives the newest."""
    first = push(folder, repo)
    second = push(changed(folder, "second"), repo)
    assert note_of(pull(repo)) == "second"
    assert note_of(pull(repo, first.revision)) is None
    assert note_of(pull(repo, f"v{keras_ood.__version__}")) is None  # a tag is a pin: it does not move
    assert note_of(handles.resolve(f"hf://{repo}@{second.revision}")) == "second"
    assert note_of(handles.resolve(repo, revision=first.revision)) is None


def test_a_branch_that_moves_meanwhile_mixes_nothing(hub, repo, folder, tmp_path):
    """The branch moves after `preset.json` was fetched: every file is of the commit before."""
    first = push(folder, repo)
    other = changed(shutil.copytree(folder, tmp_path / "other"), "moved")
    hub.faults.append(Fault("GET /me/detector/resolve/.*/config.json", before=lambda: push(other, repo)))
    assert pull(repo).name == first.revision
    assert hub.faults[0].times == 0
    assert note_of(pull(repo)) == "moved"


def test_an_interrupted_download_goes_on(hub, repo, folder, monkeypatch):
    """The connection breaks within the weights: the rest is asked for, not all of it."""
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 2**16)  # of 10 MB, which the client resumes by
    push(folder, repo)
    hub.faults.append(Fault("GET /lfs/", truncate=1000))
    preset.verify(pull(repo), preset.read(folder))
    assert any("bytes=" in line for line in hub.requests)


def test_a_corrupted_file_does_not_stay(hub, repo, folder, cache):
    """One bit turned on the way: the error names file, expected and found; the cache is rid of it, the next pull whole."""
    push(folder, repo)
    hub.faults.append(Fault("GET /lfs/", corrupt=True))
    with pytest.raises(DamagedFileError, match=r"Expected sha256: [0-9a-f]{64}\. Received: [0-9a-f]{64}") as caught:
        pull(repo)
    name = caught.value.path.name
    assert name.endswith((".h5", ".png"))
    assert not list(cache.rglob(name))
    expected = preset.read(folder)["files"][name]["sha256"]
    assert not [path for path in cache.rglob("*") if path.is_file() and path.name == expected]
    preset.verify(pull(repo), preset.read(folder))


def test_a_damaged_preset_json_does_not_stay(hub, repo, folder):
    """One bit of the small file that names the others' digests: noticed by its hash in git, and fetched anew the next time."""
    push(folder, repo)
    hub.faults.append(Fault("GET /me/detector/resolve/.*/preset.json", corrupt=True))
    with pytest.raises(DamagedFileError, match="Expected git hash"):
        pull(repo)
    assert pull(repo).joinpath("preset.json").read_bytes() == (folder / "preset.json").read_bytes()


def test_a_preset_json_that_is_none_does_not_stay(hub, repo, folder):
    """A repository whose `preset.json` cannot be read is refused; once it is mended, the cache is no hindrance."""
    push(folder, repo)
    whole = hub.repositories[repo].resolve("main")
    commit_files(hub, repo, {"preset.json": b"[]"})
    with pytest.raises(PresetError, match=r"Expected a preset.json"):
        pull(repo)
    assert pull(repo, whole).name == whole


def test_files_larger_than_they_say_are_not_fetched(hub, repo, folder):
    """A file beyond its declared size, or a `preset.json` beyond all use, is refused before its content is asked for."""
    push(folder, repo)
    commit_files(hub, repo, {"config.json": b" " * 10**6})
    hub.requests.clear()
    with pytest.raises(PresetError, match=r"config.json of me/detector must have at most .* bytes. Received: 1000000"):
        pull(repo)
    assert not [line for line in hub.requests if line.startswith("GET") and line.endswith("config.json")]
    commit_files(hub, repo, {"preset.json": b" " * (2**20 + 1)})
    with pytest.raises(PresetError, match=r"preset.json of me/detector must have at most 1048576 bytes. Received: 1048577"):
        pull(repo)


def test_a_transfer_that_breaks_for_good(hub, repo, folder, monkeypatch):
    """After the client's own retries the error is one line that names the repository."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    push(folder, repo)
    hub.faults.append(Fault("GET /lfs/", truncate=1000, times=99))
    with pytest.raises(OSError, match="did not give me/detector") as caught:
        pull(repo)
    assert "\n" not in str(caught.value)


def test_the_caches_links_may_be_two_deep(repo, folder, cache, request):
    """huggingface_hub may keep a blob in a store shared by all repositories, with a link from the repository's blobs."""
    request.getfixturevalue("hub")
    push(folder, repo)
    path = pull(repo) / "model.weights.h5"
    blob = path.resolve()
    shared = cache / "blobs" / "ab" / blob.name
    shared.parent.mkdir(parents=True)
    blob.rename(shared)
    blob.symlink_to(shared)
    keras_ood.from_pretrained(repo)
    outside = cache.parent / blob.name
    shared.rename(outside)
    shared.symlink_to(outside)
    with pytest.raises(PresetError, match="lie in its own folder"):
        keras_ood.from_pretrained(repo)


@pytest.mark.parametrize(
    ("at", "status", "message"),
    [
        ("GET /api/models", 401, "shows no repository me/detector"),
        ("GET /api/models", 403, "did not give me/detector.*403"),
        ("HEAD /me/detector/resolve/.*/config.json", 404, "did not give me/detector"),
        ("GET /api/models", 429, "did not give me/detector.*429"),
        ("GET /api/models", 500, "did not give me/detector.*500"),
        ("GET /lfs/", 503, "did not give me/detector.*503"),
    ],
)
def test_refusals_are_errors_in_a_line(hub, repo, folder, at, status, message):
    """Every refusal is an `OSError` of one line that names the repository, and the same call goes on once the Hub is well."""
    push(folder, repo)
    hub.faults.append(Fault(at, status=status, times=99))
    with pytest.raises(OSError, match=message) as caught:
        pull(repo)
    assert "\n" not in str(caught.value)
    hub.faults.clear()
    preset.verify(pull(repo), preset.read(folder))


def test_what_is_not_there(repo, folder):
    """No such repository or revision; a private repository without a token."""
    with pytest.raises(FileNotFoundError, match=rf"no repository {repo}.*Received: '{repo}'"):
        pull(repo)
    push(folder, repo, private=True)
    with pytest.raises(FileNotFoundError, match="no such branch, tag or commit"):
        pull(repo, "v9")
    with pytest.raises(FileNotFoundError, match="asks for a token"):
        pull(repo, token=False)


def test_a_repository_without_a_preset(hub):
    """It is said which repository lacks what."""
    hub.create("me/empty")
    with pytest.raises(OSError, match=r"did not give me/empty.*preset\.json"):
        pull("me/empty")


def test_without_the_network(hub, repo, folder, cache, tmp_path, monkeypatch):
    """A warm cache serves branch, tag and commit offline, by argument, by `HF_HUB_OFFLINE`, while the Hub is ill."""
    first = push(folder, repo)
    pull(repo)
    monkeypatch.setattr(hub, "faults", [Fault("", status=500, times=10**6)])
    assert pull(repo).name == first.revision  # the Hub is ill: the branch as it was last seen
    for revision in (None, "main", first.revision):
        hub.requests.clear()
        assert pull(repo, revision, local_files_only=True).name == first.revision
        assert hub.requests == []
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert pull(repo).name == first.revision
    assert hub.requests == []
    with pytest.raises(OSError, match="Hub and cache did not give"):
        pull(repo, cache_dir=tmp_path / "cold")


def test_publishing_fails_half_way(hub, repo, folder):
    """A refused commit leaves the repository as it was; the next try sends only what is missing."""
    before = push(folder, repo)
    changed(folder, "new")
    weights = folder / "samples.png"
    weights.write_bytes(b"a new large file")
    preset.seal(folder, preset.read(folder))
    hub.faults.append(Fault("POST /api/models/me/detector/commit", status=500, times=99))
    with pytest.raises(OSError, match=r"is as it was, [0-9a-f]{40}: nothing was committed. Publish again"):
        push(folder, repo)
    assert hub.repositories[repo].resolve("main") == before.revision
    assert note_of(pull(repo)) is None
    hub.faults.clear()
    hub.requests.clear()
    push(folder, repo)
    assert note_of(pull(repo)) == "new"
    assert not [line for line in hub.requests if line.startswith("PUT")]


def test_an_answer_that_is_lost(hub, repo, folder):
    """The commit is made, its answer lost: the message does not claim that nothing happened; the next try says unchanged."""
    push(folder, repo)
    hub.faults.append(Fault("POST /api/models/me/detector/commit", lose=True))
    with pytest.raises(OSError, match=r"has moved to [0-9a-f]{40}: somebody else's commit, or ours"):
        push(changed(folder, "new"), repo)
    assert not push(folder, repo).created
    assert note_of(pull(repo)) == "new"


def test_a_repository_of_something_else_is_not_overwritten(hub, folder):
    """Publishing deletes what is no file of the preset: only where a preset is already."""
    hub.create("me/novel")
    commit_files(hub, "me/novel", {"chapter-1.txt": b"It was"})
    with pytest.raises(FileExistsError, match=r"repository of its own.*chapter-1.txt"):
        push(folder, "me/novel")
    assert "chapter-1.txt" in hub.repositories["me/novel"].tree("main")


def test_publishing_beside_somebody_else(hub, repo, folder, tmp_path):
    """A commit that came between is not overwritten."""
    push(folder, repo)
    other = changed(shutil.copytree(folder, tmp_path / "other"), "theirs")
    hub.faults.append(Fault("POST /api/models/me/detector/preupload", before=lambda: push(other, repo)))
    with pytest.raises(OSError, match=r"has moved to [0-9a-f]{40}: somebody else's commit"):
        push(changed(folder, "mine"), repo)
    assert note_of(pull(repo)) == "theirs"


def test_a_tag_that_failed_is_set_the_next_time(hub, repo, folder):
    """The commit stands, the error says so; publishing again only tags it."""
    hub.faults.append(Fault("POST /api/models/me/detector/tag", status=500, times=99))
    with pytest.raises(OSError, match=f"but not the tag v{keras_ood.__version__}"):
        push(folder, repo)
    hub.faults.clear()
    again = push(folder, repo)
    assert not again.created
    assert hub.repositories[repo].resolve(f"refs/tags/v{keras_ood.__version__}") == again.revision


def test_a_pull_request(repo, folder):
    """The branch stays; the request's reference loads."""
    before = push(folder, repo)
    asked = push(changed(folder, "asked"), repo, create_pr=True)
    assert asked.pull_request.endswith("/discussions/1")
    assert huggingface_hub.HfApi().model_info(repo).sha == before.revision
    assert note_of(handles.resolve(f"hf://{repo}@refs/pr/1")) == "asked"


def test_writing_needs_the_right(hub, folder, monkeypatch):
    """Another's namespace and a missing token are refused in one message."""
    with pytest.raises(OSError, match="nothing was committed"):
        push(folder, "others/detector")
    with pytest.raises(OSError, match="nothing was committed"):
        push(folder, "me/detector", token=False)


def test_damaged_presets_are_not_published(hub, folder):
    """What would not load is not sent."""
    (folder / "config.json").write_text("{}")
    with pytest.raises(PresetError, match="damaged"):
        push(folder, "me/detector")
    assert hub.repositories == {}


def test_a_zoo_name_from_the_hub(hub, repo, folder):
    """With `source="hub"` a zoo name is its pinned commit, whose `preset.json` must have the manifest's digest."""
    with pytest.raises(ValueError, match="is in the package"):
        handles.resolve("tilted-vae-digits", source="hub")
    published = push(folder, repo)
    digest = preset.sha256(folder / "preset.json")
    manifest.record("tilted-vae-digits", manifest.Entry(digest, repo, published.revision))
    push(changed(folder, "later"), repo)
    assert handles.resolve("tilted-vae-digits", source="hub").name == published.revision
    assert note_of(handles.resolve("tilted-vae-digits", revision="main")) == "later"
    manifest.record("tilted-vae-digits", manifest.Entry("0" * 64, repo, published.revision))
    with pytest.raises(DamagedFileError, match=f"preset.json. Expected sha256: {'0' * 64}"):
        handles.resolve("tilted-vae-digits", source="hub")
    with pytest.raises(DamagedFileError, match=r"preset.json. Expected sha256: 0000"):
        handles.resolve("tilted-vae-digits")


def test_the_manifest_knows_the_zoo():
    """Every embedded preset has its digest there, and every revision is a whole commit hash."""
    for name, entry in manifest.entries().items():
        assert entry.preset_sha256 == preset.sha256(handles.resolve(name) / "preset.json")
        assert entry.revision is None or (len(entry.revision) == 40 and set(entry.revision) <= set("0123456789abcdef"))
    assert set(manifest.entries()) == {path.parent.name for path in handles.zoo_folder().glob("*/preset.json")}


def test_a_changed_preset_loses_its_pin(own_manifest):
    """A preset that was trained again is not what was published."""
    manifest.record("tilted-vae-digits", manifest.Entry("1" * 64, "me/detector", "a" * 40))
    manifest.renew("tilted-vae-digits", "1" * 64)
    assert manifest.entries()["tilted-vae-digits"].revision == "a" * 40
    manifest.renew("tilted-vae-digits", "2" * 64)
    assert manifest.entries()["tilted-vae-digits"] == manifest.Entry("2" * 64, "me/detector")


def run(*arguments):
    return CliRunner().invoke(main.app, list(arguments))


def test_publishing_from_the_command_line(hub, folder, monkeypatch):
    """A zoo preset is published, its commit pinned in the manifest; a copy elsewhere is not; --dry-run sends nothing."""
    monkeypatch.setattr(cli_hub, "NAMESPACE", "me")
    shown = run("publish", "tilted-vae-digits", "--dry-run")
    assert shown.exit_code == 0
    assert "model.weights.h5" in shown.stdout
    assert "library_name: keras" in shown.stdout
    assert hub.repositories == {}
    several = run("publish", "tilted-vae-digits", "inflow-grain", "--dry-run").stdout
    sent = sum(
        path.stat().st_size
        for name in ("tilted-vae-digits", "inflow-grain")
        for path in (handles.zoo_folder() / name).iterdir()
    )
    assert f"2 presets, {sent:,} bytes: nothing was sent" in several
    assert "library_name: keras" not in several
    assert run("publish", "tilted-vae-digits", "--repo", "me/copy").exit_code == 0
    assert manifest.entries()["tilted-vae-digits"].repo_id is None
    assert run("publish", "tilted-vae-digits").exit_code == 0
    entry = manifest.entries()["tilted-vae-digits"]
    assert (entry.repo_id, entry.revision) == ("me/tilted-vae-digits", hub.repositories["me/tilted-vae-digits"].resolve("main"))
    assert handles.resolve("tilted-vae-digits", source="hub").name == entry.revision
    assert run("publish", str(folder), "--repo", "me/other", "--private").exit_code == 0
    assert hub.repositories["me/other"].private
    assert "unchanged" in run("publish", str(folder), "--repo", "me/other").stderr
    assert "discussions/1" in run("publish", str(changed(folder, "new")), "--repo", "me/other", "--create-pr").stderr


def test_a_zoo_preset_that_the_package_lacks(hub, repo, folder, cache, tmp_path, monkeypatch):
    """It is found on the Hub, pulled at its pinned commit, and then listed as cached."""
    published = push(folder, repo)
    manifest.record("tilted-vae-digits", manifest.Entry(preset.sha256(folder / "preset.json"), repo, published.revision))
    (tmp_path / "no-zoo").mkdir()
    monkeypatch.setattr(handles, "zoo_folder", lambda: tmp_path / "no-zoo")
    assert handles.find("tilted-vae-digits") == (None, "on the Hub")
    assert handles.resolve("tilted-vae-digits").name == published.revision
    assert handles.find("tilted-vae-digits") == (pull(repo), "cached")
    with pytest.raises(ValueError, match=f"is in {repo}"):
        handles.resolve("tilted-vae-digits", source="embedded")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "takes presets or --all. Received: neither"),
        (["tilted-vae-digits", "--all"], "takes presets or --all"),
        (["a", "b", "--repo", "me/x"], "--repo goes with one preset"),
        (["some/folder"], "needs --repo user/repo. Received: 'some/folder'"),
        (["tilted-vae-digits", "--repo", "nowhere"], "A handle is a zoo name"),
        (["no/such", "--repo", "me/x"], "A preset folder holds preset.json"),
    ],
)
def test_publishing_what_cannot_be(hub, arguments, message):
    """One line on standard error that says what is accepted."""
    result = run("publish", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert hub.repositories == {}


def test_all_presets_go_one_after_the_other(hub, monkeypatch):
    """A failure in the middle keeps what is published, and the same command goes on from there."""
    monkeypatch.setattr(cli_hub, "NAMESPACE", "me")
    names = keras_ood.list_models()[:3]
    monkeypatch.setattr(handles, "list_models", lambda pattern="*": names)
    hub.faults.append(Fault(f"POST /api/models/me/{names[1]}/commit", status=500, times=99))
    assert run("publish", "--all").exit_code == 1
    assert [manifest.entries()[name].revision is not None for name in names] == [True, False, False]
    hub.faults.clear()
    first = manifest.entries()[names[0]].revision
    resumed = run("publish", "--all")
    assert resumed.exit_code == 0, resumed.stderr
    assert all(manifest.entries()[name].revision for name in names)
    assert manifest.entries()[names[0]].revision == first


def test_lists(hub, repo, folder, monkeypatch):
    """--hub lists what carries the library's tag."""
    monkeypatch.setattr(console.out, "width", 200)
    push(folder, repo)
    hub.create("me/something-else")
    listed = run("list", "--hub").stdout
    assert repo in listed
    assert "something-else" not in listed
    hub.faults.append(Fault("GET /api/models", status=403, times=99))
    assert "did not give its list" in run("list", "--hub").stderr


def test_commands_take_repositories(hub, repo, folder, images, tmp_path):
    """Every command that takes a model takes a repository, and a stranger's text does not reach the terminal as it is."""
    push(changed(folder, "[/red]\x1b[31m"), repo)
    shown = run("info", repo).stdout
    assert "files verified" in shown
    assert "\x1b" not in shown
    np.save(tmp_path / "images.npy", images)
    assert run("score", repo, str(tmp_path / "images.npy")).exit_code == 0


_PULL = """
import encodings.idna, os, sys  # that of names of hosts: nobody may not look into every folder of Python
from keras_ood.hub.pull import pull

def start(user):
    child = os.fork()
    if not child:
        os.seteuid(user)
        os.write(1, pull("me/detector", cache_dir=sys.argv[1]).name.encode() + b"\\n")  # at once: they share the pipe
        os._exit(0)
    return child

def wait(*children):
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)

wait(start(os.geteuid()), start(os.geteuid()))
for folder, _, files in os.walk(sys.argv[1], topdown=False):
    for file in files:
        if not os.path.islink(os.path.join(folder, file)):
            os.chmod(os.path.join(folder, file), 0o444)
    os.chmod(folder, 0o555)
wait(start(os.geteuid() or 65534))  # nobody, whom permissions bind, unlike root
for folder, _, _ in os.walk(sys.argv[1]):
    os.chmod(folder, 0o755)
"""


def test_two_processes_and_a_cache_that_cannot_be_written(hub, repo, folder):
    """Two pulls at once into one cache, the faster one made to wait and try again; then one by a user who may only read it."""
    revision = push(folder, repo).revision
    both = threading.Barrier(2)
    hub.faults.append(Fault("GET /lfs/", before=lambda: both.wait(300), times=2))
    with tempfile.TemporaryDirectory() as cache:  # not below `tmp_path`, where only its owner may look
        environment = os.environ | {"HF_HOME": cache, "PYTHONPATH": str(ROOT), "HF_HUB_DOWNLOAD_TIMEOUT": "2"}
        command = [sys.executable, "-c", _PULL, cache]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == 3 * [revision]
