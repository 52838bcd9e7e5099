"""The blocks of an encoder, from its first to its last: which are trained, how fast, and which are frozen.

A block is what works at one resolution: in EfficientNet and ResNet the stem and four stages. Of an encoder that does
not tell the size of what goes through its layers, each layer is a block. What comes after the last (a final norm, say)
belongs to it.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, groupby
from typing import Any

import keras
from keras import layers

from zoobot.errors import ModelError, SettingError
from zoobot.shared.finetuning_runs import refuse_too_many_blocks
from zoobot.tensorflow.estimators.recipes import layers_of

Block = list[keras.Layer]


def find_blocks(encoder: keras.Model) -> list[Block]:
    """The blocks of a built encoder, each the layers in it, from its first to its last."""
    everything = list(layers_of(encoder))
    located = zip(_find_resolutions(everything), everything, strict=True)
    blocks: list[Block] = []
    for resolution, group in groupby(located, lambda pair: pair[0]):
        block = [layer for _, layer in group]
        if blocks and not (resolution and _can_learn(block) and _can_learn(blocks[-1])):
            blocks[-1] += block
        else:
            blocks.append(block)
    return blocks


def freeze_all_but(encoder: keras.Model, n_blocks: int) -> None:
    """Let the last `n_blocks` blocks learn. Nothing of the others changes in training, and they work as in prediction.

    Raises:
        SettingError: the encoder has fewer blocks, or does not tell which is the last.
        ModelError: it has weights outside its layers.
    """
    blocks = find_blocks(encoder)
    refuse_too_many_blocks(n_blocks, len(blocks))
    if 0 < n_blocks < len(blocks) and None in map(_find_resolution, layers_of(encoder)):
        raise SettingError(
            "An encoder that is a subclass of keras.Model does not tell which of its layers comes last, so n_blocks "
            f"must be 0 or {len(blocks)}: all of it. Got {n_blocks} instead."
        )
    encoder.trainable = True
    in_blocks = {id(weights) for block in blocks for layer in block for weights in layer.weights}
    if any(id(weights) not in in_blocks for weights in encoder.weights):
        raise ModelError("The encoder has weights outside its layers, which cannot be frozen. Put them into a layer.")
    for place, block in enumerate(blocks):
        for layer in block:
            _let_learn(layer, learns=place >= len(blocks) - n_blocks)


def find_rates(head: keras.Layer, encoder: keras.Model, n_blocks: int, lr_decay: float) -> dict[int, float]:
    """The learning rate of each variable that learns, by its `id`, as a fraction of the head's.

    The head learns at the full rate, block `i` below it at `lr_decay ** i` of that.
    """
    parts = [[head], *find_blocks(encoder)[::-1][:n_blocks]]
    return {
        id(variable): lr_decay**depth
        for depth, part in enumerate(parts)
        for layer in part
        for variable in layer.trainable_variables
    }


def _find_resolutions(everything: Sequence[keras.Layer]) -> list[int]:
    """For each layer, the largest resolution that still comes: squeeze-and-excitation goes down to 1 and up again."""
    known = [_find_resolution(layer) for layer in everything]
    if None in known:
        return list(range(1, len(known) + 1))
    return list(accumulate(reversed(known), max))[::-1]


def _find_resolution(layer: keras.Layer) -> Any:
    """Height of what leaves a layer; 0 for vectors and for padding, None where a layer does not tell."""
    if isinstance(layer, layers.ZeroPadding2D):
        return 0
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):
        return None
    return shape[1] if len(shape) == 4 else 0


def _can_learn(block: Block) -> bool:
    return any(layer.weights and not isinstance(layer, layers.Normalization) for layer in block)


def _let_learn(layer: keras.Layer, learns: bool) -> None:
    """Whether steps change a layer. A frozen one is called as in prediction, whatever Keras asks for.

    Keras would let batch norm alone work so; dropout and stochastic depth would go on.
    """
    layer.trainable = learns
    for part in layer._flatten_layers():  # Keras has no public name for a layer and all layers in it
        vars(part).pop("call", None)
        if not learns and "training" in inspect.signature(part.call).parameters:
            part.call = partial(_call_as_in_prediction, part.call)


def _call_as_in_prediction(call: Callable[..., Any], *inputs: Any, training: Any = None, **named: Any) -> Any:
    return call(*inputs, training=False, **named)
