"""Callbacks of a training, for `keras.Model.fit`."""
