"""Each implementation can be called as its reference: the same arguments, of the same names, with the same defaults."""

from __future__ import annotations

import inspect

import pytest

from xpcnn.ops import dispatch

FASTER = [(op, each) for op in dispatch.operations() for each in dispatch.implementations(op)[:-1]]


def positions(function):
    """The defaults of the arguments that have a position."""
    parameters = inspect.signature(function).parameters.values()
    return [each.default for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]


def options(function):
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}


@pytest.mark.parametrize(("op", "found"), FASTER, ids=[f"{op}-{each.name}" for op, each in FASTER])
def test_arguments_are_those_of_the_reference(op, found):
    reference = dispatch.implementations(op)[-1]
    for ours, theirs in ((found.forward, reference.forward), (found.backward, reference.backward)):
        if theirs is not None:
            assert positions(ours) == positions(theirs)
            assert options(ours) | options(theirs) == options(ours)  # it may have more
    refused = options(found.refuses)
    assert refused == {key: default for key, default in options(reference.forward).items() if key in refused}
