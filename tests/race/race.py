#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pushes, mounts, HEADs, re-tags, deletes and reclaim on a few shared blobs, against two promises:

  1. A manifest that is visible is complete at any moment: a blob that is 404 while its manifest is
     there before and after is a failure.
  2. What was promised stays: when every blob of a manifest was acknowledged (201, HEAD 200, mount
     201) less than nine tenths of a lease ago, pushing the manifest succeeds, whatever was deleted or
     reclaimed meanwhile. Blobs are deleted by their digest in a repository of their own only.
  3. What a plan took and nobody else touched comes back whole by its undo, until the grace ends,
     whatever was deleted or reclaimed around it; and what went without a grace is gone at once.

Deletes come by digest, by tag, and by plans of one thing and of hundreds; undos run against all of it.

    race.py [--seconds N] [--seed S] [--ebb PATH] [--grace S] [--lease S]

At the end everything is deleted, and all rows and files must go.
"""
import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from registry import (Broken, Count, Gone, Refused, Server, ebb_binary, make_image, make_index,  # noqa: E402
                      sha256)
from engine import Chain, Engine, account  # noqa: E402
from store import rows_and_files, wait_empty  # noqa: E402

REPOSITORIES = ["race/a", "race/b", "race/c"]
BLOB_DELETERS = 2
TAGS = ["one", "two", "three"]
SAFETY = 0.3  # seconds that clocks, threads and this program may take


def blob_repository(number):
    """Each deleter of blobs has its own: there, what it deleted is gone and nobody else is promised it."""
    return f"race/blobs{number}"


def keeper_repository(number):
    return f"race/keep{number}"


def taker_repository(number):
    return f"race/take{number}"


class Race:
    """What the threads share."""

    def __init__(self, server, lease, grace, seed):
        self.server, self.lease, self.grace, self.seed = server, lease, grace, seed
        rng = random.Random(seed)
        self.blobs = [rng.randbytes(n) for n in (3, 900, 4096, 5_000, 20_000, 120_000)]
        self.digests = [sha256(b) for b in self.blobs]
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.numbers = {}
        self.problems = []

    def add(self, what):
        with self.lock:
            self.numbers[what] = self.numbers.get(what, 0) + 1

    def problem(self, text):
        with self.lock:
            self.problems.append(text)
        print(f"not ok - {text}", flush=True)


class Actor(threading.Thread):
    def __init__(self, race, number):
        super().__init__(daemon=True)
        self.race, self.rng = race, random.Random(race.seed * 100 + number)
        self.number, self.serial = number, 0
        self.client = race.server.client(timeout=60)

    def run(self):
        while not self.race.stop.is_set():
            try:
                self.step()
            except (Gone, Refused, Broken) as error:
                self.race.problem(f"{type(self).__name__}: {type(error).__name__}: {error}")
            except Exception as error:  # pylint: disable=broad-except
                self.race.problem(f"{type(self).__name__} ended: {error!r}")
                raise
        self.client.close()

    def pause(self, most):
        self.race.stop.wait(self.rng.uniform(0, most))

    def promise(self, repo, i):
        """Gets blob `i` promised in the repository; since when."""
        race, client, digest = self.race, self.client, self.race.digests[i]
        began = time.monotonic()
        how = self.rng.random()
        if how < 0.5 and client.head_blob(repo, digest):
            race.add("HEAD 200")
            return began
        if how < 0.75 and client.mount(repo, digest, self.rng.choice([None, *REPOSITORIES])):
            race.add("mount 201")
            return began
        began = time.monotonic()
        client.push_blob(repo, race.blobs[i], self.rng.choice(["single", "put", "chunks"]))
        race.add("upload 201")
        return began

    def push(self, repo, manifest, reference, since, what):
        """A push that must succeed while what it names is promised since `since`."""
        try:
            self.client.push_manifest(repo, manifest, reference)
            self.race.add(f"{what} pushed")
            return True
        except Refused as error:
            age = time.monotonic() - since
            if error.code != "MANIFEST_BLOB_UNKNOWN":
                raise
            if age < self.race.lease * 0.9 - SAFETY:
                self.race.problem(f"{what} refused {age:.2f} s after the promise (lease {self.race.lease} s), repository"
                                  f" {repo}: {error.answer.body[:400]!r}")
            else:
                self.race.add(f"{what} refused after the lease")
            return False


class Pusher(Actor):
    """Promises, then waits up to nearly a lease, then the manifest."""

    def image(self, repo, unique):
        """`unique`: True, False, or annotations that are shared with some."""
        race = self.race
        chosen = self.rng.sample(range(len(race.blobs)), self.rng.randint(1, 3))
        since = min(self.promise(repo, i) for i in chosen)
        self.serial += 1
        notes = {"by": f"{self.number} {self.serial}"} if unique is True else unique or None
        if self.rng.random() < 0.25:
            self.pause(race.lease * 0.9)
        config, layers = race.blobs[chosen[0]], [race.blobs[i] for i in chosen[1:]]
        return make_image(config, layers, annotations=notes), since

    def step(self):
        repo = self.rng.choice(REPOSITORIES)
        # Equal images from all pushers meet rows in the trash; unique ones leave garbage.
        manifest, since = self.image(repo, self.rng.random() < 0.5)
        reference = self.rng.choice([*TAGS, None])
        if not self.push(repo, manifest, reference, since, "image"):
            return
        if reference is None:  # pushed by digest: the manifest itself is promised for a lease
            since = time.monotonic()
            self.pause(0.3)
            self.push(repo, manifest, self.rng.choice(TAGS), since, "image again")


class IndexPusher(Pusher):
    """Children, then the index. Nobody deletes the children by their digests; some are also children of
    other indexes, which come and go."""

    def step(self):
        repo = self.rng.choice(REPOSITORIES)
        since, children = None, []
        for _ in range(self.rng.randint(1, 2)):
            manifest, blobs_since = self.image(repo, self.rng.choice([True, {"child": str(self.rng.randrange(4))}]))
            began = time.monotonic()
            if not self.push(repo, manifest, None, blobs_since, "child"):
                return
            children.append(manifest)
            since = since or began
        self.push(repo, make_index(children, {"by": f"{self.number} {self.serial}"}), self.rng.choice(TAGS), since, "index")


class Tagger(Actor):
    """HEAD of a manifest promises it; so putting its bytes under another tag works."""

    def step(self):
        repo = self.rng.choice(REPOSITORIES)
        found = self.client.get_manifest(repo, self.rng.choice(TAGS))
        if found is None or b'"manifests"' in found[2]:  # an index is promised, its children are not
            self.pause(0.02)
            return
        began = time.monotonic()
        if self.client.head_manifest(repo, found[0]) is None:
            return
        self.pause(self.rng.choice([0.01, 0.01, self.race.lease * 0.8]))
        fields = json.loads(found[2])
        manifest = make_image(b"", [])
        manifest.payload, manifest.digest, manifest.media_type = found[2], found[0], fields["mediaType"]
        self.push(repo, manifest, self.rng.choice(TAGS), began, "retag")


class Deleter(Actor):
    def step(self):
        repo, tag = self.rng.choice(REPOSITORIES), self.rng.choice(TAGS)
        if self.rng.random() < 0.6:
            status = self.client.delete_manifest(repo, tag, (202, 404))
        else:
            digest = self.client.head_manifest(repo, tag)
            # 405: a child of an index, when a tag names it as well
            status = self.client.delete_manifest(repo, digest, (202, 404, 405)) if digest else 404
        self.race.add(f"delete {status}")
        self.pause(0.1)


class BlobDeleter(Actor):
    """Its repository's links come and go; other repositories must not feel it."""

    def step(self):
        repo = blob_repository(self.number)
        i = self.rng.randrange(len(self.race.blobs))
        self.promise(repo, i)
        digest = self.race.digests[i]
        if self.rng.random() < 0.3:
            manifest = make_image(self.race.blobs[i], [], annotations={"by": f"{self.number} {self.serial}"})
            self.serial += 1
            if not self.push(repo, manifest, None, time.monotonic(), "image of one blob"):
                return
            self.client.delete_blob(repo, digest, 405)
            self.client.delete_manifest(repo, manifest.digest, 202)
        self.client.delete_blob(repo, digest, (202, 405, 404))
        if self.client.head_blob(repo, digest):
            self.race.add("blob kept by a manifest")
        self.race.add("blob delete")
        self.pause(0.05)


