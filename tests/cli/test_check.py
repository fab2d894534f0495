#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives `ebb check`, of a directory and of a running registry: damage is made, seen and healed.

    test_check.py PROGRAM [unittest arguments]
"""
import glob
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAM = ""
PATIENCE = 60  # seconds until a condition that must come counts as missing
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain for " + what)


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Server:
    """`ebb serve` on a free port."""

    def __init__(self, dir, *args):
        self.log_path = os.path.join(dir, "log")
        self.log_file = open(self.log_path, "w")
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--data", os.path.join(dir, "data"), "--listen", "127.0.0.1:0",
             *args], stdout=self.log_file, stderr=self.log_file, stdin=subprocess.DEVNULL)
        address = wait_for(self.address, "the server")
        self.port = int(address.rsplit(":", 1)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def address(self):
        with open(self.log_path) as file:
            log = file.read()
        if self.process.poll() is not None:
            raise AssertionError("ended at once: " + log)
        found = re.search(r'"address":"([^"]+)"', log)
        return found and found.group(1)

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(PATIENCE)
        self.log_file.close()

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer, data

    def push_blob(self, repo, data):
        answer, body = self.ask("POST", f"/v2/{repo}/blobs/uploads/?digest={digest_of(data)}", data)
        assert answer.status == 201, (answer.status, body)

    def push_image(self, repo, tag, layers):
        config = b"{}"
        for data in [config, *layers]:
            self.push_blob(repo, data)
        parts = [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(data),
                  "size": len(data)} for data in layers]
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                       "digest": digest_of(config), "size": len(config)},
            "layers": parts}).encode()
        answer, body = self.ask("PUT", f"/v2/{repo}/manifests/{tag}", manifest,
                                {"Content-Type": MANIFEST})
        assert answer.status == 201, (answer.status, body)
        return digest_of(manifest)


class CheckTest(unittest.TestCase):
    LAYER = b"a layer " * 5000

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="ebb-check-")
        self.data = os.path.join(self.dir, "data")
        self.server = None

    def tearDown(self):
        self.stop()
        shutil.rmtree(self.dir)

    def start(self, *args):
        self.server = Server(self.dir, "--set", "store.inline_size=4KiB", *args)
        return self.server

    def stop(self, how=signal.SIGTERM):
        if self.server:
            self.server.stop(how)
        self.server = None

    def check(self, *args, code, target=None):
        done = subprocess.run([PROGRAM, "check", *args, target or self.data], capture_output=True,
                              text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def found(self, *args, code=1, target=None):
        report = json.loads(self.check("-o", "json", *args, code=code, target=target).stdout)
        self.assertEqual(report["state"], "finished")
        return [(f["code"], f["repaired"]) for f in report["findings"]]

    def files(self):
        return [p for p in glob.glob(self.data + "/blobs/??/*")]

    def snapshot(self):
        """Everything in the directory but the lock."""
        return {p: (os.path.getsize(p), os.stat(p).st_mtime_ns)
                for p in glob.glob(self.data + "/**", recursive=True)
                if os.path.isfile(p) and not p.endswith("/lock")}

    def test_usage(self):
        for args in [[], ["a", "b"], ["--hash", "--quick", "a"], ["--rate", "fast", "a"],
                     ["--rate", "1MiB", "a"], ["--yes", "a"], ["-o", "xml", "a"], ["--what", "a"]]:
            done = subprocess.run([PROGRAM, "check", *args], capture_output=True, text=True,
                                  timeout=PATIENCE, stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 2, (args, done.stderr))

    def test_no_registry(self):
        os.mkdir(self.data)
        done = self.check(code=1)
        self.assertIn("no data directory", done.stderr)
        self.assertEqual(os.listdir(self.data), [])
        self.check(code=1, target="http://127.0.0.1:1")

    def test_directory(self):
        server = self.start()
        server.push_image("team/app", "1", [self.LAYER])
        done = self.check(code=1)
        self.assertIn("URL", done.stderr)
        self.stop()
        before = self.snapshot()
        self.assertEqual(self.found("--hash", code=0), [])
        self.assertIn("nothing is wrong", self.check(code=0).stdout)
        self.assertEqual(self.snapshot(), before)
        path, = self.files()
        with open(path, "r+b") as file:
            file.write(b"X")
        self.assertEqual(self.found(code=0), [])
        before = self.snapshot()
        self.assertEqual(self.found("--hash"), [("blob-digest", False)])
        os.truncate(path, 7)
        self.assertEqual(self.found(), [("blob-size", False)])
        os.unlink(path)
        self.assertEqual(self.found(), [("blob-missing", False)])
        text = self.check(code=1).stdout
        self.assertIn("blob-missing " + digest_of(self.LAYER), text)
        self.assertIn("1 wrong", text)

    def test_log_of_a_crash(self):
        server = self.start()
        server.push_image("team/app", "1", [self.LAYER])
        self.stop(signal.SIGKILL)
        before = self.snapshot()
        self.assertGreater(before[self.data + "/ebb.db-wal"][0], 0)
        os.chmod(self.data + "/ebb.db-wal", 0o600)
        report = json.loads(self.check("-o", "json", "--hash", code=0).stdout)
        self.assertEqual(report["summary"]["tags"], 1)
        after = self.snapshot()
        for path, about in before.items():
            self.assertEqual(after[path], about, path)
        self.assertEqual(self.found(code=0), [])

    def test_damage_is_healed(self):
        server = self.start()
        server.push_image("team/app", "1", [self.LAYER])
        blob = "/v2/team/app/blobs/" + digest_of(self.LAYER)
        path, = self.files()
        with open(path, "r+b") as file:
            file.write(b"X")
        self.assertEqual(self.found(code=0, target=server.url), [])
        self.assertEqual(self.found("--hash", target=server.url), [("blob-digest", False)])
        self.assertEqual(server.ask("GET", blob)[0].status, 200)
        self.assertEqual(self.found("--hash", "--repair", target=server.url),
                         [("blob-digest", True)])
        answer, body = server.ask("GET", blob)
        self.assertEqual(answer.status, 404)
        self.assertEqual(json.loads(body)["errors"][0]["code"], "BLOB_UNKNOWN")
        self.assertEqual(self.found(target=server.url), [("blob-damaged", False)])
        self.stop()
        self.assertEqual(self.found(), [("blob-damaged", False)])
        server = self.start()
        server.push_blob("team/app", self.LAYER)
        answer, body = server.ask("GET", blob)
        self.assertEqual((answer.status, body), (200, self.LAYER))
        self.assertEqual(self.found("--hash", code=0, target=server.url), [])

    def test_pull_refuses_what_is_cut_short(self):
        server = self.start()
        server.push_image("team/app", "1", [self.LAYER])
        path, = self.files()
        os.truncate(path, 7)
        self.assertEqual(self.found(target=server.url), [("blob-size", False)])
        answer, _ = server.ask("GET", "/v2/team/app/blobs/" + digest_of(self.LAYER))
        self.assertEqual(answer.status, 404)
        self.assertEqual(self.found(target=server.url), [("blob-damaged", False)])

    def test_orphan(self):
        server = self.start("--set", "reclaim.interval=1s")
        server.push_image("team/app", "1", [self.LAYER])
        orphan = self.data + "/blobs/ab/" + "c" * 30
        with open(orphan, "w") as file:
            file.write("nobody's")
        self.assertEqual(self.found("--repair", target=server.url), [("file-orphan", False)])
        self.assertTrue(os.path.exists(orphan))
        self.assertEqual(self.found("--repair", "--yes", target=server.url),
                         [("file-orphan", True)])
        wait_for(lambda: not os.path.exists(orphan), "the orphan's end")
        self.assertEqual(self.found("--hash", code=0, target=server.url), [])
        self.stop()
        with open(orphan, "w") as file:
            file.write("nobody's")
        self.assertEqual(self.found("--repair", "--yes"), [("file-orphan", True)])
        self.assertEqual(self.found(code=0), [])

    def test_one_at_a_time_and_stopped(self):
        server = self.start()
        server.push_image("team/app", "1", [self.LAYER, self.LAYER + b"2"])
        answer, _ = server.ask("POST", "/api/ebb/v1/check?hash=1&rate=1000")
        self.assertEqual(answer.status, 202)
        where = answer.getheader("Location")
        again, body = server.ask("POST", "/api/ebb/v1/check")
        self.assertEqual((again.status, again.getheader("Location")), (409, where))
        self.assertIn("running", json.loads(body)["detail"])
        self.assertEqual(server.ask("POST", "/api/ebb/v1/check?rate=fast")[0].status, 400)
        self.assertEqual(server.ask("GET", "/api/ebb/v1/check/none")[0].status, 404)
        self.assertEqual(server.ask("PUT", "/api/ebb/v1/check")[0].getheader("Allow"),
                         "GET, HEAD, POST")
        state = lambda: json.loads(server.ask("GET", where)[1])["state"]
        self.assertEqual(state(), "running")
        self.assertEqual(server.ask("DELETE", where)[0].status, 202)
        wait_for(lambda: state() == "stopped", "the end of the check")
        self.assertEqual(self.found(code=0, target=server.url), [])
        # A server that is told to stop does not wait for its check.
        self.assertEqual(server.ask("POST", "/api/ebb/v1/check?hash=1&rate=1000")[0].status, 202)

    def test_interrupted(self):
        server = self.start()
        server.push_image("team/app", "1", [self.LAYER, self.LAYER + b"2"])
        check = subprocess.Popen([PROGRAM, "check", "--hash", "--rate", "1000", server.url],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        state = lambda: json.loads(server.ask("GET", "/api/ebb/v1/check")[1]).get("state")
        hashing = lambda: json.loads(server.ask("GET", "/api/ebb/v1/check")[1]).get(
            "progress", {}).get("phase") == "hash"
        wait_for(hashing, "the hashing")
        check.send_signal(signal.SIGINT)
        out, _ = check.communicate(timeout=PATIENCE)
        self.assertEqual(check.returncode, 1)
        self.assertIn("stopped before its end", out)
        self.assertEqual(state(), "stopped")

    def test_under_load(self):
        """Pushes, deletes and reclaim go on, and nothing is reported."""
        server = self.start("--set", "reclaim.interval=1s", "--set", "reclaim.grace=0s",
                            "--set", "reclaim.lease=1s", "--set", "log.requests=errors")
        done = threading.Event()
        failures = []

        def work(number):
            turn = 0
            try:
                while not done.is_set():
                    turn += 1
                    repo = f"busy/{number}"
                    layers = [b"%d %d" % (number, turn % 7) * 3000, b"shared" * 3000]
                    digest = server.push_image(repo, f"t{turn % 5}", layers)
                    if turn % 3 == 0:
                        server.ask("DELETE", f"/v2/{repo}/manifests/{digest}")
            except Exception as failure:
                failures.append(failure)
            turns.append(turn)

        turns = []
        threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        try:
            end = time.monotonic() + 6
            checks = 0
            while time.monotonic() < end:
                self.assertEqual(self.found("--hash", "--rate", "0", code=0, target=server.url), [])
                checks += 1
        finally:
            done.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(min(turns), 10)
        self.assertGreater(checks, 3)
        self.stop()
        self.assertEqual(self.found("--hash", code=0), [])


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
