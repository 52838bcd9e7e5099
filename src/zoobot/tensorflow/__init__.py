"""Training and prediction with Keras 3, on TensorFlow or, with `KERAS_BACKEND=jax`, on JAX."""

import os

from zoobot.errors import require_extra

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow tells what it found on the machine
require_extra("tensorflow", ["tensorflow", "keras"])
