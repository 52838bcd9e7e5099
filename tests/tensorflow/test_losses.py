import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from scipy.special import digamma

from zoobot.shared import dirichlet
from zoobot.shared.schemas import get_schema
from zoobot.tensorflow.training import losses

GROUPS = [(0, 2), (3, 4), (5, 9)]


def draw(n_galaxies=50, seed=0, groups=GROUPS):
    rng = np.random.default_rng(seed)
    n_answers = groups[-1][1] + 1
    votes = rng.integers(0, 40, (n_galaxies, n_answers)) * (rng.random((n_galaxies, n_answers)) < 0.7)
    return votes.astype(float), rng.uniform(0.05, 100, (n_galaxies, n_answers))


def loss_and_gradient(votes, concentrations, groups):
    predictions = tf.Variable(concentrations)
    with tf.GradientTape() as tape:
        loss = losses.calculate_multiquestion_loss(votes, predictions, groups)
        total = tf.reduce_sum(loss)
    return loss.numpy(), tape.gradient(total, predictions).numpy()


def true_loss_and_gradient(votes, concentrations, groups):
    by_question, spread = dirichlet.sum_by_question, dirichlet.spread_over_answers
    n, total = by_question(votes, groups), by_question(concentrations, groups)
    per_question = digamma(total) - digamma(n + total)
    gradient = -(spread(per_question, groups) + digamma(votes + concentrations) - digamma(concentrations))
    return -dirichlet.multiquestion_log_likelihood(votes, concentrations, groups), gradient


@pytest.fixture(scope="module")
def stripe_82(shared_data):
    """Real votes `(galaxy, answer)`, random concentrations in 1 to 101, and the groups of gz2."""
    table = pd.read_csv(shared_data / "gz2_stripe82" / "table5.csv.gz")
    starts = ["t01", "t02", "t04", "t03", "t05", "t06", "t07", "t09", "t10", "t11"]
    columns = [[c for c in table if c.startswith(start) and c.endswith("_count")] for start in starts]
    votes = table[[c for question in columns for c in question]].to_numpy(float)
    assert len(votes) == 19_761
    return votes, np.random.default_rng(0).uniform(1, 101, votes.shape), get_schema("gz2").question_index_groups


def test_float64_equals_numpy_on_the_votes_of_stripe_82(stripe_82):
    for found, truth in zip(loss_and_gradient(*stripe_82), true_loss_and_gradient(*stripe_82), strict=True):
        np.testing.assert_allclose(found, truth, rtol=1e-9, atol=1e-11)


def test_float32_is_close_on_the_votes_of_stripe_82(stripe_82):
    votes, concentrations, groups = stripe_82
    loss, gradient = loss_and_gradient(votes.astype(np.float32), concentrations.astype(np.float32), groups)
    assert_close(loss, gradient, *true_loss_and_gradient(*stripe_82))


def assert_close(loss, gradient, true_loss, true_gradient):
    assert loss.dtype == np.float32
    assert np.abs(loss.sum(axis=1, dtype=float) / true_loss.sum(axis=1) - 1).max() < 1e-4
    assert np.abs(loss - true_loss).max() < 1e-3
    assert np.abs(gradient - true_gradient).max() < 1e-5
    assert (loss[true_loss == 0] == 0).all()


TORCH_SIDE = """
import json, sys
import numpy as np, torch
from zoobot.pytorch.training import losses
given = np.load(sys.argv[1])
found = {}
for precision in (torch.float64, torch.float32):
    predictions = torch.tensor(given["concentrations"], dtype=precision, requires_grad=True)
    votes = torch.tensor(given["votes"], dtype=precision)
    loss = losses.calculate_multiquestion_loss(votes, predictions, json.loads(sys.argv[3]))
    loss.sum().backward()
    found |= {f"loss{precision}": loss.detach().numpy(), f"gradient{precision}": predictions.grad.numpy()}
assert "tensorflow" not in sys.modules
np.savez(sys.argv[2], **found)
"""


