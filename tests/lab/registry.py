# SPDX-License-Identifier: Apache-2.0
"""What tests in Python stand on: a server to start, kill and stop, and a client that speaks the
distribution API. The standard library only.

    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder, settings=["reclaim.grace=2s"])
        server.start()
        client = server.client()
        digest = client.push_blob("a/b", b"bytes")
        ...
        server.stop()

Failures of a request come in three kinds, and only the caller knows which it can bear:

    Gone      no answer: the request may have happened, or not
    Refused   an answer that is not the one wanted; .status, .code (of the errors array), .answer
    Broken    the answer is there and wrong: bytes, digests, headers

Threads: a Client belongs to one thread. A Server may be asked for clients by any.
"""
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

PATIENCE = 60  # seconds until a condition that must come counts as missing

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCTETS = "application/octet-stream"

SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")


class Gone(Exception):
    """The connection ended before the answer: nobody knows whether the request happened."""


class Refused(Exception):
    def __init__(self, what, answer):
        self.status, self.answer = answer.status, answer
        self.code = answer.code()
        super().__init__(f"{what}: {answer.status} {self.code} {answer.body[:300]!r}")


class Broken(Exception):
    """What was answered is wrong."""


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def wait_for(condition, what, seconds=PATIENCE):
    """The condition's first true value."""
    end = time.monotonic() + seconds
    pause = 0.002
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError("waited in vain for " + what)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def ebb_binary(given=None):
    """The program: as given, as $EBB_BINARY says, or what was built last."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    for path in (given, os.environ.get("EBB_BINARY")):
        if path:
            return os.path.abspath(path)
    built = [p for p in (os.path.join(root, d, "ebb") for d in ("build", "build-asan")) if os.path.exists(p)]
    if not built:
        raise SystemExit("no build/ebb; make build, or set EBB_BINARY")
    return os.path.abspath(max(built, key=os.path.getmtime))


# ---- content ---------------------------------------------------------------------------------


class Manifest:
    """A manifest's bytes with what they name."""

    def __init__(self, media_type, fields, blobs=(), children=(), subject=None):
        self.media_type = media_type
        self.payload = json.dumps({"schemaVersion": 2, "mediaType": media_type, **fields}).encode()
        self.digest = sha256(self.payload)
        self.blobs = tuple(blobs)        # digests
        self.children = tuple(children)  # digests
        self.subject = subject           # digest or None


def descriptor(media_type, digest, size, **more):
    return {"mediaType": media_type, "digest": digest, "size": size, **more}


def make_image(config, layers, subject=None, artifact_type=None, annotations=None):
    """An image manifest; config and layers are bytes, subject a Manifest."""
    fields = {"config": descriptor(OCI_CONFIG, sha256(config), len(config)),
              "layers": [descriptor(OCI_LAYER, sha256(l), len(l)) for l in layers]}
    if subject:
        fields["subject"] = descriptor(subject.media_type, subject.digest, len(subject.payload))
    if artifact_type:
        fields["artifactType"] = artifact_type
    if annotations:
        fields["annotations"] = annotations
    blobs = dict.fromkeys([sha256(config), *map(sha256, layers)])
    return Manifest(OCI_MANIFEST, fields, blobs=blobs, subject=subject and subject.digest)


def make_index(children, annotations=None):
    fields = {"manifests": [descriptor(c.media_type, c.digest, len(c.payload)) for c in children]}
    if annotations:
        fields["annotations"] = annotations
    return Manifest(OCI_INDEX, fields, children=dict.fromkeys(c.digest for c in children))


# ---- client ----------------------------------------------------------------------------------


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def code(self):
        """The first error's code, or None. Clients branch on it."""
        try:
            return json.loads(self.body)["errors"][0]["code"]
        except (ValueError, KeyError, IndexError, TypeError):
            return None

    def json(self):
        return json.loads(self.body)


