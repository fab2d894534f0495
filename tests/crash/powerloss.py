#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes the power away at random instants under load. Needs root, e2fsprogs and xfsprogs.

    powerloss.py [--rounds N] [--seed S] [--ebb PATH] [--writers N]

The data lies on ext4 in a file. Each round: the writers of crash.py work; the file system is shut
down, so that what was not synced is gone; kill -9; the file system is mounted again; rows are
compared with files; restart; the writers' models are compared with what the server answers. What may
be lost, by design: uploads that were not finished (doc/durability.md).
"""
import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from registry import Broken, Count, Gone, Refused, Server, ebb_binary  # noqa: E402
from disk import Disk  # noqa: E402
from store import open_receipts, rows_and_files  # noqa: E402
from engine import Chain  # noqa: E402
from crash import SETTINGS, audit, collect, each, finish, load, make_writers, own_check, start_first  # noqa: E402


def one_round(server, writers, rng, disk, chain):
    """Problems, and how long the restart took in seconds."""

    def power_off():
        server.dying = True
        disk.shut_down(flush=rng.random() < 0.25)
        time.sleep(rng.uniform(0, 0.05))  # requests that meet the dead disk are not acknowledged
        server.kill()

    aim = rng.uniform(0.001, 0.05) if rng.random() < 0.3 else 0
    load(server, writers, rng.uniform(0.05, 0.8), power_off, aim)
    disk.unmount()
    disk.mount()
    problems = collect(writers) + rows_and_files(server.data) + own_check(server)
    chain.interrupted += open_receipts(server.data) > 0
    restart = server.start()
    problems += each(writers, lambda w: w.check(server, may_lose_uploads=True))
    for writer in writers:
        writer.sessions = []  # their bytes may be lost
    problems += audit(server, chain, may_lose_uploads=True)
    return problems, restart


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=12)
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--ebb", default=None)
    options.add_argument("--writers", type=int, default=6)
    o = options.parse_args()
    if os.geteuid() != 0:
        sys.exit("powerloss: needs root, for mounts")
    seed = o.seed if o.seed is not None else random.SystemRandom().randrange(1 << 30)
    print(f"powerloss: seed {seed}, {o.rounds} rounds, {ebb_binary(o.ebb)}", flush=True)
    rng, count, restarts = random.Random(seed), Count("powerloss"), []
    folder = tempfile.mkdtemp(prefix="ebb-power-")
    disk = Disk(folder, "ext4", 600)
    server = Server(folder, o.ebb, SETTINGS, data=os.path.join(disk.path, "data"))
    writers, chain = make_writers(o.writers, seed), Chain()
    try:
        start_first(server, writers)
        for number in range(1, o.rounds + 1):
            problems, restart = one_round(server, writers, rng, disk, chain)
            restarts.append(restart)
            for problem in problems:
                count.fail(f"power loss {number}: {problem}")
            if not problems:
                count.ok()
        finish(server, writers, count, chain)
        print(f"# {sum(w.done for w in writers)} changes acknowledged; restart to first answer: median"
              f" {statistics.median(restarts) * 1000:.0f} ms", flush=True)
    except (Broken, Gone, Refused, AssertionError) as error:
        count.fail(f"{type(error).__name__}: {error}")
    finally:
        if server.alive():
            server.dying = True
            server.process.kill()
            server.process.wait()
        disk.unmount()
    if count.failed:
        print(f"# left in {folder}", flush=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(count.end())


if __name__ == "__main__":
    main()
