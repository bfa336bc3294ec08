"""The app: a page in the browser that says of images whether they are out-of-distribution. Needs the extra `app`."""

from keras_ood.app.page import build

__all__ = ["build"]
