"""What a model says of one galaxy, as a person would read it: the likeliest way through the tree."""

import numpy as np
import numpy.typing as npt

from zoobot.shared.schemas import Schema


def describe_way(schema: Schema, fractions: npt.ArrayLike) -> str:
    """The questions that most volunteers would be asked, one line each, with the share of those asked per answer.

    Args:
        fractions: `(answer,)`, expected vote fractions of one galaxy.
    """
    shares = np.asarray(fractions, float)
    asked = schema.proportion_asked(shares[np.newaxis])[0]
    lines = []
    for position, question in enumerate(schema.questions):
        if asked[position] < 0.5:
            continue
        answers = sorted(question.answers, key=lambda answer: -shares[answer.index])
        said = ", ".join(f"{answer.short_text} {shares[answer.index]:.0%}" for answer in answers)
        lines.append(f"  {question.display_text}  {said}")
    return "\n".join(lines)
