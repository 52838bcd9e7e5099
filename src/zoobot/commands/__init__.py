"""The table of commands: inputs and settings -> "module:function"; no logic. Its order is that of `zoobot --help`."""

from zoobot.commands import catalogs, embeddings, models, results, schemas, trials
from zoobot.commands.command import Command

__all__ = ["COMMANDS", "GROUPS", "Command"]

COMMANDS: list[Command] = [
    *schemas.COMMANDS,
    *catalogs.COMMANDS,
    *models.COMMANDS,
    *embeddings.COMMANDS,
    *results.COMMANDS,
    *trials.COMMANDS,
]
GROUPS = {
    "schema": "Decision trees: which questions volunteers were asked.",
    "catalog": "Tables of galaxies and votes.",
    "predictions": "What a model said of galaxies.",
}
