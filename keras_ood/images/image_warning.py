"""What is said of images that were left out."""


class ImageWarning(UserWarning):
    """Files, frames or images were left out, or images depend on each other."""
