"""Requests under load share batches, within bounds: a full queue is status 503, and no item suffers from another."""

from __future__ import annotations

import asyncio
import threading

import pytest

from xpcnn import nn
from xpcnn.service.batches import Batches, Full

from .asking import asked, together
from .conftest import png


def two_inputs():
    return nn.Graph({"y": (nn.Add(), "a", "b")}, inputs=("a", "b"))


def test_what_collects_while_a_batch_runs_is_the_next_batch():
    gate, seen = threading.Event(), []

    def answer(items):
        seen.append(list(items))
        gate.wait(10)
        return [item * 10 for item in items]

    batches = Batches(answer, most=3, seconds=0.0, places=10)
    (first,) = batches.submit([0])
    while not seen:
        pass
    others = [each for i in range(1, 8) for each in batches.submit([i])]
    assert batches.held == 8
    with pytest.raises(Full):  # all of them, or none
        batches.submit([8, 9, 10])
    gate.set()
    assert [each.result(10) for each in (first, *others)] == [i * 10 for i in range(8)]
    assert seen == [[0], [1, 2, 3], [4, 5, 6], [7]]
    assert batches.sizes == [0, 2, 0, 2]
    batches.close()
    assert batches.held == 0
    with pytest.raises(Full):
        batches.submit([1])


def test_the_first_waits_for_others_as_long_as_is_said():
    batches = Batches(lambda items: [len(items)] * len(items), most=2, seconds=30.0, places=4)
    (one,) = batches.submit([1])
    (two,) = batches.submit([2])
    assert one.result(10) == two.result(10) == 2
    (last,) = batches.submit([3])
    batches.close()  # does not wait
    assert last.result(0) == 1


def test_one_that_fails_costs_no_other_its_answer_and_close_answers_what_was_accepted():
    gate = threading.Event()

    def answer(items):
        gate.wait(10)
        return [1 / item for item in items]

    batches = Batches(answer, most=8, seconds=0.0, places=8)
    answers = batches.submit([1, 2, 0, 4])
    answers[3].cancel()  # its client has gone
    gate.set()
    batches.close()
    assert [answers[i].result(0) for i in (0, 1)] == [1, 0.5]
    assert isinstance(answers[2].exception(0), ZeroDivisionError)
    assert batches.held == 0


def test_requests_that_send_nothing_hold_no_more_places_than_there_are(make, saved, monkeypatch):
    monkeypatch.setattr("xpcnn.service.guard.READ_SECONDS", 0.3)
    service = make(saved, queue=3)
    request = (("POST", "/predict", b"x"), {"content_type": "image/png", "waits": True})
    assert sorted(each.status for each in together(service, [request] * 5)) == [408] * 3 + [503] * 2


def test_under_load_batches_grow_and_what_is_too_much_is_refused(make, saved, pixels):
    service = make(saved, batch_size=4, queue=6)
    network, gate = service.saved._network, threading.Event()

    def slow(x):
        gate.wait(10)
        return network(x)

    vars(service.saved)["_network"] = slow
    request = (("POST", "/predict", png(pixels[0])), {"content_type": "image/png"})

    async def load():
        tasks = [asyncio.create_task(asked(service, *request[0], **request[1])) for _ in range(9)]
        while sum(task.done() for task in tasks) < 3 or service.batches.held < 6:
            await asyncio.sleep(0.001)
        refused = [task.result() for task in tasks if task.done()]
        gate.set()
        return refused, await asyncio.gather(*tasks)

    refused, every = asyncio.run(asyncio.wait_for(load(), 30))
    assert {(each.status, each.headers["retry-after"]) for each in refused} == {(503, "1")}
    assert sorted(each.status for each in every) == [200] * 6 + [503] * 3
    assert max(size for size, number in enumerate(service.batches.sizes) if number) >= 2
    vars(service.saved)["_network"] = network
    assert [each.status for each in together(service, [request] * 6)] == [200] * 6
