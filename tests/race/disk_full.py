#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fills the disk, takes it away, gives it back. Needs root: the data lies on a file system of its own.

    disk_full.py [--seed S] [--ebb PATH] [--size MIB] [CASE...]

  pushes     pushes until one is refused: 507, JSON, a sentence, at once. Pulls and deletes go on; after
             reclaim pushing works again; nothing acknowledged is lost
  many       the same by 16 clients at once, who meet in the last megabytes
  neighbour  another program takes every byte for a while: what is refused is refused clearly, pulls go
             on, and afterwards all is as it was
  space_back_in_a_minute
             no byte is free, neither for pushes nor for others; a person deletes with `ebb` what is largest,
             knows before how much it frees, and has it back, and pushing works, within a minute
  inodes     no file can be made any more, although there is room
  readonly   the file system turns read-only (as after an error of the disk) and back
  dead       the file system is shut down: every access fails. Answers are clear, nothing hangs; after a
             restart on the repaired one everything acknowledged is there
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from registry import (PATIENCE, Broken, Count, Gone, Refused, Server, ebb_binary,  # noqa: E402
                      wait_for)
from disk import Disk  # noqa: E402
from store import rows_and_files, wait_empty  # noqa: E402

REPO = "full/app"
SLOW = 10  # seconds: a refusal that takes longer is a hang
SETTINGS = ["reclaim.grace=200ms", "reclaim.lease=3s", "reclaim.interval=50ms", "limits.upload_rest=2s",
            "db.log_size=1MiB", "log.requests=errors"]


class Case:
    def __init__(self, name, count, rng, binary):
        self.name, self.count, self.rng, self.binary = name, count, rng, binary
        self.images = {}  # tag -> Manifest, acknowledged and not deleted
        self.serial = 0
        self.lock = threading.Lock()
        self.settings = SETTINGS

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="ebb-full-")
        self.folder = self.temporary.name
        return self

    def on(self, disk):
        self.disk = disk
        self.server = Server(self.folder, self.binary, self.settings, data=os.path.join(disk.path, "data"))
        self.server.start()
        self.client = self.server.client(timeout=PATIENCE)

    def __exit__(self, *_):
        if self.server.alive():
            self.server.dying = True
            self.server.process.kill()
            self.server.process.wait()
        self.disk.unmount()
        self.temporary.cleanup()

    def check(self, good, what):
        return self.count.check(good, f"{self.name}: {what}")

    def push(self, client, size, layers=1):
        with self.lock:
            self.serial += 1
            tag = f"t{self.serial}"
            content = [self.rng.randbytes(size) for _ in range(layers)]
        manifest = client.push_image(REPO, b'{"n":"%s"}' % tag.encode(), content, tag, self.rng.choice(["put", "single", "chunks"]))
        with self.lock:
            self.images[tag] = manifest

    def refused(self, client, size, layers=1):
        """Pushes; None, or how it was refused: (status, code, message, seconds)."""
        began = time.monotonic()
        try:
            self.push(client, size, layers)
            return None
        except Refused as error:
            return self.judge(error, time.monotonic() - began)

    def judge(self, error, seconds):
        try:
            message = error.answer.json()["errors"][0]["message"]
        except (ValueError, KeyError, IndexError):
            message = None
        return error.status, error.code, message, seconds

    def clear(self, refusal, statuses):
        status, code, message, seconds = refusal
        return status in statuses and code and message and " " in message and seconds < SLOW

    def fill(self, client, size, most=2000):
        """Pushes until one is refused; how."""
        for _ in range(most):
            refusal = self.refused(client, size, 2)
            if refusal:
                return refusal
        return None

    def pull_all(self, what):
        problems = []
        for tag in sorted(self.images):
            try:
                if self.client.pull(REPO, tag) is None:
                    problems.append(f"{tag} is gone")
            except (Broken, Gone, Refused) as error:
                problems.append(str(error))
        self.check(not problems, f"{len(self.images)} acknowledged images pull whole {what}: {problems[:2] or 'yes'}")

    def delete(self, number):
        for tag in sorted(self.images)[:number]:
            self.client.delete_manifest(REPO, self.images[tag].digest, 202)
            if self.client.get_manifest(REPO, tag) is not None:
                raise Broken(f"{tag} is there after its delete")
            del self.images[tag]

    def push_again(self, size):
        """Within a while: reclaim has to give space back first."""
        last = [None]

        def try_it():
            last[0] = self.refused(self.client, size, 2)
            return last[0] is None

        try:
            wait_for(try_it, "a push", 30)
            self.check(True, "pushing works again")
        except AssertionError:
            self.check(False, f"pushing works again: {last[0]}")

    def finish(self):
        """Stops; rows and files agree; then all is deleted and everything goes."""
        self.pull_all("at the end")
        self.delete(len(self.images))
        left = wait_empty(self.server.data, 40)
        self.check(not left, f"everything deleted is reclaimed: {left or 'nothing is left'}")
        self.server.stop()
        problems = rows_and_files(self.server.data) + [said for said in [self.server.check()] if said]
        self.check(not problems, f"rows and files agree: {problems[:3] or 'yes'}")


