"""A few of the fuzzer's cases; `tools/fuzz.py` runs thousands."""

import fuzzing
import keras
import pytest

from keras_ood.models import TiltedVAE

# JAX compiles the resizing of each new size.
SEEDS, CASES = (4, 60) if keras.backend.backend() == "tensorflow" else (1, 25)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_generated_inputs_score_as_their_plain_arrays_or_are_refused(pretrained, tmp_path, seed):
    """Whatever holds the images, the score is that of the plain arrays; what is none is refused in clear words, in time."""
    keras.utils.set_random_seed(0)
    detectors = [pretrained, TiltedVAE((8, 8, 3), latent_dim=3, tilt=6.0)]
    found = list(fuzzing.run(detectors, 1000 + seed, iter(range(CASES)), tmp_path))
    assert {case.images is None for _, case, _ in found} == {True, False}
    assert [f"case {number}: {case.words}: {problem}" for number, case, problem in found if problem] == []
