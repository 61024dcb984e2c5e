"""`xpcnn serve` answers over a socket, and stops without losing what it has accepted; wrong options are one line."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import time

import numpy as np
import pytest

import xpcnn
import xpcnn.cli

from ..service.conftest import network, saved_network
from ..service.serving import serving, stopped
from .command import xpcnn_command

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    pytest.importorskip("uvicorn")
    path = tmp_path_factory.mktemp("serve") / "model.safetensors"
    saved_network(path, network())
    return path


def test_answers_over_a_connection_that_stays_open(model):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    (expected,) = xpcnn.load(model).predict(pixels, top_k=1)
    with serving(model, "--max-mib", 0.25) as (process, port):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        took = []
        for body, status in ((pixels.tolist(), 200), ([0] * 200_000, 413), (pixels.tolist(), 200)):
            begun = time.perf_counter()
            kind = {"Content-Type": "application/json"}
            client.request("POST", "/predict?top_k=1", json.dumps(body), kind)
            response = client.getresponse()
            told = json.load(response)
            took.append(time.perf_counter() - begun)
            assert response.status == status, told
            if status == 200:
                (answer,) = told["answers"][0]["predictions"]
                assert answer == {"class": expected.label, "probability": pytest.approx(expected.probability)}
        client.close()
        with socket.create_connection(("127.0.0.1", port)) as gone:  # in the middle of what it sends
            gone.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nabc")
            time.sleep(0.2)
        time.sleep(0.2)
        said, errors, status = stopped(process, signal.SIGINT)
    assert (said, errors, status) == ("stopped, after 4 requests\n", "", 0)


def test_nothing_is_lost_when_it_stops_under_load(model):
    """Each client keeps its connection; what it has sent is answered, and the last answer says that this closes."""
    body = json.dumps(np.zeros((6, 5, 3)).tolist()).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    seen = {"sent": 0, "answered": 0, "closing": 0}

    async def client(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            writer.write(head.encode() + b"\r\n\r\n" + body)
            seen["sent"] += 1
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200")
            seen["answered"] += 1
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            if b"connection: close" in answer.lower():
                seen["closing"] += 1
                writer.close()
                return

    async def load(process, port):
        clients = [asyncio.create_task(client(port)) for _ in range(12)]
        while seen["answered"] < 40:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        await asyncio.gather(*clients)

    with serving(model) as (process, port):
        asyncio.run(asyncio.wait_for(load(process, port), 60))
        said, errors = process.communicate(timeout=60)
        assert (errors, process.returncode) == ("", 0)
    assert seen["sent"] == seen["answered"] > 40
    assert seen["closing"] == 12
    assert said == f"stopped, after {seen['answered']} requests\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--port", "70000"), "--port: expected 0 to 65535, got 70000"),
        (("--max-mib", "0"), "--max-mib: expected more than 0, and at most 4096, got 0.0"),
        (("--batch-size", "0"), "serve: expected batch_size: an integer ≥ 1, got 0"),
        (("--wait-ms", "nan"), "wait_ms"),
        (("--queue", "-1"), "queue"),
        (("--scale", "0"), "scale"),
        (("--host", "192.0.2.1"), "192.0.2.1:8000: Cannot assign requested address"),
    ],
)
def test_wrong_options_are_one_line(model, capsys, words, said):
    with pytest.raises(SystemExit) as ended:
        xpcnn.cli.main(["serve", str(model), *words])
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert said in errors


def test_an_address_that_is_taken_is_one_line(model, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = xpcnn_command("serve", model, "--port", port, cwd=tmp_path)
    said = f"xpcnn: 127.0.0.1:{port}: Address already in use; --port 0 takes one that is free\n"
    assert (done.returncode, done.stderr) == (2, said)
