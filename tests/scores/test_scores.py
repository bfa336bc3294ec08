"""The score catalogue."""

import numpy as np
import pytest

from keras_ood import scores

STATISTICS = {
    "nll": np.array([1.0, 2.0], np.float32),
    "reconstruction": np.array([0.5, 1.0], np.float32),
    "kl": np.array([0.5, 1.0], np.float32),
    "squared_error": np.array([4.0, 9.0], np.float32),
    "local_contrast": np.array([0.09, 0.19], np.float32),
    "mahalanobis": np.array([3.0, 4.0], np.float32),
}
EXPECTED = {"nll": [1, 2], "reconstruction": [0.5, 1], "kl": [0.5, 1], "local_contrast": [20, 15], "mahalanobis": [3, 4]}


@pytest.mark.parametrize("name", scores.names())
def test_scores_are_what_their_docstrings_say(name):
    """Each score against a value computed by hand, from the statistics it declares and no others."""
    score = scores.get(name)
    needed = {key: STATISTICS[key] for key in score.needs}
    np.testing.assert_allclose(score(needed), EXPECTED[name], rtol=1e-6)


def test_available_scores():
    """A score is available where its statistics are."""
    assert scores.available(STATISTICS) == scores.names()
    assert scores.available(["nll", "local_contrast"]) == ["nll"]


def test_unknown_score():
    """The error lists the catalogue and a close name."""
    with pytest.raises(ValueError, match=r"one of \['nll', .*Did you mean 'nll'\? Received: 'nlll'"):
        scores.get("nlll")
