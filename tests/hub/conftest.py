"""An empty repository, cache and manifest for each test; with `KERAS_OOD_HUB_TESTS=1` and a token, on the real Hub."""

import os
import shutil
import uuid

import huggingface_hub.constants
import pytest
from hub_server import USER

from keras_ood.hub import handles, manifest

REAL_HUB = os.environ.get("KERAS_OOD_HUB_TESTS") == "1"


@pytest.fixture
def repo(request):
    """Name of a repository that is not there yet and may be written."""
    if not REAL_HUB:
        request.getfixturevalue("hub")
        yield f"{USER}/detector"
        return
    api = huggingface_hub.HfApi()
    name = f"{api.whoami()['name']}/keras-ood-test-{uuid.uuid4().hex[:8]}"
    yield name
    api.delete_repo(name, missing_ok=True)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def own_manifest(tmp_path, monkeypatch):
    """A copy of the manifest, which a test may write."""
    monkeypatch.setattr(manifest, "FILE", shutil.copy(manifest.FILE, tmp_path / "manifest.json"))


@pytest.fixture
def folder(tmp_path):
    """A copy of the embedded preset."""
    return shutil.copytree(handles.resolve("tilted-vae-digits"), tmp_path / "copy")
