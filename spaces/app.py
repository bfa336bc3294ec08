"""The app as a Hugging Face Space: copy this folder's files into one."""

from keras_ood.app import build

if __name__ == "__main__":
    build().launch()
