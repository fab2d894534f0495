#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many idle, slow and stubborn clients: what they cost, that others are served meanwhile, that each is
cut off in time. Bounds are generous: they tell working from not working; bench/ has the numbers.

    slow_peers.py [--ebb PATH] [--idle N] [--slow N] [--memory MIB] [CASE...]

  crowd     idle connections, slow uploads and slow downloads at once, while others push and pull
  cut       headers, bodies, answers that are not taken and idle connections end at their timeouts
  limits    connections beyond the limits are told 503, and taken again when others left

Needs `ulimit -n` of twice the idle connections.
"""
import argparse
import http.client
import os
import random
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from registry import Broken, Client, Count, Gone, Refused, Server, ebb_binary, sha256, wait_for  # noqa: E402

# AddressSanitizer keeps 256 MiB of freed memory unless told otherwise; that is not the server's.
SMALL_QUARANTINE = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"}
PROMPT = 5  # seconds that a small request may take beside all others


def connect(port, source="127.0.0.1", timeout=30):
    s = socket.socket()
    s.settimeout(timeout)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((source, 0))
    s.connect(("127.0.0.1", port))
    return s


def ask(s, path="/v2/"):
    """One request on a connection that stays open: (status, headers, body)."""
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    response = http.client.HTTPResponse(s)
    response.begin()
    return response.status, response.headers, response.read()


def ended(s, seconds):
    """Seconds until the peer closes, and what it sent before; None when it does not."""
    began, got = time.monotonic(), b""
    s.settimeout(seconds)
    try:
        while True:
            piece = s.recv(65536)
            if not piece:
                return time.monotonic() - began, got
            got += piece
    except ConnectionResetError:
        return time.monotonic() - began, got
    except TimeoutError:
        return None


class Trickle(threading.Thread):
    """Many slow connections by one thread: `step` moves each on by a little."""

    def __init__(self, connections, step):
        super().__init__(daemon=True)
        self.connections, self.step = connections, step
        self.stop, self.problems, self.moved = threading.Event(), [], 0

    def run(self):
        while not self.stop.is_set():
            for connection in self.connections:
                if self.stop.wait(0.002):
                    return
                try:
                    self.moved += self.step(connection)
                except OSError as error:
                    self.problems.append(repr(error))
                    return


# ---- crowd -----------------------------------------------------------------------------------


def open_idle(port, number):
    """Connections that have each made one request, from many addresses."""
    idle = []
    for i in range(number):
        s = connect(port, f"127.0.{1 + i // 250}.{1 + i % 250}")
        status = ask(s)[0]
        if status != 200:
            raise Broken(f"connection {i} was answered {status}")
        idle.append(s)
    return idle


def slow_uploads(client, port, number, data):
    """Requests that will send `data`, of which nothing was sent."""
    opened = []
    for i in range(number):
        location = client.start_upload(f"slow/up{i % 20}")
        s = connect(port, f"127.1.0.{1 + i % 250}")
        s.sendall(f"PUT {location}?digest={sha256(data)} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(data)}\r\n"
                  f"Content-Type: application/octet-stream\r\n\r\n".encode())
        opened.append([s, 0])
    return opened


def slow_downloads(port, number, digest):
    opened = []
    for i in range(number):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(30)
        s.bind((f"127.2.0.{1 + i % 250}", 0))
        s.connect(("127.0.0.1", port))
        s.sendall(f"GET /v2/slow/app/blobs/{digest} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        opened.append(s)
    return opened


def work(server, count, seconds, what):
    """Pushes and pulls by four others; every request is prompt."""
    slowest, problems, done = [0.0], [], [0]

    def run(number):
        rng = random.Random(number)
        client = server.client(timeout=30)
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                began = time.monotonic()
                tag = f"t{rng.randrange(5)}"
                client.push_image(f"work/w{number}", b"{}", [rng.randbytes(20_000)], tag)
                pushed = time.monotonic()
                client.pull(f"work/w{number}", tag)
                # a push is 7 requests, a pull 3
                slowest[0] = max(slowest[0], (pushed - began) / 7, (time.monotonic() - pushed) / 3)
                done[0] += 10
        except (Gone, Refused, Broken) as error:
            problems.append(str(error))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count.check(not problems and slowest[0] < PROMPT,
                f"{what}: {done[0]} other requests in {seconds} s, the slowest took about {slowest[0] * 1000:.0f} ms"
                + (f"; {problems[:2]}" if problems else ""))


def crowd(o, count, folder):
    server = Server(folder, o.ebb, [f"limits.connections={o.idle + 2 * o.slow + 200}", "log.requests=errors",
                                    "limits.connections_per_address=2000", "http.idle_timeout=30m",
                                    "http.body_timeout=60s", "http.send_timeout=60s"], environment=SMALL_QUARANTINE)
    server.start()
    client = server.client()
    before = server.rss()
    idle = open_idle(server.port, o.idle)
    cost = server.rss()
    count.check(cost < o.memory << 20, f"{len(idle)} idle connections: {cost >> 20} MiB of memory ({before >> 20} MiB"
                f" before, {(cost - before) // max(1, len(idle))} bytes each)")
    work(server, count, 4, f"with {len(idle)} idle connections")
    data = random.Random(1).randbytes(200_000)
    big = random.Random(2).randbytes(8 << 20)
    digest = client.push_blob("slow/app", big)
    client.push_image("slow/app", b"{}", [big], "t")
    uploads, downloads = slow_uploads(client, server.port, o.slow, data), slow_downloads(server.port, o.slow, digest)

    def send(upload):
        piece = data[upload[1]:upload[1] + 500]
        if upload[1] + len(piece) >= len(data):
            return 0  # the end is sent later
        upload[0].sendall(piece)
        upload[1] += len(piece)
        return len(piece)

    trickles = [Trickle(uploads, send), Trickle(downloads, lambda s: len(s.recv(500)))]
    for trickle in trickles:
        trickle.start()
    work(server, count, 8, f"with {o.slow} slow uploads and {o.slow} slow downloads as well")
    for trickle in trickles:
        trickle.stop.set()
        trickle.join()
    moved = [t.moved for t in trickles]
    count.check(all(moved) and not trickles[0].problems + trickles[1].problems,
                f"slow ones moved {moved} bytes: {trickles[0].problems + trickles[1].problems or 'none was cut'}")
    full = server.rss()
    count.check(full < (o.memory + 100) << 20, f"all together: {full >> 20} MiB of memory")
    finish_slow(count, uploads, downloads, data, digest)
    status = {ask(idle[i])[0] for i in range(0, len(idle), max(1, len(idle) // 50))}
    count.check(status == {200}, f"idle connections still work: {status}")
    for s in idle:
        s.close()
    wait_for(lambda: connections(server) < 20, "idle connections to be forgotten")
    count.ok("closed connections are forgotten")
    server.stop()


def finish_slow(count, uploads, downloads, data, digest):
    statuses = {}
    for s, sent in uploads:
        s.sendall(data[sent:])
    for s, _ in uploads:
        response = http.client.HTTPResponse(s)
        response.begin()
        statuses[response.status] = statuses.get(response.status, 0) + 1
        s.close()
    count.check(set(statuses) == {201}, f"slow uploads finish: {statuses}")
    # The first bytes were read and dropped above: the length of the rest is what can be checked.
    for s in downloads[5:]:
        s.close()
    good = 0
    for s in downloads[:5]:
        s.settimeout(30)
        while s.recv(1 << 16):
            good += 1
            if good > 50:
                break
        s.close()
    count.check(good > 0, "slow downloads go on")


def connections(server):
    client = server.client()
    text = client.request("GET", "/metrics").body.decode()
    client.close()
    match = re.search(r"^ebb_http_connections\S*\s+(\d+)", text, re.M)
    if not match:
        raise Broken("no metric of connections")
    return int(match[1])


# ---- cut -------------------------------------------------------------------------------------


def cut(o, count, folder):
    server = Server(folder, o.ebb, ["http.header_timeout=1s", "http.body_timeout=2s", "http.idle_timeout=3s",
                                    "http.send_timeout=2s", "http.linger_timeout=1s", "log.requests=errors"])
    server.start()
    client = server.client()
    digest = client.push_blob("slow/app", bytes(64 << 20))
    location = client.start_upload("slow/app")
    client.close()
    cases = {}

    def case(name, least, most, prepare, keep_going=None):
        def run():
            s = prepare()
            stop = threading.Event()
            if keep_going:
                threading.Thread(target=trickle, args=(s, keep_going, stop), daemon=True).start()
            cases[name] = (least, most, ended(s, most + 10))
            stop.set()
            s.close()
        return threading.Thread(target=run)

    def trickle(s, piece, stop):
        while not stop.wait(0.2):
            try:
                s.sendall(piece)
            except OSError:
                return

    def sent(text):
        s = connect(server.port)
        s.sendall(text.encode())
        return s

    def asked():
        s = connect(server.port)
        ask(s)
        return s

    threads = [
        case("no byte at all", 2.5, 5, lambda: connect(server.port)),
        case("headers that stop", 0.8, 3, lambda: sent("GET /v2/ HTTP/1.1\r\nHost: t\r\n")),
        case("headers that never end", 0.8, 3, lambda: sent("GET /v2/ HTTP/1.1\r\nHost: t\r\nX-A: "), b"a"),
        case("headers byte by byte", 0.8, 3, lambda: sent("G"), b"X"),
        case("idle after a request", 2.5, 5, asked),
        case("a manifest's body that stops", 1.8, 6, lambda: sent(
            "PUT /v2/slow/app/manifests/t HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n{")),
        case("an upload's body that stops", 1.8, 6, lambda: sent(
            f"PATCH {location} HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\nbytes")),
        case("chunks that stop", 1.8, 6, lambda: sent(
            "PUT /v2/slow/app/manifests/u HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, (least, most, result) in cases.items():
        answer = result[1][:60] if result else None
        count.check(result is not None and least <= result[0] <= most,
                    f"{name}: cut after {result and round(result[0], 2)} s ({least} to {most}), told {answer!r}")
    answer_not_taken(server, count, digest)
    offset = server.client().upload_offset(location)
    count.check(offset == 5, f"what came of the cut upload is kept: {offset} bytes")
    wait_for(lambda: connections(server) <= 2, "cut connections to be forgotten")
    count.ok("cut connections are forgotten")
    server.stop()


def answer_not_taken(server, count, digest):
    """The client takes nothing of a large answer: the server lets go of it."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", server.port))
    s.sendall(f"GET /v2/slow/app/blobs/{digest} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    began = time.monotonic()
    wait_for(lambda: connections(server) <= 1, "a stalled download to be cut", 20)
    took = time.monotonic() - began
    count.check(1.5 < took < 8, f"an answer that is not taken: cut after {took:.2f} s (2 s)")
    s.close()


# ---- limits ----------------------------------------------------------------------------------


def turned_away(s):
    """What a connection beyond the limit is told, without having asked."""
    result = ended(s, 10)
    return result is not None and result[1].startswith(b"HTTP/1.1 503") and b'"errors"' in result[1]


def limits(o, count, folder):
    server = Server(folder, o.ebb, ["limits.connections=60", "limits.connections_per_address=20", "log.requests=errors"])
    server.start()
    wait_for(lambda: connections(server) == 1, "the first probe to be forgotten")
    mine = [connect(server.port, "127.0.0.2") for _ in range(20)]
    count.check(all(ask(s)[0] == 200 for s in mine), "20 connections of one address work")
    extra = [connect(server.port, "127.0.0.2") for _ in range(5)]
    count.check(all(turned_away(s) for s in extra), "more of that address are told 503")
    other = Client("127.0.0.1", server.port, 10, "127.0.0.3")
    count.check(other.request("GET", "/v2/").status == 200, "another address is served")
    crowd_ = [connect(server.port, f"127.0.1.{i + 1}") for i in range(39)]
    answers = [ask(s)[0] for s in crowd_]
    count.check(set(answers) == {200}, f"60 connections of all addresses work: {set(answers)}")
    extra = [connect(server.port, f"127.0.2.{i + 1}") for i in range(5)]
    count.check(all(turned_away(s) for s in extra), "more of any address are told 503")
    count.check(other.request("GET", "/v2/").status == 200, "those who were in before are served")
    for s in mine + crowd_:
        s.close()
    other.close()
    wait_for(lambda: try_status(server.port) == 200, "a connection after the crowd left", 10)
    count.ok("connections are taken again when others left")
    again = [connect(server.port, "127.0.0.2") for _ in range(20)]
    count.check(all(ask(s)[0] == 200 for s in again), "20 of one address work again")
    client = Client("127.0.0.1", server.port, 10)
    text = client.request("GET", "/metrics").body.decode()
    counted = re.findall(r'^ebb_http_refused\S*\{reason="(connections[^"]*)"\}\s+(\d+)', text, re.M)
    count.check(len(counted) == 2, f"refusals are counted: {counted}")
    for s in again:
        s.close()
    server.stop()


def try_status(port):
    try:
        s = connect(port, "127.0.0.2")
        status = ask(s)[0]
        s.close()
        return status
    except (OSError, http.client.HTTPException):
        return None


CASES = {"crowd": crowd, "cut": cut, "limits": limits}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--ebb", default=None)
    options.add_argument("--idle", type=int, default=10_000)
    options.add_argument("--slow", type=int, default=200)
    options.add_argument("--memory", type=int, default=200, help="MiB that the idle connections may cost")
    options.add_argument("cases", nargs="*", metavar="CASE")
    o = options.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < o.idle + 2 * o.slow + 500:
        sys.exit(f"slow_peers: ulimit -n is {hard}; too few for {o.idle} connections")
    print(f"slow_peers: {o.idle} idle, {o.slow} slow, {ebb_binary(o.ebb)}", flush=True)
    count = Count("slow_peers")
    for name in o.cases or CASES:
        print(f"# {name}", flush=True)
        with tempfile.TemporaryDirectory(prefix="ebb-slow-") as folder:
            before = set(subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True).stdout.split())
            try:
                CASES[name](o, count, folder)
            except (Broken, Gone, Refused, AssertionError, OSError, http.client.HTTPException) as error:
                count.fail(f"{name}: {type(error).__name__}: {error}")
                children = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True).stdout.split()
                for pid in set(children) - before:
                    subprocess.run(["kill", "-9", pid], stderr=subprocess.DEVNULL)
    sys.exit(count.end())


if __name__ == "__main__":
    main()
