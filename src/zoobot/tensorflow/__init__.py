"""Training and prediction with Keras 3, on TensorFlow or, with `KERAS_BACKEND=jax`, on JAX."""

import os

from zoobot.errors import require_extra

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow tells what it found on the machine
require_extra("tensorflow", ["tensorflow", "keras"])


def _import_quietly() -> None:
    """Import TensorFlow, whose libraries write to the terminal before any log level of theirs holds."""
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


_import_quietly()