class Keeper(Actor):
    """Two images share a blob in a quiet repository; one goes, and a lease and a grace later the other is
    whole. In the busy ones above each let-go renews the lease before anything can become due."""

    def step(self):
        race, repo = self.race, keeper_repository(self.number)
        self.serial += 1
        shared = self.rng.sample(race.blobs, 2)
        kept = self.client.push_image(repo, shared[0], shared[1:], "kept", annotations={"n": f"{self.serial}"})
        gone = self.client.push_image(repo, b'{"n":%d}' % self.serial, shared, "gone")
        way = self.rng.choice(["tag", "digest", "overwrite", "index"])
        if way == "overwrite":
            self.client.push_manifest(repo, kept, "gone")
        elif way == "index":
            index = make_index([gone, kept])
            self.client.push_manifest(repo, index, "gone")
            self.client.delete_manifest(repo, index.digest, 202)
        else:
            self.client.delete_manifest(repo, "gone" if way == "tag" else gone.digest, 202)
        end = time.monotonic() + race.lease + race.grace + 1
        while time.monotonic() < end and not race.stop.is_set():
            self.look(repo, kept, way)
            self.pause(0.5)
        self.look(repo, kept, way)
        if race.stop.is_set():
            return
        race.add("kept beside one that went")
        lost = sha256(b'{"n":%d}' % self.serial)
        end = time.monotonic() + race.lease + 3
        while self.client.get_blob(repo, lost) is not None and not race.stop.is_set():
            if time.monotonic() > end:
                race.problem(f"{repo}: a blob of an image deleted by {way} is not reclaimed")
                break
            time.sleep(0.2)
        self.promised_while_used(repo, kept, shared)

    def promised_while_used(self, repo, kept, shared):
        """HEAD of a blob in use writes nothing, and is a promise all the same when its image goes then."""
        began = time.monotonic()
        for digest in kept.blobs:
            if not self.client.head_blob(repo, digest):
                self.race.problem(f"{repo}: blob {digest} of a tagged image is not there")
                return
        self.client.delete_manifest(repo, self.rng.choice(["kept", kept.digest]), 202)
        if self.rng.random() < 0.3:  # then nothing names it but the trash
            self.client.delete_manifest(repo, kept.digest, (202, 404))
        self.race.stop.wait(self.race.lease * self.rng.uniform(0.6, 0.8))
        again = make_image(shared[0], shared[1:], annotations={"n": f"{self.serial} again"})
        self.push(repo, again, None, began, "image after a HEAD while in use")

    def look(self, repo, kept, way):
        if self.client.pull(repo, "kept") is None:
            self.race.problem(f"{repo}: tag kept is gone ({kept.digest}) after a delete by {way}")


