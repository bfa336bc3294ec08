"""The layers of image flows: they hold the weights and make bijectors on call."""

from keras_ood.networks.flow.dense_block import DenseBlock
from keras_ood.networks.flow.flow import Flow
from keras_ood.networks.flow.glow_step import GlowStep
from keras_ood.networks.flow.map_block import MapBlock
from keras_ood.networks.flow.paper_block import PaperBlock


def paper(image_shape: tuple[int, int, int], depth: int = 2) -> Flow:
    """The flow of InFlow's reference implementation, for RGB images: `depth` blocks, one scale.

    56,326 parameters a block, at any size; 112,652 with the published two. Source: Kumar et al., arXiv 2106.12894.
    """
    if image_shape[2] != 3:
        raise ValueError(f'`architecture="paper"` takes images of 3 channels. Received: image_shape={image_shape}')
    return Flow([[PaperBlock(seed, name=f"block_{seed}") for seed in range(depth)]], squeezed=False, name="flow")


def multiscale(image_shape: tuple[int, int, int], depth: int = 4) -> Flow:
    """Glow's steps with small networks: `depth` at each of 2 scales, 3 where the sides are multiples of 8.

    Sides must be multiples of 4.
    """
    height, width, channels = image_shape
    if height % 4 or width % 4:
        raise ValueError(f'`architecture="multiscale"` needs sides that are multiples of 4. Received: {image_shape=}')
    scales = 2 if height % 8 or width % 8 else 3
    return Flow(
        [
            [GlowStep(channels * 2 ** (scale + 2), seed=step, name=f"scale_{scale}_step_{step}") for step in range(depth)]
            for scale in range(scales)
        ],
        squeezed=True,
        name="flow",
    )


def dense(event_shape: tuple[int], depth: int = 2) -> Flow:
    """`depth` blocks of two couplings over the features of a frozen encoder, as vectors of one pixel `(1, 1, features)`."""
    return Flow([[DenseBlock(*event_shape, seed, name=f"block_{seed}") for seed in range(depth)]], squeezed=False, name="flow")


def feature_maps(event_shape: tuple[int, int, int], depth: int = 1) -> Flow:
    """`depth` blocks of two couplings over the feature maps of a frozen encoder, each given 3x3 positions."""
    features = event_shape[-1]
    return Flow([[MapBlock(features, seed, name=f"block_{seed}") for seed in range(depth)]], squeezed=False, name="flow")


FLOWS = {"multiscale": multiscale, "paper": paper}
FEATURE_FLOWS = {"dense": dense, "feature_maps": feature_maps}
"""Of detectors over an encoder."""

__all__ = ["FEATURE_FLOWS", "FLOWS", "Flow", "dense", "feature_maps", "multiscale", "paper"]