def test_equals_torch_in_a_process_of_its_own(stripe_82, torch_python, tmp_path):
    votes, concentrations, groups = stripe_82
    np.savez(tmp_path / "given.npz", votes=votes, concentrations=concentrations)
    words = [tmp_path / "given.npz", tmp_path / "found.npz", json.dumps(groups)]
    subprocess.run([torch_python, "-c", TORCH_SIDE, *map(str, words)], check=True)
    torch = np.load(tmp_path / "found.npz")
    loss, gradient = loss_and_gradient(*stripe_82)
    np.testing.assert_allclose(loss, torch["losstorch.float64"], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(gradient, torch["gradienttorch.float64"], rtol=1e-9, atol=1e-11)
    single = loss_and_gradient(votes.astype(np.float32), concentrations.astype(np.float32), groups)
    assert_close(*single, torch["losstorch.float32"].astype(float), torch["gradienttorch.float32"])


def test_is_exactly_0_without_votes():
    _, concentrations = draw()
    for run in (loss_and_gradient, tf.function(losses.calculate_multiquestion_loss, jit_compile=True)):
        found = run(np.zeros((50, 10), np.float32), concentrations.astype(np.float32), GROUPS)
        assert all((np.asarray(part) == 0).all() for part in found)


def test_xla_compiles_it():
    votes, concentrations = (values.astype(np.float32) for values in draw())
    compiled = tf.function(losses.get_multiquestion_loss(GROUPS), jit_compile=True)
    expected = true_loss_and_gradient(votes, concentrations, GROUPS)[0].sum(axis=1).mean()
    assert compiled(votes, concentrations).numpy() == pytest.approx(expected, rel=1e-4)


def test_sums_over_questions_and_averages_over_galaxies():
    votes, concentrations = draw(7)
    per_question, _ = loss_and_gradient(votes, concentrations, GROUPS)
    assert per_question.shape == (7, 3)
    loss = losses.get_multiquestion_loss(GROUPS)(votes, concentrations)
    assert float(loss) == pytest.approx(per_question.sum() / 7, rel=1e-5)


def test_half_precision_predictions_are_scored_in_float32():
    votes, concentrations = draw(5)
    half = tf.cast(concentrations, tf.bfloat16)
    loss = losses.calculate_multiquestion_loss(votes, half, GROUPS)
    assert loss.dtype == tf.float32
    truth, _ = true_loss_and_gradient(votes, tf.cast(half, tf.float64).numpy(), GROUPS)
    np.testing.assert_allclose(loss, truth, rtol=1e-4, atol=1e-3)


ON_JAX = """
import json, sys
import numpy as np
import keras
from keras import layers
from zoobot.tensorflow.training import losses
assert keras.backend.backend() == "jax"
given = np.load(sys.argv[1])
groups = json.loads(sys.argv[3])
loss = losses.calculate_multiquestion_loss(given["votes"], given["concentrations"], groups)
keras.utils.set_random_seed(0)
model = keras.Sequential([layers.Dense(10, activation="softplus")])
model.compile(keras.optimizers.SGD(1e-3), losses.get_multiquestion_loss(groups))
steps = [float(model.train_on_batch(given["concentrations"] / 100, given["votes"])) for _ in range(5)]
np.savez(sys.argv[2], loss=np.asarray(loss), steps=steps)
"""


def test_jax_computes_the_same_and_trains(tmp_path):
    pytest.importorskip("jax")
    votes, concentrations = draw()
    np.savez(tmp_path / "given.npz", votes=votes, concentrations=concentrations.astype(np.float32))
    words = [str(tmp_path / "given.npz"), str(tmp_path / "found.npz"), json.dumps(GROUPS)]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", ON_JAX, *words], check=True, env=environment)
    found = np.load(tmp_path / "found.npz")
    truth, _ = true_loss_and_gradient(votes, concentrations, GROUPS)
    np.testing.assert_allclose(found["loss"], truth, rtol=1e-4, atol=1e-3)
    assert found["steps"][-1] < found["steps"][0]