class Reader(Actor):
    """Pulls random tags whole."""

    def step(self):
        repo = self.rng.choice(REPOSITORIES)
        began = time.monotonic()
        found = self.client.get_manifest(repo, self.rng.choice(TAGS))
        if found is None:
            self.pause(0.02)
            return
        self.read(repo, found, began)
        self.race.add("pull")

    def read(self, repo, found, began):
        fields = json.loads(found[2])
        parts = [fields[k] for k in ("config",) if k in fields] + fields.get("layers", [])
        for part in parts:
            if self.client.get_blob(repo, part["digest"]) is None:
                self.judge(repo, found[0], "blob " + part["digest"], began)
        for part in fields.get("manifests", []):
            again = time.monotonic()
            child = self.client.get_manifest(repo, part["digest"])
            if child is None:
                self.judge(repo, found[0], "child " + part["digest"], began)
            else:
                self.read(repo, child, again)

    def judge(self, repo, digest, missing, began):
        """A manifest that was deleted cannot be reclaimed and pushed anew within the grace."""
        there = self.client.get_manifest(repo, digest) is not None
        age = time.monotonic() - began
        if there and age < self.race.grace * 0.9:
            self.race.problem(f"{repo}: manifest {digest} is there before and after ({age:.2f} s), its {missing} is not")
        self.race.add("pull of what was deleted meanwhile")