class Connection(http.client.HTTPConnection):
    """From an address of one's own when asked, without Nagle's delay."""

    def connect(self):
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Client:
    """One connection that is kept; after a failure the next request opens another."""

    def __init__(self, host, port, timeout=60, source=None):
        self.host, self.port, self.timeout, self.source = host, port, timeout, source
        self.connection = None
        self.headers = {}  # of every request, such as Authorization

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def open(self):
        if self.connection is None:
            self.connection = Connection(self.host, self.port, timeout=self.timeout,
                                         source_address=(self.source, 0) if self.source else None)
        return self.connection

    def request(self, method, path, body=None, headers=(), chunked=False):
        """An Answer, or Gone. `body` is bytes, or an iterable of bytes with `chunked`."""
        try:
            connection = self.open()
            connection.request(method, path, body=body, headers={**self.headers, **dict(headers)},
                               encode_chunked=chunked)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Gone(f"{method} {path}: {error!r}") from error
        except BaseException:
            self.close()
            raise
        return answer

    def expect(self, wanted, method, path, body=None, headers=(), chunked=False):
        answer = self.request(method, path, body, headers, chunked)
        if answer.status not in ((wanted,) if isinstance(wanted, int) else wanted):
            raise Refused(f"{method} {path}", answer)
        return answer

    # -- blobs

    def start_upload(self, repo):
        """The session's location."""
        return self.expect(202, "POST", f"/v2/{repo}/blobs/uploads/").headers["Location"]

    def patch(self, location, data, first=None, pieces=0):
        """One chunk: in order with `first`, as a stream of `pieces` (chunked coding) without."""
        headers = {"Content-Type": OCTETS}
        if first is not None:
            headers["Content-Range"] = f"{first}-{first + len(data) - 1}"
        if pieces:
            step = max(1, len(data) // pieces)
            body = (data[i:i + step] for i in range(0, len(data), step))
            answer = self.expect(202, "PATCH", location, body, {**headers, "Transfer-Encoding": "chunked"}, True)
        else:
            answer = self.expect(202, "PATCH", location, data, headers)
        return answer.headers["Location"]

    def finish_upload(self, location, digest, data=b"", first=None):
        headers = {"Content-Type": OCTETS}
        if first is not None and data:
            headers["Content-Range"] = f"{first}-{first + len(data) - 1}"
        mark = "&" if "?" in location else "?"
        answer = self.expect(201, "PUT", f"{location}{mark}digest={digest}", data, headers)
        if answer.headers["Docker-Content-Digest"] != digest:
            raise Broken(f"upload of {digest} answered {answer.headers['Docker-Content-Digest']}")

    def upload_offset(self, location):
        """How many bytes the session has; None when there is no such session."""
        answer = self.expect((204, 404), "GET", location)
        return None if answer.status == 404 else next_byte(answer)

    def cancel_upload(self, location):
        """False when there was none."""
        return self.expect((204, 404), "DELETE", location).status == 204

    def push_blob(self, repo, data, how="put", pieces=3):
        """how: single (one POST), put (POST, PUT), stream (chunked PATCH), chunks (PATCH in order)."""
        digest = sha256(data)
        if how == "single":
            self.expect(201, "POST", f"/v2/{repo}/blobs/uploads/?digest={digest}", data, {"Content-Type": OCTETS})
            return digest
        location = self.start_upload(repo)
        if how == "put" or not data:
            self.finish_upload(location, digest, data)
        elif how == "stream":
            self.finish_upload(self.patch(location, data, pieces=pieces), digest)
        else:
            step = max(1, len(data) // pieces)
            for first in range(0, len(data), step):
                location = self.patch(location, data[first:first + step], first)
            self.finish_upload(location, digest)
        return digest

    def mount(self, repo, digest, source=None):
        """True when mounted; otherwise the session that was begun instead is cancelled."""
        origin = f"&from={source}" if source else ""
        answer = self.expect((201, 202), "POST", f"/v2/{repo}/blobs/uploads/?mount={digest}{origin}")
        if answer.status == 202:
            self.cancel_upload(answer.headers["Location"])
        return answer.status == 201

    def head_blob(self, repo, digest):
        answer = self.expect((200, 404), "HEAD", f"/v2/{repo}/blobs/{digest}")
        return answer.status == 200

    def get_blob(self, repo, digest):
        """The bytes, checked; None when it is not there."""
        answer = self.expect((200, 404), "GET", f"/v2/{repo}/blobs/{digest}")
        if answer.status == 404:
            return None
        if sha256(answer.body) != digest:
            raise Broken(f"blob {digest} of {repo}: {len(answer.body)} bytes of another digest")
        return answer.body

    def delete_blob(self, repo, digest, wanted=(202, 404, 405)):
        return self.expect(wanted, "DELETE", f"/v2/{repo}/blobs/{digest}").status

    # -- manifests

    def push_manifest(self, repo, manifest, reference=None):
        answer = self.expect(201, "PUT", f"/v2/{repo}/manifests/{reference or manifest.digest}", manifest.payload,
                             {"Content-Type": manifest.media_type})
        if answer.headers["Docker-Content-Digest"] != manifest.digest:
            raise Broken(f"push of {manifest.digest} answered {answer.headers['Docker-Content-Digest']}")

    def get_manifest(self, repo, reference):
        """(digest, media type, bytes), checked; None when it is not there."""
        answer = self.expect((200, 404), "GET", f"/v2/{repo}/manifests/{reference}")
        if answer.status == 404:
            return None
        digest = answer.headers["Docker-Content-Digest"]
        if sha256(answer.body) != digest or (":" in reference and reference != digest):
            raise Broken(f"manifest {reference} of {repo}: bytes of {sha256(answer.body)}, called {digest}")
        return digest, answer.headers["Content-Type"], answer.body

    def head_manifest(self, repo, reference):
        """The digest; None when it is not there."""
        answer = self.expect((200, 404), "HEAD", f"/v2/{repo}/manifests/{reference}")
        return answer.headers["Docker-Content-Digest"] if answer.status == 200 else None

    def delete_manifest(self, repo, reference, wanted=(202, 404, 405)):
        return self.expect(wanted, "DELETE", f"/v2/{repo}/manifests/{reference}").status

    def tags(self, repo):
        answer = self.expect((200, 404), "GET", f"/v2/{repo}/tags/list")
        return answer.json()["tags"] if answer.status == 200 else []

    def referrers(self, repo, digest):
        answer = self.expect(200, "GET", f"/v2/{repo}/referrers/{digest}")
        return [m["digest"] for m in answer.json()["manifests"]]

    def push_image(self, repo, config, layers, reference=None, how="put", **more):
        """Blobs, then the manifest. The Manifest."""
        manifest = make_image(config, layers, **more)
        for data in {sha256(b): b for b in (config, *layers)}.values():
            self.push_blob(repo, data, how)
        self.push_manifest(repo, manifest, reference)
        return manifest

    def pull(self, repo, reference):
        """Everything below a reference, checked. None when it is not there; Broken when incomplete.
        The number of bytes read."""
        found = self.get_manifest(repo, reference)
        if found is None:
            return None
        fields = json.loads(found[2])
        size = len(found[2])
        for part in [fields[k] for k in ("config",) if k in fields] + fields.get("layers", []):
            data = self.get_blob(repo, part["digest"])
            if data is None:
                raise Broken(f"{repo}: manifest {found[0]} is there, its blob {part['digest']} is not")
            size += len(data)
        for part in fields.get("manifests", []):
            below = self.pull(repo, part["digest"])
            if below is None:
                raise Broken(f"{repo}: index {found[0]} is there, its child {part['digest']} is not")
            size += below
        return size


def next_byte(answer):
    """What Range says of an upload: 0--1 of an empty one."""
    match = re.fullmatch(r"0-(-?\d+)", answer.headers.get("Range", ""))
    if not match:
        raise Broken(f"no offset in Range: {answer.headers.get('Range')!r}")
    return int(match[1]) + 1


# ---- server ----------------------------------------------------------------------------------


class Server:
    """`ebb serve` on a free port; data in FOLDER/data, logs in FOLDER/log.N, one for each start."""

    def __init__(self, folder, binary=None, settings=(), data=None, environment=None, wrap=()):
        self.folder, self.binary = folder, ebb_binary(binary)
        self.data = data or os.path.join(folder, "data")
        self.settings = list(settings)
        self.environment = {**os.environ, **(environment or {})}
        self.wrap = list(wrap)  # a command to run it under
        self.process, self.port, self.starts = None, None, 0
        self.dying = False      # set before it is killed: from then on requests may be Gone
        self.sanitized = False  # a report was seen in a log

    @property
    def pid(self):
        return self.process.pid

    @property
    def log_path(self):
        return os.path.join(self.folder, f"log.{self.starts}")

    def log(self):
        with open(self.log_path, errors="replace", encoding="utf-8") as log:
            return log.read()

    def spawn(self):
        """Starts the process and does not wait for it."""
        self.starts += 1
        self.dying = False
        command = [*self.wrap, self.binary, "serve", "--data", self.data, "--listen", "127.0.0.1:0"]
        for setting in self.settings:
            command += ["--set", setting]
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment)

    def settle(self):
        """Waits until it answers. Seconds are counted by start()."""
        address = wait_for(self._address, "the server's address")
        if self.process.poll() is not None:
            raise Broken(f"the server ended at once ({self.process.returncode}): {self.log()[-2000:]}")
        self.port = int(address.rsplit(":", 1)[1])
        wait_for(self._answers, "the server's first answer")

    def start(self):
        """Seconds from the start to the first answer."""
        began = time.monotonic()
        self.spawn()
        self.settle()
        return time.monotonic() - began

    def _address(self):
        if self.process.poll() is not None:
            return "ended:0"
        for line in self.log().splitlines():
            match = re.search(r'"?address"?[=:]\s*"?([0-9.]+:\d+)', line)
            if match and "listening" in line:
                return match[1]
        return None

    def _answers(self):
        if self.process.poll() is not None:
            raise Broken(f"the server ended ({self.process.returncode}): {self.log()[-2000:]}")
        try:
            probe = self.client(timeout=10)
            status = probe.request("GET", "/v2/").status
            probe.close()
        except Gone:
            return False
        return status in (200, 401)  # 401: with accounts

    def client(self, timeout=60, source=None):
        return Client("127.0.0.1", self.port, timeout, source)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def check_log(self):
        """Broken when a sanitizer reported something."""
        match = SANITIZER.search(self.log())
        if match and not self.sanitized:
            self.sanitized = True
            at = match.start()
            raise Broken("sanitizer: " + self.log()[max(0, at - 200):at + 4000])

    def kill(self):
        """As the kernel would: at once, without a chance to tidy up."""
        self.dying = True
        ended = self.process.poll()
        if ended is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.check_log()
        if ended is not None:
            raise Broken(f"the server had ended by itself ({ended}): {self.log()[-2000:]}")

    def stop(self, seconds=60):
        """Asks it to end. Broken when it ends badly."""
        self.dying = True
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Broken(f"the server did not stop within {seconds} s: {self.log()[-2000:]}") from None
        self.check_log()
        if self.process.returncode != 0:
            raise Broken(f"the server ended with {self.process.returncode}: {self.log()[-2000:]}")

    def check(self, *options):
        """What `ebb check` has to say against the stopped server's directory: "" when nothing."""
        result = subprocess.run([self.binary, "check", *options, self.data], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                timeout=300, env=self.environment, check=False)
        return "" if result.returncode == 0 else f"ebb check: status {result.returncode}: {result.stdout[-1500:]}"

    def rss(self):
        """Bytes of memory in use."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) * 1024


# ---- counting --------------------------------------------------------------------------------


class Count:
    """Cases of a driver. Prints each failure at once and the last line."""

    def __init__(self, name):
        self.name, self.passed, self.failed = name, 0, 0
        self.seen = {}

    def ok(self, what=None):
        self.passed += 1
        if what:
            print(f"ok - {what}", flush=True)

    def fail(self, what, most=10):
        """Equal kinds of failure are printed `most` times."""
        self.failed += 1
        kind = re.sub(r"[0-9a-f]{8,}|\d+", "#", str(what))[:80]
        self.seen[kind] = self.seen.get(kind, 0) + 1
        if self.seen[kind] <= most:
            print(f"not ok - {what}", flush=True)

    def check(self, condition, what):
        if condition:
            self.ok(what)
        else:
            self.fail(what)
        return condition

    def end(self):
        """The exit status."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0
