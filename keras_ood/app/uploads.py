"""How the files are read that anybody may send."""

from keras_ood.images import Decoding

MOST_BYTES_OF_ONE = 2**26
MOST_PIXELS = 50_000_000

DECODING = Decoding(most_pixels=MOST_PIXELS)
