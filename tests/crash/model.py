# SPDX-License-Identifier: Apache-2.0
"""What one repository must look like after what was acknowledged.

A repository has one writer, which has at most one request under way. So after a crash its state is
either that before the request or that after it: nothing else, nothing in between (atomic). State is
what is known for sure; `Repository.settle()` asks a server which of the two it is and reports what fits neither.

  manifest   kept     a tag reaches it (through indexes and subjects): must be there, whole
             loose    pushed and not reached: must be there while it is promised, may be there after
             dead     deleted: must not be there
  blob       promised by 201, HEAD 200 or a mount: must be there for nine tenths of a lease
             dead     deleted explicitly: must not be there
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from registry import Broken  # noqa: E402


SAFE = "safe"  # tags that begin so are protected where writers set them


class State:
    def __init__(self):
        self.tags = {}      # name -> digest
        self.live = set()   # digests of manifests, kept and loose
        self.dead = set()
        self.promised = {}  # digest of a loose manifest -> until when (monotonic)
        self.blobs = {}     # digest -> until when
        self.dead_blobs = set()

    def copy(self):
        other = State()
        other.tags, other.live, other.dead = dict(self.tags), set(self.live), set(self.dead)
        other.promised, other.blobs = dict(self.promised), dict(self.blobs)
        other.dead_blobs = set(self.dead_blobs)
        return other


class Repository:
    """`lease` in seconds: how long what was acknowledged must stay."""

    def __init__(self, name, lease):
        self.name, self.lease = name, lease
        self.known = {}  # digest -> Manifest, of all that was ever pushed here
        self.state = State()
        self.after = None  # the state if the request under way happens
        self.held = set()  # digests of manifests under a hold

    # -- what requests do

    def promise(self, began):
        return began + self.lease * 0.9 - 0.05

    def kept(self, state):
        kept, work = set(), [*state.tags.values(), *(d for d in self.held if d in state.live)]
        while work:
            digest = work.pop()
            if digest in kept:
                continue
            kept.add(digest)
            work += self.below(state, digest)
        return kept

    def below(self, state, digest):
        referrers = [d for d in state.live if self.known[d].subject == digest]
        return [d for d in self.known[digest].children if d in state.live] + referrers

    def is_protected(self, tag, digest):
        """By a rule about tags, or a hold; without `tag`: any that names the digest."""
        tags = [tag] if tag else [t for t, d in self.state.tags.items() if d == digest]
        return digest in self.held or any(t.startswith(SAFE) for t in tags)

    def pushed(self, manifest, tag, began):
        self.known[manifest.digest] = manifest
        new = self.state.copy()
        new.live.add(manifest.digest)
        new.dead.discard(manifest.digest)
        new.promised[manifest.digest] = self.promise(began)
        if tag:
            new.tags[tag] = manifest.digest
        return new

    def tag_deleted(self, tag):
        new = self.state.copy()
        del new.tags[tag]
        return new

    def manifest_deleted(self, digest):
        """What only it kept is loose then."""
        new = self.state.copy()
        new.tags = {t: d for t, d in new.tags.items() if d != digest}
        new.live.discard(digest)
        new.dead.add(digest)
        new.promised.pop(digest, None)
        return new

    def blob_deleted(self, digest):
        new = self.state.copy()
        new.blobs.pop(digest, None)
        new.dead_blobs.add(digest)
        return new

    def blob_promised(self, digest, began):
        new = self.state.copy()
        new.blobs[digest] = self.promise(began)
        new.dead_blobs.discard(digest)
        return new

    # -- what must be there

    def users(self, state, digest):
        """Manifests that may use the blob."""
        return [d for d in state.live if digest in self.known[d].blobs]

    def misfits(self, state, seen, now):
        """Why what was seen is not this state."""
        wrong = []
        kept = self.kept(state)
        for tag in set(state.tags) | set(seen.tags):
            if state.tags.get(tag) != seen.tags.get(tag):
                wrong.append(f"tag {tag} is {seen.tags.get(tag)}, not {state.tags.get(tag)}")
        for digest, there in seen.manifests.items():
            must = digest in kept or state.promised.get(digest, 0) > now
            if there and digest not in state.live:
                wrong.append(f"{'deleted' if digest in state.dead else 'unknown'} manifest {digest} is there")
            if not there and must and digest in state.live:
                wrong.append(f"manifest {digest} is missing ({'kept' if digest in kept else 'promised'})")
        for digest, there in seen.blobs.items():
            if there and digest in state.dead_blobs:
                wrong.append(f"deleted blob {digest} is there")
            if not there and state.blobs.get(digest, 0) > now:
                wrong.append(f"blob {digest} is missing ({state.blobs[digest] - now:.2f} s are left of its promise)")
        return wrong

    # -- asking a server

    def settle(self, client):
        """Finds out which state it is. A list of problems; the state is the nearest one afterwards."""
        states = [self.state] + ([self.after] if self.after else [])
        self.after = None
        seen = Seen()
        for digest in set().union(*(set(s.blobs) | s.dead_blobs for s in states)):
            seen.blobs[digest] = client.get_blob(self.name, digest) is not None
        now = time.monotonic()
        for digest in set().union(*(s.live | s.dead for s in states)):
            seen.manifests[digest] = client.get_manifest(self.name, digest) is not None
        seen.tags = self.tags_seen(client, set().union(*(s.tags for s in states)))
        after = time.monotonic()
        problems = self.whole(client, seen)
        wrongs = [self.misfits(s, seen, after) for s in states]
        best = min(range(len(states)), key=lambda i: len(wrongs[i]))
        if wrongs[best]:
            problems += [f"{self.name}: {w}" + (" (nor the state after the request under way)" if len(states) > 1 else "")
                         for w in wrongs[best]]
        self.state = states[best]
        self.forget(seen, now)
        return problems

    def tags_seen(self, client, expected):
        found = {t: client.get_manifest(self.name, t) for t in expected | set(client.tags(self.name))}
        return {t: m[0] for t, m in found.items() if m}

    def whole(self, client, seen):
        """Every manifest that is there is complete, whatever state it is."""
        problems = []
        for digest in [d for d, there in seen.manifests.items() if there]:
            try:
                found = client.get_manifest(self.name, digest)
                if found and found[1] != self.known[digest].media_type:
                    problems.append(f"{self.name}: {digest} came back as {found[1]}")
                client.pull(self.name, digest)
            except Broken as error:
                if client.get_manifest(self.name, digest) is not None:  # or it was reclaimed meanwhile
                    problems.append(f"{self.name}: {error}")
            want = sorted(d for d, there in seen.manifests.items() if there and self.known[d].subject == digest)
            got = sorted(client.referrers(self.name, digest))
            gone = [d for d in set(want) ^ set(got) if client.get_manifest(self.name, d) is not None]
            if gone:
                problems.append(f"{self.name}: referrers of {digest} are {got}, not {want}")
        return problems

    def forget(self, seen, now):
        """What is gone stays gone; what is promised no longer is not asked about for ever."""
        state = self.state
        for digest, there in seen.manifests.items():
            if digest in state.live and not there:
                state.live.discard(digest)
                state.dead.add(digest)
        state.blobs = {d: t for d, t in state.blobs.items() if t > now}
        state.promised = {d: t for d, t in state.promised.items() if t > now and d in state.live}
        for old in list(state.dead)[:-40]:
            state.dead.discard(old)
        for old in list(state.dead_blobs)[:-40]:
            state.dead_blobs.discard(old)
        used = state.live | state.dead
        self.known = {d: m for d, m in self.known.items() if d in used}


class Seen:
    def __init__(self):
        self.tags, self.manifests, self.blobs = {}, {}, {}
