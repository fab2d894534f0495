#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills the server at random instants under load and checks that what was acknowledged is so.

    crash.py [--kills N] [--seed S] [--ebb PATH] [--writers N] [--keep]

Each round: writers push, tag, mount, delete, upload and cancel; planners (planner.py) delete by plans, undo,
restore, empty the trash, hold; reclaim is paused and resumed; kill -9 after 20 to 400 ms (one time
in six while the server is starting); the directory's rows are compared with its files; restart; then every
writer's model (model.py) is compared with what the server answers, the chain of receipts is verified, and
the accounting is compared with the bytes in files. Reclaim runs all the while: grace 2.5 s, lease 2 s.
At the end what is not tagged must go, to the byte; then everything is deleted, and rows and files must all be gone.

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
from store import files, open_receipts, rows_and_files, wait_empty  # noqa: E402
from engine import Chain, Engine, account, kept_bytes, wait_settled  # noqa: E402
from planner import Bulk, Janitor, Planner  # noqa: E402
from writer import Writer, shared_content  # noqa: E402

LEASE, GRACE, REST = 2.0, 2.5, 4.0  # seconds
INLINE = 4096  # bytes: what is not longer lies in a row
SETTINGS = [f"reclaim.lease={int(LEASE * 1000)}ms", f"reclaim.grace={int(GRACE * 1000)}ms", "reclaim.interval=50ms",
            f"limits.upload_rest={int(REST * 1000)}ms", "db.log_size=2MiB", "log.requests=none"]


def make_writers(number, seed):
    shared = shared_content(seed)
    names = [f"crash/w{n}/r{i}" for n in range(number) for i in range(2)]
    planners = [Planner(n, seed + 1, shared, LEASE, REST, names, GRACE) for n in range(max(1, number // 2))]
    bulk = Bulk(0, seed + 2, shared, LEASE, REST, names, GRACE)
    return [*(Writer(n, seed, shared, LEASE, REST, names) for n in range(number)), *planners, bulk, Janitor(seed + 3)]


def start_first(server, writers):
    server.start()
    for writer in writers:
        if isinstance(writer, Planner):
            writer.setup(server)


def load(server, writers, seconds, end, aim=0):
    """Lets the writers work for a while; `end` ends the server under them. With `aim`: so many seconds
    after a large deletion or undo began, so that steps of it are done and others are not."""
    stop = threading.Event()
    threads = [threading.Thread(target=w.run, args=(server, stop)) for w in writers]
    for thread in threads:
        thread.start()
    if aim and wait_busy([w for w in writers if isinstance(w, Bulk)], 2):
        time.sleep(aim)
    else:
        time.sleep(seconds)
    end()
    stop.set()
    for thread in threads:
        thread.join(120)
        if thread.is_alive():
            raise Broken("a request hangs although the server is gone")


def wait_busy(bulks, seconds):
    """True once one of them is at it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(b.pending and not b.pending.seen for b in bulks):
            for bulk in bulks:
                if bulk.pending:
                    bulk.pending.seen = True
            return True
        time.sleep(0.0005)
    return False


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


def audit(server, chain, again=False, may_lose_uploads=False):
    """Problems of receipts and accounting of a server that nobody writes to."""
    engine = Engine(server.client())
    problems = chain.verify(engine, again) + account(server, engine, may_lose_uploads)
    engine.client.close()
    return problems


def one_round(server, writers, rng, chain):
    """Problems, and how long the restart took in seconds."""
    aim = rng.uniform(0, 0.05) if rng.random() < 0.3 else 0
    load(server, writers, rng.uniform(0.02, 0.4), server.kill, aim)
    problems = collect(writers) + rows_and_files(server.data)
    chain.interrupted += open_receipts(server.data) > 0
    if rng.random() < 0.2:
        problems += own_check(server)
    while rng.random() < 1 / 6:
        kill_while_starting(server, rng)
        problems += rows_and_files(server.data)
    restart = server.start()
    problems += each(writers, lambda w: w.check(server))
    problems += audit(server, chain)
    return problems, restart


def only_kept(server, writers):
    """Problems: after all graces there is what is tagged or held, and nothing else."""
    engine = Engine(server.client())
    for problem in each(writers, lambda w: w.cancel_sessions(server)):
        return [problem]
    left = wait_settled(server.data, engine, REST + 2 * LEASE + GRACE + 30)
    if left:
        return [f"not reclaimed: {left}"]
    roots = [(r.name, digest) for w in writers for r in w.repositories for digest in [*r.state.tags.values(), *r.held]]
    blobs, payloads = kept_bytes(engine.client, roots)
    usage, disk = engine.usage(), sum(files(server.data).values())
    engine.client.close()
    problems = []
    if usage["unique"] + usage["shared"] != sum(blobs.values()) + payloads:
        problems.append(f"usage {usage}; tagged and held are {sum(blobs.values())} in blobs and {payloads} in manifests")
    if disk != sum(size for size in blobs.values() if size > INLINE):
        problems.append(f"{disk} bytes in files; tagged and held are {sum(s for s in blobs.values() if s > INLINE)}")
    return problems


def finish(server, writers, count, chain, kills=0):
    """What nothing keeps is reclaimed; then everything is deleted and reclaimed."""
    problems = only_kept(server, writers) + audit(server, chain, again=True)
    count.check(not problems, f"exactly what is kept is left, {chain.seq} receipts verify: {problems[:3] or 'yes'}")
    numbers = {}
    for writer in writers:
        for what, number in getattr(writer, "numbers", {}).items():
            numbers[what] = numbers.get(what, 0) + number
    print(f"# {chain.interrupted} kills fell between the steps of a receipt", flush=True)
    if kills >= 30:
        count.check(chain.interrupted, "some did")
        for what in ("applied", "undone", "undone in part", "deleted at once", "refused"):
            count.check(numbers.get(what, 0) > 0, f"happened at all: {what}")
    print("# " + ", ".join(f"{k} {v}" for k, v in sorted(numbers.items())), flush=True)
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
    writers, chain = make_writers(o.writers, seed), Chain()
    began = time.monotonic()
    try:
        start_first(server, writers)
        for number in range(1, o.kills + 1):
            problems, restart = one_round(server, writers, rng, chain)
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
        finish(server, writers, count, chain, o.kills)
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
