"""The command `keras-ood`: a module for each group of commands."""
