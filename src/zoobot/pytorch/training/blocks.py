"""The blocks of an encoder, from its first to its last: which are trained, how fast, and which are frozen.

A timm model says itself which of its parts belong together (`group_matcher`); of another module each direct part is a
block. What comes after the last block (a final norm, say) belongs to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from timm.models._manipulate import group_with_matcher  # the public ones group parameters alone
from torch import nn

from zoobot.pytorch.estimators.recipes import Standardised
from zoobot.shared.finetuning_runs import refuse_too_many_blocks

_AFTER_THE_LAST = object()


@dataclass(frozen=True)
class Block:
    """A part of an encoder.

    Args:
        parameters: its own.
        modules: all modules in it, each of which is trained or frozen by itself.
    """

    parameters: list[nn.Parameter] = field(default_factory=list)
    modules: list[nn.Module] = field(default_factory=list)

    def let_learn(self, learns: bool) -> None:
        """Whether steps change its parameters. Of a frozen block, `hold_still` does the rest before each epoch."""
        for parameter in self.parameters:
            parameter.requires_grad_(learns)

    def hold_still(self) -> None:
        """Stop what training does beside steps: statistics of batch norm, dropout, stochastic depth."""
        for module in self.modules:
            module.training = False


def find_blocks(encoder: nn.Module) -> list[Block]:
    """The blocks of an encoder, from its first to its last."""
    model = encoder.model if isinstance(encoder, Standardised) else encoder
    matcher = getattr(model, "group_matcher", None)
    groups = _group_children(model) if matcher is None else _group_by(model, matcher(coarse=True))
    blocks = [_to_block(parts) for parts in groups]
    return [block for block in blocks if block.parameters]


def freeze_all_but(blocks: Sequence[Block], n_blocks: int) -> list[Block]:
    """Freeze all but the last `n_blocks`; returns the frozen ones."""
    refuse_too_many_blocks(n_blocks, len(blocks))
    n_frozen = len(blocks) - n_blocks
    for place, block in enumerate(blocks):
        block.let_learn(place >= n_frozen)
    return list(blocks[:n_frozen])


def parameter_groups(
    head: nn.Module, trained: Sequence[Block], learning_rate: float, lr_decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Groups for an optimiser: the head at the full rate, block `i` below it at `lr_decay ** i` of that.

    Weights decay; biases and norms do not.
    """
    parts = [list(head.parameters()), *(block.parameters for block in reversed(trained))]
    groups = []
    for depth, parameters in enumerate(parts):
        for decay, chosen in (
            (weight_decay, [parameter for parameter in parameters if parameter.ndim > 1]),
            (0.0, [parameter for parameter in parameters if parameter.ndim <= 1]),
        ):
            if chosen:
                groups.append({"params": chosen, "lr": learning_rate * lr_decay**depth, "weight_decay": decay})
    return groups


def _group_by(model: nn.Module, matcher: Any) -> list[list[Any]]:
    """What the matcher puts into one group; with what it puts nowhere, like a name that no model has, in the last."""
    named = [*model.named_parameters(), *model.named_modules(), ("after the last block", _AFTER_THE_LAST)]
    groups = list(group_with_matcher(iter(named), matcher, return_values=True).values())
    place = next(place for place, parts in enumerate(groups) if any(part is _AFTER_THE_LAST for part in parts))
    after = groups.pop(place)
    groups[-1].extend(after)
    return groups


def _group_children(model: nn.Module) -> list[list[Any]]:
    return [[*child.parameters(), *child.modules()] for child in model.children()] or [[*model.parameters(), model]]


def _to_block(parts: Sequence[Any]) -> Block:
    return Block(list(_of_type(parts, nn.Parameter)), list(_of_type(parts, nn.Module)))


def _of_type(parts: Sequence[Any], kind: type) -> Iterator[Any]:
    return (part for part in parts if isinstance(part, kind))
