"""`python -m keras_ood.cli`."""

from keras_ood.cli.main import main

main()
