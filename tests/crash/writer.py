# SPDX-License-Identifier: Apache-2.0
"""A client that does at random what clients do, in repositories of its own, and notes what was
acknowledged (model.py). Its content is partly shared with all other writers, so that their
repositories meet in the same blobs.

A writer ends its run when it is told to, or at the first request without an answer.
"""
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from registry import Broken, Gone, Refused, make_image, make_index, next_byte, sha256  # noqa: E402
from model import Repository  # noqa: E402

TAGS = ["latest", "stable", "v1", "v2", "v3"]
HOW = ["single", "put", "stream", "chunks"]


def shared_content(seed):
    """Blobs that all writers push, again and again: in rows, in files, and the empty one."""
    rng = random.Random(seed)
    sizes = [0, 2, 700, 4096, 4097, 30_000, 200_000, 1_100_000]
    return [rng.randbytes(n) for n in sizes]


class Session:
    """An upload that is left open on purpose."""

    def __init__(self, repo, location, data):
        self.repo, self.location, self.data = repo, location, data
        self.acked = 0       # bytes acknowledged
        self.sent = 0        # bytes sent at most
        self.ending = None   # "put" or "cancel" under way
        self.touched = time.monotonic()


class Writer:
    tags = TAGS

    def __init__(self, number, seed, shared, lease, rest, others, names=None):
        self.rng = random.Random(seed * 1000 + number)
        self.repositories = [Repository(name, lease) for name in names or [f"crash/w{number}/r{i}" for i in range(2)]]
        self.shared, self.lease, self.rest, self.others = shared, lease, rest, others
        self.sessions = []
        self.problems = []
        self.done = 0       # acknowledged requests that change something
        self.serial = 0
        self.client = None

    # -- one request with its two outcomes

    def act(self, repo, after, request):
        """Runs a request; afterwards the state is `after`, or one of the two when it is Gone."""
        repo.after = after
        result = request()
        repo.state, repo.after = after, None
        self.done += 1
        return result

    def connect(self, server, timeout):
        self.client = server.client(timeout=timeout)

    def actions(self):
        return [(self.push_image, 10), (self.push_index, 3), (self.push_referrer, 3), (self.retag, 3),
                (self.delete_tag, 4), (self.delete_digest, 3), (self.delete_blob, 2), (self.mount, 3),
                (self.loose_blob, 2), (self.open_session, 3), (self.work_on_session, 6)]

    def run(self, server, stop):
        self.connect(server, 30)
        names, weights = zip(*self.actions())
        try:
            while not stop.is_set():
                repo = self.rng.choice(self.repositories)
                self.rng.choices(names, weights)[0](repo)
        except Gone as error:
            if not server.dying:
                self.problems.append(f"no answer while the server was up: {error}")
        except Refused as error:
            # Without its disk the server acknowledges nothing; tests/race/disk_full.py looks at the words.
            if not server.dying:
                self.problems.append(f"refused: {error}")
        except Broken as error:
            self.problems.append(f"broken: {error}")
        finally:
            self.client.close()

    # -- content

    def content(self):
        if self.rng.random() < 0.5:
            return self.rng.choice(self.shared)
        return self.rng.randbytes(self.rng.choice([10, 3_000, 4_096, 20_000, 20_000, 150_000, 1_500_000]))

    def bring(self, repo, data):
        """Makes a blob visible in the repository, as clients do: HEAD first, or mount, or upload."""
        digest = sha256(data)
        began = time.monotonic()
        if self.rng.random() < 0.5 and self.client.head_blob(repo.name, digest):
            if digest in repo.state.dead_blobs:
                raise Broken(f"deleted blob {digest} is there in {repo.name}")
            repo.state = repo.blob_promised(digest, began)
            return
        if repo.state.blobs.get(digest, 0) > time.monotonic() + 0.5 and self.rng.random() < 0.5:
            return
        if self.rng.random() < 0.3 and self.mount_from_anywhere(repo, digest):
            return
        how = self.rng.choice(HOW)
        if how in ("single", "put") or not data:
            self.act(repo, repo.blob_promised(digest, time.monotonic()),
                     lambda: self.client.push_blob(repo.name, data, how))
            return
        # A visible upload under way, so that a kill in its middle leaves something to resume.
        session = Session(repo, self.client.start_upload(repo.name), data)
        self.sessions.append(session)
        if how == "stream":
            self.send(session, len(data), pieces=self.rng.randint(1, 5))
        while session.acked < len(data):
            self.send(session, max(1, len(data) // 3))
        self.finish(session)

    def mount_from_anywhere(self, repo, digest):
        source = self.rng.choice([None, *self.others])
        began = time.monotonic()
        repo.after = repo.blob_promised(digest, began)
        mounted = self.client.mount(repo.name, digest, source)
        if mounted:
            repo.state = repo.after
            self.done += 1
        repo.after = None
        return mounted

    # -- actions

    def new_image(self, repo, **more):
        self.serial += 1
        config = b'{"serial":%d}' % self.serial + (self.rng.randbytes(5000) if self.rng.random() < 0.2 else b"")
        layers = [self.content() for _ in range(self.rng.randint(1, 4))]
        began = time.monotonic()
        for data in {sha256(b): b for b in (config, *layers)}.values():
            self.bring(repo, data)
        return make_image(config, layers, annotations={"n": f"{repo.name} {self.serial}"}, **more), began

    def push(self, repo, manifest, tag, began=None):
        """`began`: since when all it names is promised."""
        now = time.monotonic()
        try:
            self.act(repo, repo.pushed(manifest, tag, now),
                     lambda: self.client.push_manifest(repo.name, manifest, tag))
        except Refused as error:
            late = began is not None and time.monotonic() > repo.promise(began)
            if error.code == "MANIFEST_BLOB_UNKNOWN" and late:
                repo.after = None
                return False
            raise
        return True

    def push_image(self, repo):
        manifest, began = self.new_image(repo)
        self.push(repo, manifest, self.rng.choice(self.tags + [None]), began)

    def push_index(self, repo):
        began = time.monotonic()
        children = []
        for _ in range(self.rng.randint(1, 3)):
            manifest, blobs_began = self.new_image(repo)
            if not self.push(repo, manifest, None, blobs_began):
                return
            children.append(manifest)
        self.push(repo, make_index(children, {"n": f"{repo.name} {self.serial}"}), self.rng.choice(self.tags), began)

    def push_referrer(self, repo):
        subjects = sorted(repo.kept(repo.state))
        if not subjects:
            return
        subject = repo.known[self.rng.choice(subjects)]
        manifest, began = self.new_image(repo, subject=subject, artifact_type="application/vnd.test.thing")
        self.push(repo, manifest, None, began)

    def retag(self, repo):
        if repo.state.tags:
            tag = self.rng.choice(sorted(repo.state.tags))
            self.push(repo, repo.known[repo.state.tags[tag]], self.rng.choice(self.tags))

    def delete_tag(self, repo):
        choice = sorted(t for t, d in repo.state.tags.items() if not repo.is_protected(t, d))
        if choice:
            tag = self.rng.choice(choice)
            self.act(repo, repo.tag_deleted(tag), lambda: self.client.delete_manifest(repo.name, tag, 202))
            self.gone(repo, tag)

    def delete_digest(self, repo):
        kept = repo.kept(repo.state)
        choice = sorted(d for d in kept if not repo.is_protected(None, d))
        if not choice:
            return
        digest = self.rng.choice(choice)
        above = [d for d in repo.state.live if digest in repo.known[d].children]
        if above:
            wanted = 405 if any(d in kept for d in above) else (202, 405)
            repo.after = repo.manifest_deleted(digest)
            if self.client.delete_manifest(repo.name, digest, wanted) == 405:
                repo.after = None
                return
            repo.state, repo.after = repo.after, None
        else:
            self.act(repo, repo.manifest_deleted(digest),
                     lambda: self.client.delete_manifest(repo.name, digest, 202))
        self.gone(repo, digest)

    def gone(self, repo, reference):
        """A delete is visible in the very next request."""
        if self.client.get_manifest(repo.name, reference) is not None:
            raise Broken(f"{repo.name}: {reference} is there after its delete")

    def delete_blob(self, repo):
        state = repo.state
        choice = sorted(set(state.blobs) | {b for d in state.live for b in repo.known[d].blobs})
        if not choice:
            return
        digest = self.rng.choice(choice)
        kept = repo.kept(state)
        users = repo.users(state, digest)
        if any(d in kept for d in users):
            self.client.delete_blob(repo.name, digest, 405)
            return
        wanted = [202]
        if users:
            wanted.append(405)
        if state.blobs.get(digest, 0) < time.monotonic() + 0.2:
            wanted.append(404)
        repo.after = repo.blob_deleted(digest)
        status = self.client.delete_blob(repo.name, digest, wanted)
        if status == 202:
            repo.state = repo.after
            self.done += 1
            if self.client.head_blob(repo.name, digest):
                raise Broken(f"{repo.name}: blob {digest} is there after its delete")
        repo.after = None

    def mount(self, repo):
        self.mount_from_anywhere(repo, sha256(self.rng.choice(self.shared)))

    def loose_blob(self, repo):
        self.bring(repo, self.content())

    # -- uploads

    def open_session(self, repo):
        if len(self.sessions) < 4:
            data = self.rng.randbytes(self.rng.choice([300, 4_500, 60_000, 900_000]))
            self.sessions.append(Session(repo, self.client.start_upload(repo.name), data))

    def send(self, session, most, pieces=0):
        chunk = session.data[session.acked:session.acked + most]
        session.sent = max(session.sent, session.acked + len(chunk))
        session.touched = time.monotonic()
        session.location = self.client.patch(session.location, chunk, None if pieces else session.acked, pieces)
        session.acked += len(chunk)

    def finish(self, session):
        repo, digest = session.repo, sha256(session.data)
        rest = session.data[session.acked:]
        session.sent, session.ending = len(session.data), "put"
        self.act(repo, repo.blob_promised(digest, time.monotonic()),
                 lambda: self.client.finish_upload(session.location, digest, rest, session.acked))
        self.sessions.remove(session)

    def cancel(self, session):
        session.ending = "cancel"
        if not self.client.cancel_upload(session.location):
            raise Broken(f"upload {session.location} was gone before it was cancelled")
        self.sessions.remove(session)

    def work_on_session(self, repo):
        self.drop_old_sessions()
        if not self.sessions:
            return
        session = self.rng.choice(self.sessions)
        left = len(session.data) - session.acked
        choice = self.rng.random()
        if choice < 0.15:
            self.cancel(session)
        elif left == 0 or choice < 0.35:
            self.finish(session)
        elif choice < 0.5:
            self.cut(session, left)
        else:
            self.send(session, max(1, left // 2), self.rng.choice([0, 0, 3]))

    def cut(self, session, left):
        """Hangs up in the middle of a chunk, then asks where to go on."""
        half = max(1, left // 2)
        session.sent = max(session.sent, session.acked + half)
        session.touched = time.monotonic()
        connection = self.client.open()
        try:
            connection.putrequest("PATCH", session.location)
            connection.putheader("Content-Type", "application/octet-stream")
            connection.putheader("Content-Length", str(left))
            connection.endheaders(session.data[session.acked:session.acked + half])
        except OSError as error:
            raise Gone(f"PATCH {session.location}: {error!r}") from error
        finally:
            self.client.close()
        self.resume(session)

    def resume(self, session, may_fail=False):
        """Goes on from where the server says, and finishes. The server may be busy with the request that
        was cut for a moment. False when it is not to be resumed, as it may be after a power loss."""
        digest = sha256(session.data)
        offset = self.client.upload_offset(session.location)
        if offset is None:
            raise Broken(f"upload {session.location} is gone")
        for _ in range(2000):
            if not session.acked <= offset <= session.sent:
                raise Broken(f"upload {session.location} is at {offset}; {session.acked} were acknowledged,"
                             f" {session.sent} were sent")
            rest = session.data[offset:]
            headers = {"Content-Type": "application/octet-stream"}
            if rest:
                headers["Content-Range"] = f"{offset}-{offset + len(rest) - 1}"
            session.touched, before = time.monotonic(), session.sent
            session.sent, session.ending = len(session.data), "put"
            session.repo.after = session.repo.blob_promised(digest, session.touched)
            answer = self.client.request("PUT", f"{session.location}?digest={digest}", rest, headers)
            if answer.status == 201:
                session.repo.state, session.repo.after = session.repo.after, None
                self.sessions.remove(session)
                self.done += 1
                return True
            session.repo.after, session.ending, session.sent = None, None, before
            if answer.status == 416:
                offset = next_byte(answer)
            elif may_fail and answer.status in (400, 404):
                self.sessions.remove(session)
                return False
            elif not (answer.status == 400 and answer.code() == "BLOB_UPLOAD_INVALID"):
                raise Refused(f"resuming {session.location}", answer)
            else:  # busy
                time.sleep(0.005)
                offset = self.client.upload_offset(session.location)
                if offset is None:
                    raise Broken(f"upload {session.location} is gone")
        raise Broken(f"upload {session.location} stays busy")

    def drop_old_sessions(self):
        """Those that may have been removed for resting too long."""
        now = time.monotonic()
        self.sessions = [s for s in self.sessions if now - s.touched < self.rest * 0.7]

    # -- after a crash

    def check(self, server, may_lose_uploads=False):
        """Problems of what is there now. Uploads are looked at first, as they rest for the shortest time,
        and gone on with last: until a repository is settled its state is two."""
        self.connect(server, 60)
        problems = []
        self.drop_old_sessions()
        try:
            for session in list(self.sessions):
                problems += self.look_at_session(session, may_lose_uploads)
            for repo in self.repositories:
                problems += repo.settle(self.client)
            for session in list(self.sessions):
                if self.rng.random() < 0.5:
                    problems += self.go_on(session, may_lose_uploads)
        except (Broken, Refused, Gone) as error:
            problems.append(str(error))
        self.client.close()
        return problems

    def look_at_session(self, session, may_lose):
        repo, digest, ending = session.repo, sha256(session.data), session.ending
        session.ending = None
        offset = self.client.upload_offset(session.location)
        if offset is None:
            self.sessions.remove(session)
            if ending == "cancel" or may_lose:
                return []
            if ending == "put" and self.client.get_blob(repo.name, digest) is not None:
                return []  # repo.settle() sees to the rest
            return [f"upload {session.location} is gone ({ending} was under way)"]
        if ending == "put":
            repo.after = None  # it did not happen
        if not session.acked <= offset <= session.sent:
            self.sessions.remove(session)
            return [f"upload {session.location} is at {offset}; {session.acked} were acknowledged,"
                    f" {session.sent} were sent"]
        session.acked = session.sent = offset
        return []

    def go_on(self, session, may_lose):
        try:
            if self.resume(session, may_lose) and self.client.get_blob(session.repo.name, sha256(session.data)) is None:
                return [f"upload {session.location} ended and its blob is not there"]
        except (Broken, Refused) as error:
            if session in self.sessions:
                self.sessions.remove(session)
            return [str(error)]
        return []

    def cancel_sessions(self, server):
        self.connect(server, 60)
        for session in self.sessions:
            self.client.cancel_upload(session.location)
        self.sessions = []
        self.client.close()

    def delete_everything(self, server):
        """All that is left, by requests."""
        self.connect(server, 60)
        for repo in self.repositories:
            for tag in self.client.tags(repo.name):
                self.client.delete_manifest(repo.name, tag, 202)
            for digest in sorted(repo.state.live):
                self.client.delete_manifest(repo.name, digest, (202, 404, 405))
            for digest in sorted(repo.state.blobs):
                self.client.delete_blob(repo.name, digest)
        self.client.close()
