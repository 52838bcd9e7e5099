"""The likelihood of volunteers' votes as a loss, in PyTorch; formula and source are in `zoobot.shared.dirichlet`."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def calculate_multiquestion_loss(
    labels: Tensor, predictions: Tensor, question_index_groups: Sequence[tuple[int, int]]
) -> Tensor:
    """Negative Dirichlet-multinomial log-likelihood of every question at once.

    Args:
        labels: votes `(galaxy, answer)`, at least 0; fractional (weighted) votes are allowed.
        predictions: concentrations `(galaxy, answer)`, positive.
        question_index_groups: first and last column of each question, both included, side by side.

    Returns:
        `(galaxy, question)`, in float32 whatever the model's precision (float64 stays float64); exactly 0 where a
        galaxy has no votes for a question.
    """
    precision = torch.float64 if predictions.dtype == torch.float64 else torch.float32
    votes, concentrations = labels.to(precision), predictions.to(precision)
    questions = _question_of_each_answer(question_index_groups, votes.device)

    def sum_by_question(values: Tensor) -> Tensor:
        sums = values.new_zeros(len(values), len(question_index_groups))
        return sums.index_add(1, questions, values)

    n, total = sum_by_question(votes), sum_by_question(concentrations)
    per_answer = torch.lgamma(votes + concentrations) - torch.lgamma(concentrations) - torch.lgamma(votes + 1)
    log_likelihood = torch.lgamma(n + 1) + torch.lgamma(total) - torch.lgamma(n + total) + sum_by_question(per_answer)
    return -log_likelihood


def get_multiquestion_loss(
    question_index_groups: Sequence[tuple[int, int]],
) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss `loss(labels, predictions)`: summed over questions, averaged over galaxies.

    schema = schemas.get_schema("gz2")
    multiquestion_loss = losses.get_multiquestion_loss(schema.question_index_groups)
    """

    def multiquestion_loss(labels: Tensor, predictions: Tensor) -> Tensor:
        return calculate_multiquestion_loss(labels, predictions, question_index_groups).sum(dim=1).mean()

    return multiquestion_loss


def _question_of_each_answer(question_index_groups: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    positions = [
        position for position, (first, last) in enumerate(question_index_groups) for _ in range(first, last + 1)
    ]
    return torch.tensor(positions, device=device)
