"""What every bijector does, checked on a table of constructors, in float64."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ood import bijectors
from keras_ood.backend.tfp import tfb, tfd
from keras_ood.bijectors.broadcast import at_every_channel

pytestmark = pytest.mark.usefixtures("float64")
SHAPE = (4, 4, 4)  # height, width, channels
ATTENTIONS = (0.0, 0.3, 1.0)
RANDOM = np.random.default_rng(7)
WEIGHTS = {name: 0.4 * RANDOM.standard_normal((4, 4)) for name in ("lower", "upper", "network", "context")}
VECTOR = 0.5 * RANDOM.standard_normal(4)


def shift_and_log_scale(kept, attention):
    """A network with an activation that reads the attention, all in float64."""
    size, moved = kept.shape[-1], 4 - kept.shape[-1]
    hidden = ops.tanh(ops.matmul(kept, ops.convert_to_tensor(WEIGHTS["network"][:size])) + at_every_channel(attention))
    output = ops.matmul(hidden, ops.convert_to_tensor(WEIGHTS["context"]))
    return output[..., :moved], 3 * output[..., :moved] - 1


def coupling(attention, kept=2):
    return bijectors.AttentionCoupling(shift_and_log_scale, kept, attention)


def act_norm(attention):
    return bijectors.ActNorm(VECTOR, VECTOR[::-1].copy(), attention)


def convolution(attention):
    return bijectors.InvertibleConvolution(WEIGHTS["lower"], WEIGHTS["upper"], VECTOR, [2, 0, 3, 1], attention)


def factor_out(attention):  # two channels leave; squeezed, the other two are eight
    return bijectors.FactorOut(bijectors.ActNorm(np.tile(VECTOR, 2), np.tile(VECTOR, 2), attention))


BIJECTORS = {
    "coupling, first half kept": coupling,
    "coupling, last channel kept": lambda attention: coupling(attention, -1),
    "act-norm": act_norm,
    "convolution": convolution,
    "permutation": lambda attention: bijectors.ChannelPermutation([2, 0, 3, 1]),
    "squeeze": lambda attention: bijectors.Squeeze(),
    "factor-out": factor_out,
    "chain": lambda attention: bijectors.Chain(
        [act_norm(attention), convolution(attention), coupling(attention), factor_out(attention), coupling(attention, -3)]
    ),
}
ATTENDED = [name for name in BIJECTORS if name not in ("permutation", "squeeze")]


@pytest.fixture
def images():
    return ops.convert_to_tensor(np.random.default_rng(0).standard_normal((3, *SHAPE)))


def as_numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def jacobian(function, image):
    """The matrix of derivatives at one image, by autodiff of the active backend."""
    shape = image.shape

    def flat(vector):
        return ops.reshape(function(ops.reshape(vector, (1, *shape))), (-1,))

    vector = np.asarray(image).reshape(-1)
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.jacobian(flat)(ops.convert_to_tensor(vector)))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        variable = tf.convert_to_tensor(vector)
        tape.watch(variable)
        output = flat(variable)
    return tape.jacobian(output, variable).numpy()


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", BIJECTORS)
def test_inverse(name, attention, images):
    """The inverse undoes the forward pass and has the negated log-determinant, at every attention."""
    bijector = BIJECTORS[name](attention)
    y, log_det = bijector.forward_and_log_det(images)
    x, inverse_log_det = bijector.inverse_and_log_det(y)
    np.testing.assert_allclose(as_numpy(x), as_numpy(images), atol=1e-12)
    np.testing.assert_allclose(as_numpy(inverse_log_det), -as_numpy(log_det), atol=1e-12)
    assert as_numpy(y).dtype == np.float64
    assert log_det.shape == (3,)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", BIJECTORS)
def test_log_determinant_is_that_of_the_jacobian(name, attention, images):
    """The log-determinant agrees with the Jacobian that autodiff gives, at every attention."""
    bijector = BIJECTORS[name](attention)
    matrix = jacobian(lambda x: bijector.forward_and_log_det(x)[0], as_numpy(images)[0])
    expected = np.linalg.slogdet(matrix)[1]
    np.testing.assert_allclose(as_numpy(bijector.forward_and_log_det(images)[1])[0], expected, atol=1e-10)


@pytest.mark.parametrize("name", ATTENDED)
def test_without_attention_nothing_but_a_permutation_is_left(name, images):
    """At c = 0 the numbers of an image are those that came in, in some order, and the log-determinant is 0."""
    y, log_det = BIJECTORS[name](0.0).forward_and_log_det(images)
    np.testing.assert_allclose(np.sort(as_numpy(y).reshape(3, -1)), np.sort(as_numpy(images).reshape(3, -1)), atol=1e-14)
    np.testing.assert_array_equal(as_numpy(log_det), 0)
    full, log_det = BIJECTORS[name](1.0).forward_and_log_det(images)
    assert np.max(np.abs(as_numpy(full) - as_numpy(y))) > 0.1
    assert np.all(np.abs(as_numpy(log_det)) > 0.01)


@pytest.mark.parametrize("name", ATTENDED)
def test_attention_is_per_image(name, images):
    """A batch with an attention for each image gives what the images give alone."""
    attention = np.array(ATTENTIONS)
    y, log_det = BIJECTORS[name](ops.convert_to_tensor(attention)).forward_and_log_det(images)
    for index, value in enumerate(attention):
        alone, alone_log_det = BIJECTORS[name](value).forward_and_log_det(images[index : index + 1])
        np.testing.assert_allclose(as_numpy(y)[index], as_numpy(alone)[0], atol=1e-12)
        np.testing.assert_allclose(as_numpy(log_det)[index], as_numpy(alone_log_det)[0], atol=1e-12)


def of_positions(attention):
    """What leaves positions at their places."""
    return bijectors.Chain([coupling(attention), bijectors.ChannelPermutation([2, 0, 3, 1]), coupling(attention, -3)])


@pytest.mark.parametrize("attention", [*ATTENTIONS, "each image", "each position"])
def test_log_determinant_has_a_share_of_every_position(attention, images):
    """The shares sum up to the log-determinant, that of the Jacobian too where every position has an attention of its own."""
    each = {"each image": np.array(ATTENTIONS), "each position": np.random.default_rng(1).random((3, 4, 4))}
    bijector = of_positions(ops.convert_to_tensor(each[attention]) if attention in each else attention)
    y, log_det = bijector.forward_and_log_det(images)
    same, shares = bijector.forward_and_log_det_map(images)
    np.testing.assert_array_equal(as_numpy(same), as_numpy(y))
    assert shares.shape == (3, 4, 4)
    np.testing.assert_allclose(as_numpy(shares).sum(axis=(1, 2)), as_numpy(log_det), atol=1e-12)
    if attention == "each position":
        first = of_positions(ops.convert_to_tensor(each[attention][:1]))
        matrix = jacobian(first.forward, as_numpy(images)[0])
        np.testing.assert_allclose(as_numpy(log_det)[0], np.linalg.slogdet(matrix)[1], atol=1e-10)
        x, inverse_log_det = bijector.inverse_and_log_det(y)
        np.testing.assert_allclose(as_numpy(x), as_numpy(images), atol=1e-12)
        np.testing.assert_allclose(as_numpy(inverse_log_det), -as_numpy(log_det), atol=1e-12)


@pytest.mark.parametrize("name", ["act-norm", "convolution", "squeeze", "factor-out"])
def test_others_have_no_shares(name, images):
    with pytest.raises(NotImplementedError, match="does not leave positions at their places"):
        BIJECTORS[name](1.0).forward_and_log_det_map(images)


@pytest.mark.parametrize("name", BIJECTORS)
def test_methods_of_tfp(name, images):
    """TFP's own interface gives the same numbers, also inside a `TransformedDistribution`."""
    bijector = BIJECTORS[name](ops.convert_to_tensor(np.array(ATTENTIONS)))
    y, log_det = bijector.forward_and_log_det(images)
    np.testing.assert_allclose(as_numpy(bijector.forward(images)), as_numpy(y))
    np.testing.assert_allclose(as_numpy(bijector.inverse(y)), as_numpy(images), atol=1e-12)
    np.testing.assert_allclose(as_numpy(bijector.forward_log_det_jacobian(images, 3)), as_numpy(log_det))
    np.testing.assert_allclose(as_numpy(bijector.inverse_log_det_jacobian(y, 3)), -as_numpy(log_det), atol=1e-12)
    assert tuple(bijector.forward_event_shape(SHAPE)) == tuple(y.shape[1:])
    assert tuple(bijector.inverse_event_shape(y.shape[1:])) == SHAPE
    zeros = ops.zeros(y.shape[1:], "float64")
    prior = tfd.Independent(tfd.Normal(zeros, ops.ones_like(zeros)), 3)
    likelihood = tfd.TransformedDistribution(prior, tfb.Invert(bijector)).log_prob(images)
    expected = -0.5 * np.sum(as_numpy(y) ** 2, axis=(1, 2, 3)) - 32 * np.log(2 * np.pi) + as_numpy(log_det)
    np.testing.assert_allclose(as_numpy(likelihood), expected, rtol=1e-12)


