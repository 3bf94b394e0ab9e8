"""A callback from functions."""

from deepen.training.callback import Callback


class Hooks(Callback):
    """A callback whose methods are the given functions, for example `Hooks(step=lambda: ...)`."""

    def __init__(self, **methods):
        vars(self).update(methods)
