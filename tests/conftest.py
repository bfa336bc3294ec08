"""Fixtures shared by all tests, and what every run does: one seed, no network, quick compilation, no skip unasked, a budget."""

# ruff: noqa: E402

import importlib
import os
import socket
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

STARTED = time.monotonic()
BUDGETS = {"tensorflow": 600, "jax": 600}
"""Seconds that a whole run may take beside that of the other backend on two idle cores; told at the end, not enforced."""

REAL_HUB = os.environ.get("KERAS_OOD_HUB_TESTS") == "1"
if not REAL_HUB:  # before huggingface_hub is imported, which reads this once: no test reaches the real Hub
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{free.getsockname()[1]}"
    os.environ |= {"HF_HOME": tempfile.mkdtemp(), "HF_HUB_DISABLE_XET": "1"}
    os.environ.pop("HF_TOKEN", None)
os.environ["KERAS_OOD_EMBEDDINGS"] = tempfile.mkdtemp()
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two runs side by side share the cores; before NumPy is imported
# Before JAX is imported, here and in processes that tests start: compiling takes longer than what is compiled runs.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import keras
import numpy as np
import pytest
import skips
from browser import chromium as started_chromium
from hub_server import TOKEN, HubServer

import keras_ood
from keras_ood import datasets
from keras_ood.backend import devices
from keras_ood.models import TiltedVAE


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


@pytest.fixture
def tool(monkeypatch):
    """The function that imports a module of `tools`."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "tools")
    return importlib.import_module


@pytest.fixture(scope="session")
def digits():
    """The digits' `(training images, test images)`."""
    return datasets.load("digits", "train")[0], datasets.load("digits", "test")[0]


@pytest.fixture(scope="session")
def real():
    """The function that gives the images of a split of a real data set, which is not everywhere."""

    def load(name, split="test"):
        if "KERAS_OOD_DATA" not in os.environ:
            pytest.skip("KERAS_OOD_DATA is not set")
        if datasets.local_file(name, split) is None:
            pytest.skip(f"KERAS_OOD_DATA has no {split} images of {name}")
        return datasets.load(name, split)

    return load


@pytest.fixture(scope="session")
def pretrained():
    """The embedded preset; tests must not change it."""
    return keras_ood.from_pretrained("tilted-vae-digits")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser; a test goes to its own page first."""
    with started_chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="session")
def images():
    """Forty images of a size and kind that no preset has; they cannot be written."""
    made = np.random.default_rng(0).integers(0, 256, (40, 12, 14, 3), dtype=np.uint8)
    made.flags.writeable = False
    return made


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests: the client keeps its connections."""
    with HubServer(tmp_path_factory.mktemp("hub"), urlsplit(os.environ["HF_ENDPOINT"]).port) as running:
        yield running


@pytest.fixture
def hub(request, monkeypatch):
    """The server, empty, for tests that look inside it or make it fail."""
    if REAL_HUB:
        pytest.skip("the real Hub does not fail on demand")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    running = request.getfixturevalue("server")
    running.clear()
    return running


def small_vae(**settings):
    """A detector with fresh weights that takes milliseconds a batch."""
    return TiltedVAE(**{"image_shape": (8, 8, 1), "latent_dim": 3, "tilt": 6.0} | settings)


@pytest.fixture
def fresh():
    """The constructor `small_vae`."""
    return small_vae


@pytest.fixture
def float64():
    """Let JAX compute in float64 for one test; NumPy and TensorFlow do so unasked."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def pytest_configure(config):
    """Let JAX compile each program once for all tests and the processes they start, not once for each fresh model."""
    if keras.backend.backend() == "jax":
        import jax

        settings = {
            "jax_compilation_cache_dir": str(config.cache.mkdir("jax")),
            "jax_persistent_cache_min_compile_time_secs": 0,
            "jax_persistent_cache_min_entry_size_bytes": -1,
        }
        for name, value in settings.items():
            jax.config.update(name, value)
            os.environ[name.upper()] = str(value)


def pytest_addoption(parser):
    """`--check-gpu`: tests marked `gpu` fail, in place of being skipped, where no GPU computes."""
    parser.addoption("--check-gpu", action="store_true", help="fail tests marked gpu where the backend sees no GPU")


def pytest_runtest_setup(item):
    """Skip tests marked `gpu` on a machine without, unless they were asked for."""
    if item.get_closest_marker("gpu") and devices.gpu_name() is None:
        if item.config.getoption("--check-gpu"):
            pytest.fail("--check-gpu: the backend computes on a CPU")
        pytest.skip("no GPU")


def pytest_collection_modifyitems(config, items):
    """Leave out what is marked to run once, on the other backend."""
    elsewhere = "once" if keras.backend.backend() == "jax" else "once_on_jax"
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker(elsewhere)])
    items[:] = [item for item in items if not item.get_closest_marker(elsewhere)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Fail a skip of a test that is not allowed."""
    report = yield
    skips.check(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    """Fail a skip of a file that is not allowed."""
    report = yield
    skips.check(report)
    return report


def pytest_report_header(config):
    """Say which backend runs."""
    return f"keras backend: {keras.backend.backend()}"


def pytest_terminal_summary(terminalreporter):
    """Tell the time and its budget."""
    taken, budget = (
        f"{seconds // 60}:{seconds % 60:02}"
        for seconds in (round(time.monotonic() - STARTED), BUDGETS[keras.backend.backend()])
    )
    terminalreporter.write_line(f"time: {taken} of {budget} (two idle cores, both backends side by side)")
