"""Commands about decision trees."""

from pathlib import Path

from zoobot.commands.command import Command, argument, option

COMMANDS = [
    Command(
        verb="list",
        group="schema",
        function="zoobot.shared.schemas:list_schemas",
        summary="List the decision trees of the Galaxy Zoo campaigns.",
        example="zoobot schema list",
    ),
    Command(
        verb="show",
        group="schema",
        function="zoobot.shared.schemas:show_schema",
        summary="Show the questions, answers and columns of a decision tree.",
        details="With --output, writes it as a schema file too, to start a tree of your own from.",
        example="zoobot schema show gz2 --output my_tree.yaml",
        inputs={
            "schema": (str, argument("A name, or a YAML file.")),
            "output": (Path | None, option("Schema file to write: .yaml.", None)),
        },
    ),
    Command(
        verb="check",
        group="schema",
        function="zoobot.shared.schemas:check_schema",
        summary="Check your own decision tree.",
        details="Shows every fault at once with what to do about it.",
        example="zoobot schema check my_tree.yaml",
        inputs={"file": (Path, argument("YAML file of a decision tree."))},
    ),
    Command(
        verb="draw",
        group="schema",
        function="zoobot.shared.schema_drawings:draw",
        summary="Draw a decision tree.",
        details="With a catalog, each answer shows how many votes it has.",
        example="zoobot schema draw gz2 --output tree.svg",
        inputs={
            "schema": (str, argument("A name, or a YAML file.")),
            "output": (Path, option("Picture to write: .svg or .png.")),
            "catalog": (Path | None, option("Table whose votes are shown.", None)),
        },
    ),
]
