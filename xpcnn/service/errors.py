"""What a request is refused with: a status, and a line that says why."""

from __future__ import annotations


class Refused(Exception):
    """A request that is answered with an error.

    Parameters
        status : of HTTP, 400 to 599
        why : one line
        headers : more of the response's
    """

    def __init__(self, status: int, why: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, headers or {}


def busy() -> Refused:
    """The refusal of a request for which there is no place."""
    return Refused(503, "all places are taken; try again in a second", {"Retry-After": "1"})
