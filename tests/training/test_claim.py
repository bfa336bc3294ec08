"""A training's folder that is not what a training left."""

import pytest

from keras_ood.training.claim import claim

pytestmark = pytest.mark.once


@pytest.mark.parametrize("content", ["", "[1]", "3", "[" * 100_000], ids=["empty", "list", "number", "deep"])
def test_settings_that_are_none_are_refused(content, tmp_path):
    """Whatever stands in the place of the settings: an error that names the file and the way out."""
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(ValueError, match=r"remove .* to begin anew\. Received: .*settings\.json \("):
        claim(tmp_path, {"epochs": 1})
