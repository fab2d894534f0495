#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills the server at random instants under load and checks that what was acknowledged is so.

    crash.py [--kills N] [--seed S] [--ebb PATH] [--writers N] [--keep]

Each round: writers push, tag, mount, delete, upload and cancel; kill -9 after 20 to 400 ms (one time
in six while the server is starting); the directory's rows are compared with its files; restart; then every
writer's model (model.py) is compared with what the server answers. Reclaim runs all the while: grace
300 ms, lease 2 s. At the end everything is deleted, and rows and files must all be gone.

The last line is "N passed, N failed"; a case is a kill that was survived, or a check of the end.
"""
import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from registry import Broken, Count, Gone, Refused, Server, ebb_binary  # noqa: E402
from store import rows_and_files, wait_empty  # noqa: E402
from writer import Writer, shared_content  # noqa: E402

LEASE, GRACE, REST = 2.0, 0.3, 4.0  # seconds
SETTINGS = [f"reclaim.lease={int(LEASE * 1000)}ms", f"reclaim.grace={int(GRACE * 1000)}ms", "reclaim.interval=50ms",
            f"limits.upload_rest={int(REST * 1000)}ms", "db.log_size=2MiB", "log.requests=none"]


def make_writers(number, seed):
    shared = shared_content(seed)
    names = [f"crash/w{n}/r{i}" for n in range(number) for i in range(2)]
    return [Writer(n, seed, shared, LEASE, REST, names) for n in range(number)]


def load(server, writers, seconds, end):
    """Lets the writers work for a while; `end` ends the server under them."""
    stop = threading.Event()
    threads = [threading.Thread(target=w.run, args=(server, stop)) for w in writers]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    end()
    stop.set()
    for thread in threads:
        thread.join(120)
        if thread.is_alive():
            raise Broken("a request hangs although the server is gone")


def each(writers, job):
    """job(writer) for all at once; what they return, in one list."""
    results = [[] for _ in writers]

    def run(i):
        try:
            results[i] = job(writers[i]) or []
        except (Gone, Refused, Broken, AssertionError) as error:
            results[i] = [f"{type(error).__name__}: {error}"]

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(writers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [line for lines in results for line in lines]


def collect(writers):
    problems = [p for w in writers for p in w.problems]
    for writer in writers:
        writer.problems = []
    return problems


def kill_while_starting(server, rng):
    server.spawn()
    time.sleep(rng.uniform(0, 0.03))
    server.kill()


def own_check(server):
    """Problems that `ebb check` finds in a directory as a crash left it. It changes nothing there."""
    said = server.check("--hash")
    return [said] if said else []


def one_round(server, writers, rng):
    """Problems, and how long the restart took in seconds."""
    load(server, writers, rng.uniform(0.02, 0.4), server.kill)
    problems = collect(writers) + rows_and_files(server.data)
    if rng.random() < 0.2:
        problems += own_check(server)
    while rng.random() < 1 / 6:
        kill_while_starting(server, rng)
        problems += rows_and_files(server.data)
    restart = server.start()
    problems += each(writers, lambda w: w.check(server))
    return problems, restart


def finish(server, writers, count):
    """Everything is deleted and reclaimed."""
    for problem in each(writers, lambda w: w.delete_everything(server)):
        count.fail(f"deleting everything: {problem}")
    left = wait_empty(server.data, REST + 2 * LEASE + GRACE + 30)
    count.check(not left, f"everything deleted is reclaimed: {left or 'nothing is left'}")
    server.stop()
    problems = rows_and_files(server.data) + own_check(server)
    count.check(not problems, f"rows and files agree at the end: {problems[:3] or 'yes'}")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=60)
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--ebb", default=None)
    options.add_argument("--writers", type=int, default=5)
    options.add_argument("--keep", action="store_true", help="leave the directory")
    o = options.parse_args()
    seed = o.seed if o.seed is not None else random.SystemRandom().randrange(1 << 30)
    print(f"crash: seed {seed}, {o.kills} kills, {ebb_binary(o.ebb)}", flush=True)
    rng, count, restarts = random.Random(seed), Count("crash"), []
    folder = tempfile.mkdtemp(prefix="ebb-crash-")
    server = Server(folder, o.ebb, SETTINGS)
    writers = make_writers(o.writers, seed)
    began = time.monotonic()
    try:
        server.start()
        for number in range(1, o.kills + 1):
            problems, restart = one_round(server, writers, rng)
            restarts.append(restart)
            for problem in problems:
                count.fail(f"kill {number}: {problem}")
            if not problems:
                count.ok()
            if server.starts > 50 and not problems and not o.keep:
                for old in range(server.starts - 50, server.starts - 20):
                    if os.path.exists(os.path.join(folder, f"log.{old}")):
                        os.remove(os.path.join(folder, f"log.{old}"))
            if number % 10 == 0:
                print(f"# {number} kills, {sum(w.done for w in writers)} changes acknowledged, "
                      f"{time.monotonic() - began:.0f} s", flush=True)
        finish(server, writers, count)
    except (Broken, Gone, Refused, AssertionError) as error:
        count.fail(f"{type(error).__name__}: {error}")
    finally:
        if server.alive():
            server.dying = True
            server.process.kill()
            server.process.wait()
    if restarts:
        print(f"# restart to first answer: median {statistics.median(restarts) * 1000:.0f} ms, "
              f"most {max(restarts) * 1000:.0f} ms", flush=True)
    if o.keep or count.failed:
        print(f"# left in {folder}", flush=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(count.end())


if __name__ == "__main__":
    main()