class Planner(Actor):
    """Plans and applies in the busy repositories, and undoes what comes to hand, its own or not."""

    def __init__(self, race, number):
        super().__init__(race, number)
        self.engine = Engine(self.client)
        self.receipts = []

    def step(self):
        if self.receipts and self.rng.random() < 0.5:
            self.undo()
        else:
            self.delete()
        self.pause(0.15)

    def selector(self, repo):
        tag = self.rng.choice(TAGS)
        return self.rng.choice([{"tag": f"{repo}:{tag}"}, {"image": f"{repo}:{tag}"},
                                {"rule": {"repositories": repo, "tags": self.rng.choice(["one|two", "t.*", ".*"])}},
                                {"rule": {"repositories": "race/?", "tags": ".*", "keep": 1}}])

    def delete(self):
        try:
            plan = self.engine.plan([self.selector(self.rng.choice(REPOSITORIES))], reason=f"{self.number}")
        except Refused as error:
            if error.status != 404:
                raise
            return
        self.pause(self.rng.choice([0, 0, 0.3]))
        receipt = self.engine.sealed(self.engine.apply(plan))
        if receipt["items"] != plan["items"]:
            self.race.problem(f"plan {plan['plan']} had {plan['items']} items, its receipt {receipt}")
        for item in self.engine.items(receipt):
            if not item["skipped"] and item["kind"] == "manifest" and item["role"] == "selected":
                self.receipts = [*self.receipts[-5:], receipt["receipt"]]
        self.race.add("plan applied")

    def undo(self):
        number = self.rng.choice(self.receipts)
        options = {"force": True} if self.rng.random() < 0.3 else {}
        answer = self.client.request("POST", f"/api/ebb/v1/receipts/{number}/undo", json.dumps(options).encode(),
                                     {"Content-Type": "application/json"})
        if answer.status in (200, 202):
            receipt = self.engine.sealed(answer.json())
            self.race.add("undone with skips" if receipt["skipped"] else "undone")
        elif answer.status == 410:
            self.receipts.remove(number)
            self.race.add("undo after the grace")
        elif answer.status != 409:
            raise Refused(f"undo of {number}", answer)


class Taker(Actor):
    """In a repository of its own, of content that the others share: deletes, waits through most of the
    grace, undoes, compares; then deletes without a grace. One in four is hundreds of tags."""

    def step(self):
        race, repo, engine = self.race, taker_repository(self.number), Engine(self.client)
        self.serial += 1
        blobs = self.rng.sample(race.blobs, 3)
        note = {"by": f"{self.number} {self.serial}"}
        image = self.client.push_image(repo, blobs[0], blobs[1:], "image", annotations=note)
        child = self.client.push_image(repo, b'{"n":%d,"by":%d}' % (self.serial, self.number), blobs[:2])
        index = make_index([image, child], note)
        self.client.push_manifest(repo, index, "index")
        signature = self.client.push_image(repo, b"{}", [b"sig %d" % self.serial], subject=index, artifact_type="application/vnd.test.sig")
        tags = {"image": image.digest, "index": index.digest}
        for i in range(300 if self.rng.random() < 0.25 else 2):
            self.client.push_manifest(repo, image, f"more{i}")
            tags[f"more{i}"] = image.digest
        before = self.look(repo, tags, [image, child, index, signature])
        select = self.rng.choice([{"repository": repo}, {"rule": {"repositories": repo, "tags": ".*"}}])
        began = time.monotonic()
        plan = engine.plan([select], reason="taken")
        receipt = engine.sealed(engine.apply(plan))
        if receipt["skipped"] or receipt["tags"] != len(tags):
            race.problem(f"{repo}: {receipt}")
        if self.client.tags(repo):
            race.problem(f"{repo}: has tags after all were deleted")
        race.stop.wait(self.rng.choice([0.02, race.grace * 0.5, race.grace * 0.8]))
        if time.monotonic() - began > race.grace - SAFETY:
            race.add("too late to undo")
            return
        undo = engine.sealed(engine.undo(receipt["receipt"]))
        if undo["skipped"]:
            race.problem(f"{repo}: undo skipped {[i for i in engine.items(undo) if i['skipped']][:3]}")
        after = self.look(repo, tags, [image, child, index, signature])
        if after != before:
            race.problem(f"{repo}: not as before after an undo: {[k for k in before if before[k] != after.get(k)][:3]}")
        race.add("taken and undone")
        self.at_once(repo, engine, child)

    def look(self, repo, tags, manifests):
        """What each visible answer says."""
        found = {t: self.client.head_manifest(repo, t) for t in tags}
        for manifest in manifests:
            found[manifest.digest] = self.client.get_manifest(repo, manifest.digest)
            found["referrers of " + manifest.digest] = sorted(self.client.referrers(repo, manifest.digest))
        if self.client.pull(repo, "index") is None:
            self.race.problem(f"{repo}: the index is not there")
        found["list"] = sorted(self.client.tags(repo))
        return found

    def at_once(self, repo, engine, child):
        plan = engine.plan([{"repository": repo}], now=True)
        engine.sealed(engine.apply(plan))
        own = child.blobs[0]  # a config that nobody shares
        end = time.monotonic() + 20
        while self.client.get_blob(repo, own) is not None:  # HEAD would promise it
            if time.monotonic() > end:
                self.race.problem(f"{repo}: {own} is there 20 s after a delete without a grace")
                return
            time.sleep(0.05)
        self.race.add("gone at once")


