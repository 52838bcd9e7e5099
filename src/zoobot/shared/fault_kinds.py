"""The kinds of fault that rows of a catalog can have, in words."""

from dataclasses import dataclass

from zoobot.shared.images import READABLE_SUFFIXES

MAX_VOTES = 10_000
"""More votes than this for one answer are no count of volunteers."""
EXCESS_VOTES, EXCESS_SHARE = 3, 0.2
"""A question may have so many votes, or that share, more than the answers that lead to it: volunteers go astray."""


@dataclass(frozen=True)
class Kind:
    """One kind of fault, in words: what is wrong, and what to do about it."""

    what: str
    remedy: str
    rejected: bool = True


BLANK_ID = Kind("id_str is blank", "Name each galaxy.")
ROUNDED_ID = Kind(
    "id_str is a floating-point number, which loses digits", "Write the names as text from where they are whole."
)
REPEATED_ID = Kind("id_str stands in an earlier row too", "Keep one row each.")
BLANK_FILE = Kind("file_loc is blank", "Give each galaxy the path of its image.")
UNREADABLE_TYPE = Kind(
    "file_loc names a type of file that zoobot cannot read",
    f"Convert the images, or rename them if they are of one of these types: {', '.join(READABLE_SUFFIXES)}.",
)
NO_FILE = Kind("file_loc is no file", "A relative file_loc is relative to the folder of the catalog.")
REPEATED_FILE = Kind(
    "file_loc stands in an earlier row too",
    "If it is one galaxy under two names, keep one of them, or 'zoobot catalog split --group-by file_loc'.",
    rejected=False,
)
TEXT = Kind("Votes must be numbers, but are text", "Give the number of volunteers.")
BLANK = Kind("Votes are blank (NaN)", "Fill them: --fill-missing-votes reads blanks as 0 votes.")
INFINITE = Kind("Votes are infinite", "Give the number of volunteers.")
NEGATIVE = Kind("Votes are negative", "Give the number of volunteers, 0 or more.")
ABSURD = Kind(f"Votes are above {MAX_VOTES:,}", "Give the number of volunteers.")
FRACTIONAL = Kind(
    "Votes are fractional",
    "Give counts rather than fractions of votes, or --weighted-votes if volunteers were weighted.",
)
NO_VOTES = Kind("No question has any vote", "Leave such galaxies out; --min-votes 1 does.")
FEW_VOTES = Kind(
    "No first question has as many votes as --min-votes asks for",
    "Such galaxies are left out.",
    rejected=False,
)
EXCESS = Kind(
    "A question has more votes than the answers that lead to it",
    "Count the votes again, or give the tree that volunteers walked ('zoobot schema list').",
)
SMALL_EXCESS = Kind(
    "A question has a few more votes than volunteers who were led to it",
    f"Up to {EXCESS_VOTES} votes, or {EXCESS_SHARE:.0%}, are taken as they are.",
    rejected=False,
)
UNREADABLE = Kind("The image cannot be read", "Mend the file, or leave the galaxy out.")
CONSTANT = Kind("All pixels of the image are alike", "Cut it out again: there is nothing to see.")
SAME_PIXELS = Kind(
    "The image has the same pixels as an earlier one",
    "If it is one galaxy under two names, keep one of them.",
    rejected=False,
)
UNUSUAL = Kind(
    "The image has another size or mode than most",
    "Is it of the same survey, and made in the same way?",
    rejected=False,
)
