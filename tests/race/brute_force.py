#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guessing passwords: what it gets, and what it costs others. Bounds are generous: they tell working from
not working.

    brute_force.py [--ebb PATH] [--seconds N] [CASE...]

  one      many addresses guess one account's password: few guesses are looked at, all others are told 429 with
           Retry-After; the account's own address gets in meanwhile, others are served promptly
  many     few addresses guess at names by the thousand: likewise, and memory is bounded
  timing   a name that nobody has takes as long as a wrong password
  traces   the audit log tells of it, and no log holds what was typed
"""
import argparse
import os
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from access import Admin, accounts_server, basic  # noqa: E402
from registry import Broken, Client, Count, Gone, Refused, wait_for  # noqa: E402

# AddressSanitizer keeps 256 MiB of freed memory unless told otherwise; that is not the server's.
SMALL_QUARANTINE = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"}
FREE = 5           # failures that are not slowed
PROMPT = 3         # seconds that a small request may take beside the guessers
MEMORY = 64 << 20  # that guessers may cost
GUESS = "guess-that-must-stand-in-no-log"


class Guesser(threading.Thread):
    """Log-ins from one address until it is told to stop: names and passwords from a function of the turn."""

    def __init__(self, server, source, secret_of):
        super().__init__(daemon=True)
        self.client = server.client(source=source)
        self.secret_of = secret_of
        self.ended = threading.Event()
        self.turns = self.looked_at = self.slowed = 0
        self.problems = []

    def run(self):
        while not self.ended.is_set():
            headers = basic(*self.secret_of(self.turns))
            self.turns += 1
            try:
                answer = self.client.request("GET", "/v2/", headers=headers)
            except Gone as error:
                self.problems.append(str(error))
                return
            if answer.status == 401:
                self.looked_at += 1
            elif answer.status in (429, 503) and int(answer.headers.get("Retry-After", "0")) >= 1:
                self.slowed += 1
            else:
                self.problems.append(f"{answer.status} {dict(answer.headers)}")


class Guessing:
    def __init__(self, server, sources, secret_of):
        self.guessers = [Guesser(server, source, secret_of) for source in sources]
        for guesser in self.guessers:
            guesser.start()

    def sum(self, what):
        return sum(getattr(guesser, what) for guesser in self.guessers)

    def end(self, count, what):
        for guesser in self.guessers:
            guesser.ended.set()
        for guesser in self.guessers:
            guesser.join()
            guesser.client.close()
        problems = [p for guesser in self.guessers for p in guesser.problems]
        count.check(not problems, f"{what}: each guess is answered 401, or slowed with Retry-After {problems[:2]}")
        print(f"# {what}: {self.sum('turns')} guesses, {self.sum('looked_at')} looked at")


def latencies(client, path, headers, seconds):
    """Of one request after the other."""
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        client.expect(200, "GET", path, headers=headers)
        took.append(time.monotonic() - began)
    return took


def case_one(server, admin, count, seconds):
    admin.account("victim", "victims-own-password")
    home = server.client(source="127.0.0.1")
    home.expect(200, "GET", "/v2/", headers=basic("victim", "victims-own-password"))
    guessing = Guessing(server, [f"127.2.0.{i}" for i in range(1, 9)], lambda turn: ("victim", f"{GUESS}-{turn}"))
    wait_for(lambda: guessing.sum("slowed") > 50, "guesses to be slowed")
    began = time.monotonic()
    took = latencies(server.client(source="127.0.0.1"), "/v2/", basic("victim", "victims-own-password"), seconds)
    count.check(max(took) < PROMPT, f"the account's own address gets in: {len(took)} times, "
                                    f"median {statistics.median(took) * 1000:.1f} ms, at most {max(took) * 1000:.0f} ms")
    fresh = server.client(source="127.0.0.1")
    fresh.expect(200, "GET", "/token?service=ebb", headers=basic("victim", "victims-own-password"))
    count.ok("and gets tokens")
    answer = server.client(source="127.2.0.1").request("GET", "/v2/", headers=basic("victim", "victims-own-password"))
    count.check(answer.status == 429, "from a guesser's address not even the right password is looked at")
    looked_at = guessing.sum("looked_at")
    # Five are free; then one after 1, 2, 4, 8 ... seconds, and each address may have had one under way.
    bound = FREE + 8 * 2 + 2 + int(time.monotonic() - began).bit_length() * 2
    count.check(looked_at <= bound, f"{looked_at} guesses were looked at, at most {bound}")
    guessing.end(count, "one account")
    home.expect(200, "GET", "/v2/", headers=basic("victim", "victims-own-password"))
    count.ok("the account still gets in")


def case_many(server, admin, count, seconds):
    image = admin.client.push_image("team/app", b"{}", [b"layer"], "1")
    token = admin.token(["pull"])["secret"]
    sources = [f"127.3.0.{i}" for i in range(1, 9)]
    before = server.rss()
    long = "x" * 50
    guessing = Guessing(server, sources, lambda turn: (f"{turn}-{long}"[:64], f"{GUESS}-{turn}"))
    wait_for(lambda: guessing.sum("slowed") > 2000, "guesses by the thousand", 300)
    began = time.monotonic()
    took = latencies(server.client(source="127.0.0.9"), f"/v2/team/app/manifests/{image.digest}",
                     basic("admin", token), seconds)
    count.check(max(took) < PROMPT, f"who pulls by a token is served: {len(took)} times, median "
                                    f"{statistics.median(took) * 1000:.1f} ms, at most {max(took) * 1000:.0f} ms")
    looked_at = guessing.sum("looked_at")
    bound = len(sources) * (FREE + 3 + int(time.monotonic() - began + 60).bit_length())
    count.check(looked_at <= bound, f"{looked_at} guesses were looked at, at most {bound}")
    guessing.end(count, "many names")
    grown = server.rss() - before
    count.check(grown < MEMORY, f"memory grew by {grown >> 20} MiB")
    server.client(source="127.0.0.10").expect(200, "GET", "/v2/", headers=basic("admin", token))
    count.ok("another address logs in")


def failure_seconds(server, source, name):
    client = Client("127.0.0.1", server.port, source=source)
    client.open().connect()
    began = time.monotonic()
    client.expect(401, "GET", "/v2/", headers=basic(name, GUESS))
    took = time.monotonic() - began
    client.close()
    return took


def case_timing(server, admin, count, _):
    """Each log-in from an address of its own and at most four for a name: none is slowed."""
    pairs, best = 16, None
    for attempt in range(3):
        wrong = {"name": [], "password": []}
        for i in range(pairs):
            if i % 4 == 0:
                name = f"known-{attempt}-{i:03}"
                admin.account(name, "a-password-of-somebody")
            for kind in ("name", "password") if i % 2 else ("password", "name"):
                who = name if kind == "password" else f"nobdy-{attempt}-{i:03}"
                wrong[kind].append(failure_seconds(server, f"127.4.{attempt * 2 + (kind == 'name')}.{i + 1}", who))
        ratio = statistics.median(wrong["name"]) / statistics.median(wrong["password"])
        print(f"# wrong name {statistics.median(wrong['name']) * 1000:.1f} ms, wrong password "
              f"{statistics.median(wrong['password']) * 1000:.1f} ms")
        if best is None or abs(ratio - 1) < abs(best - 1):
            best = ratio
        if abs(best - 1) <= 0.2:
            break
    count.check(abs(best - 1) <= 0.2, f"a wrong name takes {best:.2f} of a wrong password's time")


def case_traces(server, admin, count, _):
    # Written about once a second.
    found = wait_for(lambda: {e["action"] for e in admin.audit(n=100)} >= {"log-in failed", "log-in slowed"},
                     "the audit log to tell of failed and of slowed log-ins")
    count.check(found, "the audit log tells of failed and of slowed log-ins")
    entries, after = [], ""
    while after is not None:
        page = admin.call(200, "GET", "/audit" + after)
        entries += page["items"]
        after = f"?after={page['next']}" if "next" in page else None
    # A thousand a minute at most, whatever guessers make up.
    count.check(len(entries) < 4000, f"it has {len(entries)} entries")
    count.check(GUESS not in str(entries), "it does not hold what was typed")
    text = server.log()
    count.check(GUESS not in text and "victims-own-password" not in text, "nor does the server's log")


CASES = {"one": case_one, "many": case_many, "timing": case_timing, "traces": case_traces}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--ebb")
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("cases", nargs="*", metavar="CASE")
    o = options.parse_args()
    count = Count("brute-force")
    with tempfile.TemporaryDirectory(prefix="ebb-brute-") as folder:
        server = accounts_server(folder, o.ebb)
        server.environment.update(SMALL_QUARANTINE)
        server.start()
        try:
            admin = Admin(server)
            for name in o.cases or CASES:
                try:
                    CASES[name](server, admin, count, o.seconds)
                except (Gone, Refused, Broken, AssertionError) as error:
                    count.fail(f"{name}: {type(error).__name__}: {error}")
        finally:
            server.stop()
    return count.end()


if __name__ == "__main__":
    sys.exit(main())