class Switcher(Actor):
    """Pauses and resumes reclaim, and looks at what others change."""

    def step(self):
        engine = Engine(self.client)
        way = self.rng.random()
        if way < 0.2:
            engine.call(200, "POST", "/reclaim/pause")
            self.pause(0.2)
            engine.resume()
        elif way < 0.6:
            engine.call(202, "POST", "/reclaim/run")
        else:
            usage = engine.usage()
            if min(usage.values()) < 0:
                self.race.problem(f"usage {usage}")
        if self.rng.random() < 0.1 and not engine.call(200, "GET", "/receipts/verify?from=1")["ok"]:
            self.race.problem("receipts do not verify")
        self.pause(0.3)


def delete_everything(server):
    client = server.client()
    for repo in REPOSITORIES + [f(n) for n in range(30) for f in (keeper_repository, taker_repository)]:
        for tag in client.tags(repo):
            digest = client.head_manifest(repo, tag)
            if digest:
                client.delete_manifest(repo, digest, (202, 405, 404))
        for tag in client.tags(repo):
            client.delete_manifest(repo, tag, 202)
    client.close()


def run(o, seed, count, server):
    race = Race(server, o.lease, o.grace, seed)
    cast = [Pusher] * 4 + [IndexPusher] * 2 + [Tagger] * 2 + [Deleter] * 3 + [BlobDeleter] * BLOB_DELETERS + [Reader] * 3 + [Keeper] * 4
    cast += [Planner] * 2 + [Taker] * 2 + [Switcher]
    actors = [kind(race, i) for i, kind in enumerate(cast)]
    for actor in actors:
        actor.start()
    end = time.monotonic() + o.seconds
    while time.monotonic() < end and server.alive() and len(race.problems) < 50:
        time.sleep(0.5)
    race.stop.set()
    for actor in actors:
        actor.join(90)
        if actor.is_alive():
            count.fail("a request hangs")
    print("# " + ", ".join(f"{k} {v}" for k, v in sorted(race.numbers.items())), flush=True)
    count.failed += len(race.problems)
    if not race.problems:
        count.passed += sum(race.numbers.values())
    for what in ("pull", "image pushed", "index pushed", "retag pushed", "HEAD 200", "mount 201", "delete 202", "kept beside one that went",
                 "image after a HEAD while in use pushed", "plan applied", "undone", "taken and undone", "gone at once"):
        count.check(race.numbers.get(what, 0) > 0, f"happened at all: {what}")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--ebb", default=None)
    options.add_argument("--grace", type=float, default=2)
    options.add_argument("--lease", type=float, default=5)
    o = options.parse_args()
    seed = o.seed if o.seed is not None else random.SystemRandom().randrange(1 << 30)
    print(f"race: seed {seed}, {o.seconds:.0f} s, {ebb_binary(o.ebb)}", flush=True)
    count, folder = Count("race"), tempfile.mkdtemp(prefix="ebb-race-")
    server = Server(folder, o.ebb, [f"reclaim.grace={int(o.grace * 1000)}ms", f"reclaim.lease={int(o.lease * 1000)}ms",
                                    "reclaim.interval=50ms", "limits.upload_rest=3s", "log.requests=errors"])
    try:
        server.start()
        run(o, seed, count, server)
        engine = Engine(server.client())
        problems = Chain().verify(engine) + account(server, engine)
        count.check(not problems, f"receipts verify, and the accounting is what files and rows hold: {problems[:3] or 'yes'}")
        delete_everything(server)
        left = wait_empty(server.data, o.grace + 3 * o.lease + 30)
        count.check(not left, f"everything deleted is reclaimed: {left or 'nothing is left'}")
        server.stop()
        problems = rows_and_files(server.data) + [said for said in [server.check()] if said]
        count.check(not problems, f"rows and files agree: {problems[:3] or 'yes'}")
    except (Broken, Gone, Refused, AssertionError) as error:
        count.fail(f"{type(error).__name__}: {error}")
    finally:
        if server.alive():
            server.process.kill()
    if count.failed:
        print(f"# left in {folder}", flush=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(count.end())


if __name__ == "__main__":
    main()
