#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whoever sets the machine's clock, forth or back, shortens no grace and lengthens none for ever.

    clock_jump.py [--ebb PATH] [--grace S] [--years N]

Of a server with a grace of a few seconds an image is deleted. While the grace runs, the wall clock jumps
by years, in the running process and between stops (clean ones and kill -9). Until the server has run for a
grace since the delete, no row of the image may go; after that all must go. What is shown to people follows
the wall clock.

The program must be built with -Dfaults=true: EBB_FAULT_CLOCK names a file with the milliseconds by which
its wall clock is wrong.
"""
import argparse
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from datetime import datetime, timezone

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from registry import Count, Server, ebb_binary, make_image, wait_for  # noqa: E402
from store import wait_empty  # noqa: E402

LEASE = 1  # seconds; shorter than the grace
YEAR = 365.25 * 86400


class Clock:
    """The wall clock of the server, as far as it is wrong."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "clock")
        self.seconds = 0
        self.set(0)

    def set(self, seconds):
        # In one step: the server reads it at any moment.
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(f"{int(seconds * 1000)}\n")
        os.replace(self.path + ".new", self.path)
        self.seconds = seconds

    def now(self):
        return time.time() + self.seconds


def query(data, sql):
    db = sqlite3.connect(f"file:{os.path.join(data, 'ebb.db')}?mode=ro", uri=True, timeout=10)
    try:
        return db.execute(sql).fetchone()[0]
    finally:
        db.close()


def registry_now(data):
    """Seconds of the registry's own time, as persisted."""
    return query(data, "SELECT now FROM clock") / 1000


class Case:
    """One server, one deleted image, and how long the server ran since."""

    def __init__(self, count, folder, options):
        self.count, self.grace = count, options.grace
        self.clock = Clock(folder)
        self.server = Server(folder, options.ebb, environment={"EBB_FAULT_CLOCK": self.clock.path},
                             settings=[f"reclaim.grace={options.grace}s", f"reclaim.lease={LEASE}s",
                                       "reclaim.interval=100ms"])
        self.began = None  # monotonic; of the current run, or of the delete in it; None: stopped
        self.ran = 0       # seconds of earlier runs since the delete

    def start(self):
        self.began = time.monotonic()
        self.server.start()

    def end(self, kill):
        (self.server.kill if kill else self.server.stop)()
        self.ran += time.monotonic() - self.began
        self.began = None

    def delete_image(self):
        client = self.server.client()
        image = make_image(b"{}", [b"layer" * 2000])
        for blob in (b"{}", b"layer" * 2000):
            client.push_blob("jump/app", blob)
        client.push_manifest("jump/app", image, "v1")
        self.began, self.ran = time.monotonic(), 0
        client.expect(202, "DELETE", f"/v2/jump/app/manifests/{image.digest}")
        client.close()

    def left(self):
        """At least so many seconds of the grace: what ran before the process counted is not."""
        running = 0 if self.began is None else time.monotonic() - self.began
        return self.grace - self.ran - running

    def is_there(self, when):
        data = self.server.data
        rows = [query(data, f"SELECT count(*) FROM {t}") for t in ("manifest", "repo_blob", "blob")]
        late = self.left() <= 0
        if late:
            return self.count.fail(f"{when}: this machine is too slow for a grace of {self.grace} s")
        return self.count.check(rows == [1, 2, 2], f"{when}: the image is there, {self.left():.1f} s before its time"
                                f" (manifests, links, blobs: {rows})")

    def after_passes(self):
        """Several passes of reclaim later."""
        time.sleep(0.5)

    def shows_the_wall_clock(self, when):
        def dated():
            client = self.server.client()
            date = client.expect(200, "GET", "/v2/").headers["Date"]
            client.close()
            shown = datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=timezone.utc)
            return abs(shown.timestamp() - self.clock.now()) < 5
        wait_for(dated, "the Date of the wall clock", 10)
        data = self.server.data

        def stepped():
            now = registry_now(data)
            offset = query(data, "SELECT utc_offset FROM clock_step ORDER BY at DESC LIMIT 1") / 1000
            # The row is a moment old while the server runs.
            return -30 < now + offset - self.clock.now() < 5
        self.count.check(wait_for(stepped, f"{when}: a step to the wall clock", 20),
                         f"{when}: times are shown by the wall clock")


def jumps(count, options, folder):
    case = Case(count, folder, options)
    try:
        case.start()
        started = registry_now(case.server.data)
        case.delete_image()
        case.is_there("before any jump")
        for years, kill in ((options.years, False), (-options.years, True), (0, False), (options.years, True)):
            word = f"{years:+d} years"
            case.clock.set(years * YEAR)
            case.after_passes()
            case.is_there(f"{word} while it runs")
            case.end(kill)
            case.is_there(f"{word}, " + ("killed" if kill else "stopped"))
            case.clock.set(-years * YEAR)
            case.start()
            case.after_passes()
            case.is_there(f"{-years:+d} years at the start")
        case.shows_the_wall_clock("after the last start")
        left = case.left()
        count.check(left > 0, f"all jumps fitted into the grace ({left:.1f} s left)")
        rest = wait_empty(case.server.data, options.grace + LEASE + 30)
        count.check(not rest, f"all of it goes after its time {rest or ''}")
        case.end(False)
        now = registry_now(case.server.data)
        # `started` is from a little before the delete.
        count.check(0 <= now - started <= case.ran + 10, f"the registry's time went on by {now - started:.1f} s")
        problems = case.server.check()
        count.check(not problems, f"ebb check finds nothing wrong {problems}")
        log = case.server.log()
        years = set(re.findall(r"(\d{4})-\d\d-\d\dT", log))
        count.check(years == {str(datetime.fromtimestamp(case.clock.now(), timezone.utc).year)},
                    f"the log bears the wall clock's year: {sorted(years)}")
    finally:
        if case.server.alive():
            case.server.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ebb")
    parser.add_argument("--grace", type=int, default=20, help="seconds")
    parser.add_argument("--years", type=int, default=10)
    options = parser.parse_args()
    options.ebb = ebb_binary(options.ebb)
    count = Count("clock jump")
    folder = tempfile.mkdtemp(prefix="ebb-clock-")
    try:
        jumps(count, options, folder)
    except Exception as error:  # a case that ended early is a failure, not the end of the count
        count.fail(f"{type(error).__name__}: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return count.end()


if __name__ == "__main__":
    sys.exit(main())
