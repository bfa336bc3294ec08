"""Maps of scores at every pixel, and the p-values of them."""

import numpy as np
from keras import ops

from keras_ood.images.preprocessing import resize


def test_fine_maps_are_what_heat_maps_rank(fresh):
    """Uncalibrated the map resized; calibrated the standardised map resized, and the heat map its p-values."""
    detector = fresh(image_shape=(40, 32, 1))
    generator = np.random.default_rng(0)
    images = generator.random((3, 40, 32, 1), np.float32)

    def resized(maps):
        return ops.convert_to_numpy(resize(ops.convert_to_tensor(maps[..., None]), (40, 32)))[..., 0]

    np.testing.assert_allclose(detector.fine_map(images), resized(detector.score_map(images)), rtol=1e-6)
    detector.calibrate_maps(generator.random((40, 40, 32, 1), np.float32))
    maps, fine = detector.calibrated.maps, detector.fine_map(images)
    np.testing.assert_allclose(fine, resized(maps.standardised(detector.score_map(images))), rtol=1e-5, atol=1e-5)
    assert fine.dtype == np.float32
    np.testing.assert_allclose(detector.heat_map(images), maps.p_values(fine), rtol=1e-6)