def test_convolution_is_that_of_tfp(images):
    """At c = 1 and without permutation the convolution is TFP's `ScaleMatvecLU`."""
    lower, upper = WEIGHTS["lower"], WEIGHTS["upper"]
    ours = bijectors.InvertibleConvolution(lower, upper, VECTOR, range(4))
    packed = np.tril(lower, -1) + np.triu(upper, 1) + np.diag(np.exp(VECTOR))
    theirs = tfb.ScaleMatvecLU(ops.convert_to_tensor(packed), permutation=ops.arange(4, dtype="int32"))
    y, log_det = ours.forward_and_log_det(images)
    np.testing.assert_allclose(as_numpy(theirs.forward(images)), as_numpy(y), atol=1e-12)
    np.testing.assert_allclose(as_numpy(theirs.forward_log_det_jacobian(images, 3)), as_numpy(log_det)[0], atol=1e-12)


def test_squeeze_and_permutation_are_those_of_tfp(images):
    """Squeeze is space to depth as reshapes and a transposition of TFP; the permutation is TFP's."""
    theirs = tfb.Chain(
        [tfb.Reshape((2, 2, 16), (2, 2, 2, 2, 4)), tfb.Transpose(perm=[0, 2, 1, 3, 4]), tfb.Reshape((2, 2, 2, 2, 4), SHAPE)]
    )
    np.testing.assert_array_equal(as_numpy(bijectors.Squeeze().forward(images)), as_numpy(theirs.forward(images)))
    permutation = [2, 0, 3, 1]
    theirs = tfb.Permute(permutation)
    np.testing.assert_array_equal(
        as_numpy(bijectors.ChannelPermutation(permutation).forward(images)), as_numpy(theirs.forward(images))
    )


def test_log_scale_is_clamped(images):
    """However large the network's answer, a coupling scales by less than exp(clamp)."""
    huge = bijectors.AttentionCoupling(lambda kept, c: (0 * kept, 1e9 + 0 * kept), 2, clamp=1.5)
    _, log_det = huge.forward_and_log_det(images)
    np.testing.assert_allclose(as_numpy(log_det), 1.5 * 32, rtol=1e-6)
    assert np.all(as_numpy(log_det) <= 1.5 * 32)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: coupling(1.0, 0), "kept_channels.*Received: 0"),
        (lambda: bijectors.Chain([]), r"at least one.*Received: \[\]"),
        (lambda: bijectors.Squeeze().forward(ops.zeros((1, 3, 4, 1))), r"even sides.*Received: shape=\(1, 3, 4, 1\)"),
    ],
)
def test_bad_settings(build, message):
    """Settings without meaning are refused."""
    with pytest.raises(ValueError, match=message):
        build()
