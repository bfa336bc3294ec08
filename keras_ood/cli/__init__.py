"""The command `keras-ood`: a module for each group of commands.

Imports stand at the top of a file, but for what imports Keras: a command does that in its first lines, within
`errors_in_a_line`, so that a shell completes words without waiting for Keras.
"""
