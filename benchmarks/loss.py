"""How fast the multi-question loss is, forward and backward: all questions at once against a loop over questions.

python benchmarks/loss.py
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Categorical

from zoobot.pytorch.training.losses import calculate_multiquestion_loss
from zoobot.shared.schemas import get_schema


def loop_over_questions(labels: Tensor, predictions: Tensor, groups: list[tuple[int, int]]) -> Tensor:
    losses = []
    for first, last in groups:
        votes, concentrations = labels[:, first : last + 1], predictions[:, first : last + 1]
        n, total = votes.sum(1), concentrations.sum(1)
        per_answer = torch.lgamma(votes + concentrations) - torch.lgamma(concentrations) - torch.lgamma(votes + 1)
        losses.append(-(torch.lgamma(n + 1) + torch.lgamma(total) - torch.lgamma(n + total) + per_answer.sum(1)))
    return torch.stack(losses, 1)


def rate(loss: Callable[[Tensor, Tensor, list[tuple[int, int]]], Tensor], name: str, batch_size: int) -> float:
    groups = get_schema(name).question_index_groups
    n_answers = groups[-1][1] + 1
    votes = Categorical(torch.ones(40)).sample((batch_size, n_answers)).float()
    predictions = (torch.rand(batch_size, n_answers) * 100 + 0.05).requires_grad_()
    loss(votes, predictions, groups).sum().backward()
    start, repeats = time.perf_counter(), 50
    for _ in range(repeats):
        loss(votes, predictions, groups).sum().backward()
    return (time.perf_counter() - start) / repeats


def main() -> None:
    print(f"{'tree':22}{'batch':>6}{'at once':>12}{'loop':>12}   milliseconds per step")
    for name in ("gz2", "gz-evo-v2"):
        for batch_size in (32, 512):
            times = [rate(loss, name, batch_size) * 1e3 for loss in (calculate_multiquestion_loss, loop_over_questions)]
            print(f"{name:22}{batch_size:6}{times[0]:12.2f}{times[1]:12.2f}")


if __name__ == "__main__":
    main()