def pushes(case, size_mib):
    case.on(Disk(case.folder, "ext4", size_mib))
    for size in (1_000_000, 60_000, 3_000):
        refusal = case.fill(case.client, size)
        case.check(refusal and case.clear(refusal, (507,)), f"full by {size} bytes: refused with {refusal}")
        case.pull_all("from a full disk")
        before = len(case.images)
        case.delete(before // 2)
        case.check(True, f"{before // 2} deletes from a full disk")
        case.push_again(size)
    case.server.kill()
    case.server.start()
    case.client = case.server.client()
    case.finish()


def many(case, size_mib):
    case.on(Disk(case.folder, "ext4", size_mib))
    refusals, broken = [], []

    def work():
        client = case.server.client(timeout=PATIENCE)
        try:
            for _ in range(8):
                refusal = case.fill(client, case.rng.choice([2_000_000, 300_000, 2_000]))
                if refusal:
                    refusals.append(refusal)
        except (Broken, Gone, AssertionError) as error:
            broken.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    unclear = [r for r in refusals if not case.clear(r, (507,))]
    case.check(refusals and not unclear, f"{len(refusals)} refusals are clear: {unclear[:3] or 'yes'}")
    case.check(not broken, f"no connection broke: {broken[:3] or 'yes'}")
    case.pull_all("from a full disk")
    case.delete(len(case.images) // 2)
    case.push_again(200_000)
    case.finish()


def neighbour(case, size_mib):
    kind = "tmpfs"
    case.on(Disk(case.folder, kind, size_mib))
    for _ in range(10):
        case.push(case.client, 300_000, 2)
    for tried in range(3):
        path = case.disk.fill()
        case.check(case.disk.free() == 0, f"no byte is free ({tried})")
        refusals = [case.refused(case.client, size) for size in (300_000, 3_000, 10)]
        # Few bytes may still find room in the database's log: then they are acknowledged, and must stay.
        case.check(refusals[0] and all(r is None or case.clear(r, (507,)) for r in refusals),
                   f"pushes are refused: {refusals}")
        case.pull_all("with no byte free")
        tag = sorted(case.images)[0]
        began = time.monotonic()
        answer = case.client.request("DELETE", f"/v2/{REPO}/manifests/{case.images[tag].digest}")
        if answer.status == 202:
            case.check(True, "a delete with no byte free: 202")
        else:
            refusal = case.judge(Refused("delete", answer), time.monotonic() - began)
            case.check(case.clear(refusal, (507,)), f"a delete with no byte free: {refusal}")
        there = case.client.get_manifest(REPO, tag) is not None
        case.check(there == (answer.status != 202), "and what it answered is so")
        if answer.status == 202:
            del case.images[tag]
        if tried == 1:
            case.server.kill()
            os.unlink(path)
            case.server.start()
            case.client = case.server.client(timeout=PATIENCE)
        else:
            os.unlink(path)
        case.push_again(300_000)
    case.finish()


def tell(case, *words, wanted=0):
    """What `ebb` says to somebody without a terminal, as JSON."""
    done = subprocess.run([case.server.binary, *words, "-o", "json"], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=PATIENCE, check=False, text=True,
                          env={**os.environ, "EBB_SERVER": f"http://127.0.0.1:{case.server.port}"})
    case.check(done.returncode == wanted, f"ebb {' '.join(words)}: status {done.returncode} {done.stderr.strip()[:300]}")
    return json.loads(done.stdout) if done.stdout else {}


def space_back_in_a_minute(case, size_mib):
    case.settings = [s for s in SETTINGS if not s.startswith(("reclaim.grace", "reclaim.lease"))] + ["reclaim.grace=24h"]
    case.on(Disk(case.folder, "ext4", size_mib))
    refusal = case.fill(case.client, 1_000_000)
    case.check(refusal and case.clear(refusal, (507,)), f"full: refused with {refusal}")
    path = case.disk.fill()
    case.check(case.disk.free() == 0, "no byte is free")
    began = time.monotonic()
    tags = sorted(case.images, key=lambda t: int(t[1:]))
    victims, left = tags[:len(tags) // 2], tags[len(tags) // 2:]
    refs = [f"{REPO}:{t}" for t in victims]
    plan = tell(case, "rm", "--now", "--dry-run", *refs)
    freed = plan.get("bytes_freed", 0)
    case.check(plan.get("receipt", 0) is None and freed > len(victims) * 2_000_000, f"the preview says {freed} bytes")
    done = tell(case, "rm", "--now", "--yes", "--bytes", str(freed), "--confirm-tags", str(len(victims)), *refs)
    case.check(done.get("bytes_freed") == freed and done.get("tags") == len(victims), f"it went: {done}")
    try:
        wait_for(lambda: case.disk.free() >= freed * 0.95, "the space", 60)
    except AssertionError:
        pass
    seconds = time.monotonic() - began
    case.check(case.disk.free() >= freed * 0.95 and seconds < 60, f"{case.disk.free()} of {freed} bytes are free after {seconds:.1f} s")
    case.images = {t: case.images[t] for t in left}
    case.push_again(1_000_000)
    case.check(time.monotonic() - began < 60, f"pushing works after {time.monotonic() - began:.1f} s")
    gone = [t for t in victims if case.client.get_manifest(REPO, t) is not None]
    case.check(not gone, f"what was deleted is gone: {gone or 'yes'}")
    case.pull_all("after it")
    os.unlink(path)
    tell(case, "receipts", "verify")
    plan = tell(case, "rm", "--now", "--dry-run", "--repository", REPO)
    tell(case, "rm", "--now", "--yes", "--bytes", str(plan.get("bytes_freed")), "--confirm-tags", str(plan.get("tags")),
         "--repository", REPO)
    case.images = {}
    case.finish()


def inodes(case, size_mib):
    case.on(Disk(case.folder, "ext4", size_mib, inodes=400))
    refusal = case.fill(case.client, 5_000)
    case.check(refusal and case.clear(refusal, (507,)), f"no inode is left: refused with {refusal}")
    case.pull_all("without inodes")
    case.delete(len(case.images) // 2)
    case.push_again(5_000)
    case.finish()


def restart_repaired(case):
    case.server.kill()
    case.disk.unmount()
    case.disk.repair()
    case.disk.mount()
    case.server.start()
    case.client = case.server.client(timeout=PATIENCE)


def readonly(case, size_mib):
    case.on(Disk(case.folder, "ext4", size_mib))
    for _ in range(5):
        case.push(case.client, 200_000, 2)
    case.disk.break_read_only()
    refusals = [case.refused(case.client, size) for size in (300_000, 10)]
    case.check(all(r and case.clear(r, (500, 503)) for r in refusals), f"pushes are refused: {refusals}")
    case.pull_all("from a read-only disk")
    tag = sorted(case.images)[0]
    status = case.client.request("DELETE", f"/v2/{REPO}/manifests/{tag}").status
    case.check(status in (500, 503), f"a delete is refused: {status}")
    case.check(case.server.alive(), "the server is alive")
    restart_repaired(case)
    case.push_again(200_000)
    case.finish()


def dead(case, size_mib):
    case.on(Disk(case.folder, "ext4", size_mib))
    for _ in range(5):
        case.push(case.client, 200_000, 2)
    case.disk.shut_down()
    refusals = [case.refused(case.client, size) for size in (300_000, 10)]
    case.check(all(r and case.clear(r, (500, 503, 507)) for r in refusals), f"pushes are refused: {refusals}")
    tag = sorted(case.images)[0]
    status = case.client.request("DELETE", f"/v2/{REPO}/manifests/{tag}").status
    case.check(status in (500, 503, 507), f"a delete is refused: {status}")
    status = case.client.request("GET", f"/v2/{REPO}/manifests/{tag}").status
    case.check(status in (200, 500, 503), f"a pull is answered: {status}")
    statuses = {case.client.request("GET", f"/v2/{REPO}/blobs/{b}").status for m in case.images.values() for b in m.blobs}
    case.check(statuses <= {200, 500, 503}, f"what cannot be read is not called unknown: {statuses}")
    case.check(case.server.alive(), "the server is alive")
    restart_repaired(case)
    case.push_again(200_000)
    case.finish()


CASES = {f.__name__: f for f in (pushes, many, neighbour, space_back_in_a_minute, inodes, readonly, dead)}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--ebb", default=None)
    options.add_argument("--size", type=int, default=48)
    options.add_argument("cases", nargs="*", metavar="CASE")
    o = options.parse_args()
    if os.geteuid() != 0:
        sys.exit("disk_full: needs root, for mounts")
    seed = o.seed if o.seed is not None else random.SystemRandom().randrange(1 << 30)
    print(f"disk_full: seed {seed}, {o.size} MiB, {ebb_binary(o.ebb)}", flush=True)
    count = Count("disk_full")
    for name in o.cases or CASES:
        print(f"# {name}", flush=True)
        try:
            with Case(name, count, random.Random(seed), o.ebb) as case:
                CASES[name](case, o.size)
        except (Broken, Gone, Refused, AssertionError, OSError, subprocess.SubprocessError) as error:
            count.fail(f"{name}: {type(error).__name__}: {error}")
    sys.exit(count.end())


if __name__ == "__main__":
    main()
