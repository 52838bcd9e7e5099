"""Training and prediction with Keras 3, on TensorFlow or, with `KERAS_BACKEND=jax`, on JAX."""

from zoobot.errors import require_extra

require_extra("tensorflow", ["tensorflow", "keras"])
