import numpy as np
import pandas as pd
import pytest
import torch

from zoobot.pytorch.training import losses
from zoobot.shared import dirichlet
from zoobot.shared.schemas import get_schema

GROUPS = [(0, 2), (3, 4), (5, 9)]


def draw(n_galaxies=50, seed=0, groups=GROUPS):
    rng = np.random.default_rng(seed)
    n_answers = groups[-1][1] + 1
    votes = rng.integers(0, 40, (n_galaxies, n_answers)) * (rng.random((n_galaxies, n_answers)) < 0.7)
    return votes.astype(float), rng.uniform(0.05, 100, (n_galaxies, n_answers))


def test_equals_numpy_in_float64():
    votes, concentrations = draw()
    torch_loss = losses.calculate_multiquestion_loss(torch.tensor(votes), torch.tensor(concentrations), GROUPS)
    numpy_loss = -dirichlet.multiquestion_log_likelihood(votes, concentrations, GROUPS)
    np.testing.assert_allclose(torch_loss.numpy(), numpy_loss, rtol=1e-9, atol=1e-12)


def test_float32_is_close_on_the_votes_of_stripe_82(shared_data):
    table = pd.read_csv(shared_data / "gz2_stripe82" / "table5.csv.gz")
    starts = ["t01", "t02", "t04", "t03", "t05", "t06", "t07", "t09", "t10", "t11"]
    columns = [[c for c in table if c.startswith(start) and c.endswith("_count")] for start in starts]
    votes = table[[c for question in columns for c in question]].to_numpy(float)
    groups = get_schema("gz2").question_index_groups
    concentrations = np.random.default_rng(0).uniform(0.05, 100, votes.shape)
    single = losses.calculate_multiquestion_loss(
        torch.tensor(votes, dtype=torch.float32), torch.tensor(concentrations, dtype=torch.float32), groups
    )
    truth = -dirichlet.multiquestion_log_likelihood(votes, concentrations, groups)
    assert len(votes) == 19_761
    assert single.dtype == torch.float32
    assert np.abs(single.numpy() - truth).max() < 1e-3


def test_is_exactly_0_without_votes():
    _, concentrations = draw()
    predictions = torch.tensor(concentrations, dtype=torch.float32, requires_grad=True)
    loss = losses.calculate_multiquestion_loss(torch.zeros(50, 10), predictions, GROUPS)
    loss.sum().backward()
    assert (loss == 0).all()
    assert (predictions.grad == 0).all()


def test_gradients_equal_finite_differences():
    votes, concentrations = draw(4)
    predictions = torch.tensor(concentrations, requires_grad=True)
    labels = torch.tensor(votes)
    assert torch.autograd.gradcheck(
        lambda a: losses.calculate_multiquestion_loss(labels, a, GROUPS), predictions, eps=1e-5
    )


def test_10_of_20_votes_pull_harder_than_1_of_2():
    predictions = torch.tensor([[30.0, 3.0], [30.0, 3.0]], requires_grad=True)
    votes = torch.tensor([[10.0, 10.0], [1.0, 1.0]])
    losses.calculate_multiquestion_loss(votes, predictions, [(0, 1)]).sum().backward()
    many, few = predictions.grad.abs()
    assert (many > 3 * few).all()


def test_sums_over_questions_and_averages_over_galaxies():
    votes, concentrations = draw(7)
    labels, predictions = torch.tensor(votes), torch.tensor(concentrations)
    per_question = losses.calculate_multiquestion_loss(labels, predictions, GROUPS)
    assert per_question.shape == (7, 3)
    loss = losses.get_multiquestion_loss(GROUPS)(labels, predictions)
    assert loss.item() == pytest.approx(per_question.numpy().sum() / 7)


def test_half_precision_predictions_are_scored_in_float32():
    votes, concentrations = draw(5)
    half = torch.tensor(concentrations, dtype=torch.bfloat16)
    loss = losses.calculate_multiquestion_loss(torch.tensor(votes), half, GROUPS)
    assert loss.dtype == torch.float32
    np.testing.assert_allclose(
        loss, -dirichlet.multiquestion_log_likelihood(votes, half.double().numpy(), GROUPS), rtol=1e-4, atol=1e-3
    )
