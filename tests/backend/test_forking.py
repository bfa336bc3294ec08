"""A forked process says what is wrong in place of waiting for ever; one that was started anew works."""

import multiprocessing
import subprocess
import sys
import warnings

import numpy as np
import pytest

import keras_ood

IMAGES = np.zeros((4, 8, 8, 1), np.uint8)

USES = {
    "loading": lambda detector: keras_ood.from_pretrained("tilted-vae-digits"),
    "scoring": lambda detector: detector.score(IMAGES),
    "deciding": lambda detector: detector.detect(IMAGES),
    "reconstructing": lambda detector: detector.reconstruct(IMAGES),
    "sampling": lambda detector: detector.sample(2),
    "training": lambda detector: detector.fit(np.zeros((4, 16, 16, 1), np.float32), verbose=0),
    "building": lambda detector: keras_ood.models.TiltedVAE((8, 8, 1)),
}


def _use(use, detector, answers):
    try:
        use(detector)
        answers.send("it worked")
    except RuntimeError as error:
        answers.send(str(error))


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_forked_process_says_so(pretrained):
    """After the backend has computed in the parent, every entry is a `RuntimeError` that names the way out."""
    pretrained.score(IMAGES)
    context = multiprocessing.get_context("fork")
    for name, use in USES.items():
        mine, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_use, args=(use, pretrained, theirs))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's and JAX's own warnings of the fork
            child.start()
        try:
            assert mine.poll(30), f"{name} hangs"
            assert 'multiprocessing.get_context("spawn")' in mine.recv(), name
        finally:
            child.kill()
            child.join()


@pytest.mark.once
def test_a_process_of_its_own_works(pretrained):
    """`subprocess` forks too, and then runs another program: it is not held for a fork."""
    pretrained.score(IMAGES)
    program = "import keras_ood; print(keras_ood.from_pretrained('tilted-vae-digits').image_shape)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split("\n")[0] == "(16, 16, 1)"
