"""A course on backpropagation that checks itself: exercises with a hole to fill, as notebooks and as plain files.

`write` makes its folder, `check` says whether an answer is right and what a wrong one looks like. The command
`xpcnn course` does both. The exercises are in `xpcnn.course.exercises`, one a file.
"""

from __future__ import annotations

from .exercise import Case, Exercise, Line, Mistake, Term, Unfinished, all_exercises
from .folder import Written, own, write
from .verdict import Verdict, check

__all__ = [
    "Case",
    "Exercise",
    "Line",
    "Mistake",
    "Term",
    "Unfinished",
    "Verdict",
    "Written",
    "all_exercises",
    "check",
    "own",
    "write",
]
