#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives the program as a person or an init system does: help, configuration, start, signals, TLS.

    test_cli.py PROGRAM [unittest arguments]
"""
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = ""
PATIENCE = 30  # seconds until a condition that must come counts as missing


def run(*args, env=None):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("EBB_")}
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL, env={**clean, **(env or {})})


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain for " + what)


class Server:
    """`ebb serve` on a free port; its log is read from a file."""

    def __init__(self, dir, *args):
        self.log_path = os.path.join(dir, "log")
        self.log_file = open(self.log_path, "w")
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--data", os.path.join(dir, "data"), "--listen", "127.0.0.1:0",
             *args], stdout=self.log_file, stderr=self.log_file, stdin=subprocess.DEVNULL)
        address = wait_for(lambda: self.has_left() or self.field("listening", "address"), "start")
        if self.process.poll() is not None:
            raise AssertionError("ended at once: " + self.log())
        self.port = int(address.rsplit(":", 1)[1])
        wait_for(lambda: self.field("started", "pid"), "started")

    def has_left(self):
        return self.process.poll() is not None

    def log(self):
        with open(self.log_path) as f:
            return f.read()

    def field(self, message, name):
        for line in self.log().splitlines():
            if line.startswith("{"):
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # still being written
                if event.get("message") == message:
                    return event.get(name, True)
        return None

    def send(self, number):
        self.process.send_signal(number)

    def get(self, path, method="GET"):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        c.request(method, path)
        answer = c.getresponse()
        body = answer.read().decode()
        c.close()
        return answer, body

    def start_slow_request(self):
        """A request that runs until its body is complete. The answer to "100-continue" proves that
        it is under way."""
        s = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        s.sendall(b"PUT /v2/a/manifests/t HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                  b"Content-Type: application/vnd.oci.image.manifest.v1+json\r\n"
                  b"Expect: 100-continue\r\n\r\n")
        first = s.recv(1024)
        assert first.startswith(b"HTTP/1.1 100"), first
        return s

    def wait(self):
        return self.process.wait(PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log_file.close()


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="ebb-cli.")
        self.addCleanup(self.dir.cleanup)

    def path(self, name, text=None):
        path = os.path.join(self.dir.name, name)
        if text is not None:
            with open(path, "w") as f:
                f.write(text)
        return path

    def serve(self, *args):
        server = Server(self.dir.name, *args)
        self.addCleanup(server.close)
        return server

    def says(self, result, code, stdout="", stderr=""):
        self.assertEqual((result.returncode, result.stdout, result.stderr), (code, stdout, stderr))


class Words(Case):
    def test_version(self):
        for args in (["version"], ["--version"]):
            result = run(*args)
            self.assertEqual(result.returncode, 0)
            self.assertRegex(result.stdout, r"\Aebb \d+\.\d+\.\d+\n\Z")

    def test_help(self):
        for args in (["--help"], ["-h"], ["help"]):
            result = run(*args)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            for word in ("serve", "config", "check", "version", "Usage: ebb COMMAND", "Examples:"):
                self.assertIn(word, result.stdout)
            self.assertNotIn("\033", result.stdout)

    def test_help_of_each_command(self):
        for command in ("serve", "check", "version", "config check", "config show",
                        "config defaults"):
            by_option = run(*command.split(), "--help")
            by_word = run("help", *command.split())
            self.assertEqual(by_option.returncode, 0)
            self.assertIn("Usage: ebb " + command, by_option.stdout)
            self.assertEqual(by_option.stdout, by_word.stdout)

    def test_usage_errors(self):
        for args, text in (
                ([], "ebb: which command?"),
                (["sreve"], 'ebb: there is no command "sreve"'),
                (["--sreve"], "ebb: unknown option --sreve"),
                (["help", "sreve"], 'ebb: there is no command "sreve"'),
                (["config"], "ebb config: which command?"),
                (["config", "chekc"], 'ebb config: there is no command "chekc"'),
                (["version", "x"], 'ebb version: takes nothing, not "x"'),
                (["serve", "x"], 'ebb serve: "x" is one argument too many'),
                (["serve", "--data"], "ebb serve: --data needs a value"),
                (["serve", "--opne"], "ebb serve: unknown option --opne"),
                (["serve", "-x"], "ebb serve: unknown option -x"),
                (["serve", "--config", "a", "--config", "b"],
                 "ebb serve: --config may be given once"),
                (["serve", "--set", "opne=true"],
                 'ebb serve: --set: unknown key "opne"; did you mean "open"?'),
                (["serve", "--set", "open"], 'ebb serve: --set: "open" is not key=value'),
                (["serve", "--listen", "5000"],
                 'ebb serve: --listen: listen: "5000" has no port; allowed is 1 to 16 addresses '
                 "with ports, such as 127.0.0.1:5000"),
                (["config", "check", "a", "b"], 'ebb config check: "b" is one argument too many')):
            with self.subTest(args=args):
                result = run(*args)
                self.assertEqual((result.returncode, result.stdout), (2, ""))
                first, second = result.stderr.splitlines()
                self.assertEqual(first, text)
                self.assertIn("--help` shows what it takes.", second)

    def test_full_disk(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([PROGRAM, "config", "defaults"], stdout=full,
                                    stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
        self.assertEqual(result.returncode, 1)
        self.assertIn("No space left on device", result.stderr)


class Config(Case):
    def test_good(self):
        path = self.path("ebb.yml", "reclaim:\n  grace: 7d\n")
        good = path + " is a good configuration.\n"
        self.says(run("config", "check", path), 0, good)
        self.says(run("config", "check", "--config", path), 0, good)
        self.says(run("config", "check"), 0, "The configuration is good.\n")

    def test_bad(self):
        path = self.path("ebb.yml", "reclaim:\n  grase: 7d\n")
        text = '%s:2: unknown key "reclaim.grase"; did you mean "reclaim.grace"?\n' % path
        self.says(run("config", "check", path), 1, "", "ebb config check: " + text)
        self.says(run("serve", "--config", path), 1, "", "ebb serve: " + text)
        missing = self.path("no")
        self.says(run("config", "check", missing), 1, "",
                  "ebb config check: %s: No such file or directory\n" % missing)
        self.says(run("config", "check", self.dir.name), 1, "",
                  "ebb config check: %s: Is a directory\n" % self.dir.name)

    def test_bad_environment(self):
        result = run("config", "check", env={"EBB_RECLAIM_GRACE": "7"})
        self.assertEqual(result.returncode, 1)
        self.assertIn('EBB_RECLAIM_GRACE: reclaim.grace: "7" has no unit; allowed is a duration',
                      result.stderr)

    def test_defaults_are_good_and_change_nothing(self):
        defaults = run("config", "defaults")
        self.assertEqual((defaults.returncode, defaults.stderr), (0, ""))
        path = self.path("ebb.yml", defaults.stdout)
        self.assertEqual(run("config", "check", path).returncode, 0)
        values = lambda text: re.sub(r"  # .*", "", text)
        self.assertEqual(values(run("config", "show", path).stdout),
                         values(run("config", "show").stdout))

    def test_show_says_where_from(self):
        path = self.path("ebb.yml", "reclaim.grace: 7d\nreclaim.lease: 7d\nreclaim.interval: 7s\n")
        shown = run("config", "show", path, "--open", "--set", "reclaim.lease=8d",
                    env={"EBB_RECLAIM_LEASE": "9d", "EBB_RECLAIM_INTERVAL": "9s"})
        for line in ("  grace: 7d  # %s:1" % path, "  lease: 8d  # --set",
                     "  interval: 9s  # environment", "open: true  # command line",
                     "  untagged: true  # default"):
            self.assertIn(line + "\n", shown.stdout)

    def test_default_data_directory(self):
        if os.geteuid() == 0:
            self.assertIn('data: "/var/lib/ebb"  # default\n', run("config", "show").stdout)
            return
        shown = run("config", "show", env={"XDG_DATA_HOME": "/x"}).stdout
        self.assertIn('data: "/x/ebb"  # default\n', shown)


class Listening(Case):
    def test_refuses_other_addresses(self):
        for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0"):
            for command in (["serve", "--data", self.path("data")], ["config", "check"]):
                result = run(*command, "--listen", address)
                self.assertEqual(result.returncode, 1)
                self.assertIn("anyone who reaches it may push, pull and delete", result.stderr)
                self.assertIn("--open", result.stderr)
        self.assertFalse(os.path.exists(self.path("data")))

    def test_one_of_many_is_enough_to_refuse(self):
        result = run("config", "check", "--listen", "127.0.0.1:0", "--listen", "0.0.0.0:0")
        self.assertEqual(result.returncode, 1)

    def test_loopback_names(self):
        self.assertEqual(run("config", "check", "--listen", "localhost:0", "--listen", "127.9.9.9:0",
                             "--listen", "[::1]:0").returncode, 0)

    def test_open(self):
        server = self.serve("--listen", "0.0.0.0:0", "--open")
        self.assertIsNotNone(
            server.field("open: anyone who reaches this address may push, pull and delete",
                         "address"))

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            result = run("serve", "--data", self.path("data"), "--listen", address)
        self.assertEqual(result.returncode, 1)
        self.assertIn(address, result.stderr)


class Data(Case):
    def test_second_is_refused(self):
        first = self.serve()
        data = self.path("data")
        result = run("serve", "--data", data, "--listen", "127.0.0.1:0")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr,
                         r"data directory %s is in use by process %d on \S+ since "
                         r"20\d\d-\d\d-\d\dT\S+Z; stop it first \(kill %d\)"
                         % (re.escape(data), first.process.pid, first.process.pid))
        self.assertEqual(first.get("/healthz")[0].status, 200)
        first.process.kill()  # the lock goes with the process, not with the file
        first.wait()
        second = self.serve()
        self.assertEqual(second.get("/healthz")[0].status, 200)

    def test_directory_above_must_be_there(self):
        result = run("serve", "--data", self.path("no/data"), "--listen", "127.0.0.1:0")
        self.assertEqual(result.returncode, 1)
        self.assertIn("data directory: mkdir %s: No such file or directory" % self.path("no/data"),
                      result.stderr)

    def test_a_file_is_no_directory(self):
        path = self.path("data", "x")
        result = run("serve", "--data", path, "--listen", "127.0.0.1:0")
        self.assertEqual(result.returncode, 1)
        self.assertIn("Not a directory", result.stderr)


class Operations(Case):
    def test_operations(self):
        server = self.serve()
        self.assertEqual(server.get("/healthz")[1], "ok\n")
        answer, body = server.get("/readyz")
        self.assertEqual((answer.status, json.loads(body)), (200, {"ready": True, "reasons": []}))
        answer, body = server.get("/metrics")
        self.assertEqual(answer.getheader("Content-Type"),
                         "text/plain; version=0.0.4; charset=utf-8")
        values = dict(line.rsplit(" ", 1) for line in body.splitlines() if line[0] != "#")
        self.assertGreater(int(values["ebb_disk_size_bytes"]), 0)
        self.assertGreater(int(values["ebb_disk_free_bytes"]), 0)
        self.assertEqual(values["ebb_uploads_open"], "0")
        self.assertIn("ebb_db_log_bytes", values)
        answer, body = server.get("/metrics", "POST")
        self.assertEqual((answer.status, answer.getheader("Allow")), (405, "GET, HEAD"))
        answer, body = server.get("/metrics", "HEAD")
        self.assertEqual((answer.status, body), (200, ""))

    def test_uploads_are_counted(self):
        server = self.serve()
        self.assertEqual(server.get("/v2/a/blobs/uploads/", "POST")[0].status, 202)
        self.assertIn("\nebb_uploads_open 1\n", server.get("/metrics")[1])


class Signals(Case):
    def test_stops(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.serve()
            server.send(number)
            self.assertEqual(server.wait(), 0)
            self.assertIsNotNone(server.field("stopped", "level"))
            with open(self.path("data/lock")) as lock:
                self.assertEqual(lock.read(), "")

    def test_running_requests_end(self):
        server = self.serve()
        slow = server.start_slow_request()
        server.send(signal.SIGTERM)
        wait_for(lambda: server.field("stopping", "signal"), "stopping")
        self.assertFalse(server.has_left())
        slow.sendall(b"{}")
        self.assertTrue(slow.recv(1024).startswith(b"HTTP/1.1 400"))
        slow.close()
        self.assertEqual(server.wait(), 0)

    def test_second_leaves_at_once(self):
        server = self.serve("--set", "http.stop_timeout=1h", "--set", "http.body_timeout=1h")
        slow = server.start_slow_request()
        server.send(signal.SIGTERM)
        wait_for(lambda: server.field("stopping", "signal"), "stopping")
        server.send(signal.SIGTERM)
        self.assertEqual(server.wait(), 1)
        self.assertIsNotNone(server.field("stopped at once", "level"))
        slow.close()

    def test_stop_timeout(self):
        server = self.serve("--set", "http.stop_timeout=100ms", "--set", "http.body_timeout=1h")
        slow = server.start_slow_request()
        server.send(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        slow.close()

    def test_lost_terminal(self):
        """A terminal that goes away ends what runs on it."""
        pid, terminal = os.forkpty()
        if pid == 0:
            os.execv(PROGRAM, [PROGRAM, "serve", "--data", self.path("data"), "--listen",
                               "127.0.0.1:0"])
        try:
            said = b""
            while b"Ctrl-C" not in said:  # the greeting of a person
                said += os.read(terminal, 4096)
            self.assertIn(b"listens on  http://127.0.0.1:", said)
            self.assertIn(b"push with   docker tag IMAGE localhost:", said)
            os.close(terminal)
            done = lambda: os.waitpid(pid, os.WNOHANG) != (0, 0)
            wait_for(done, "the end")
            pid = 0
        finally:
            if pid != 0:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def test_hangup_without_tls(self):
        server = self.serve()
        server.send(signal.SIGHUP)
        wait_for(lambda: server.field("nothing to reload", "reason"), "the log")
        self.assertEqual(server.get("/healthz")[0].status, 200)


class Tls(Case):
    def make(self, name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=" + name, "-keyout", self.path("key.pem"), "-out",
                        self.path("cert.pem")], check=True, capture_output=True)
        with open(self.path("cert.pem")) as f:
            return f.read()

    def served(self, server):
        return ssl.get_server_certificate(("127.0.0.1", server.port))

    def start(self):
        return self.serve("--set", "tls.cert=" + self.path("cert.pem"),
                          "--set", "tls.key=" + self.path("key.pem"))

    def test_reload(self):
        first = self.make("first")
        server = self.start()
        self.assertEqual(self.served(server).split(), first.split())
        second = self.make("second")
        self.assertEqual(self.served(server).split(), first.split())
        server.send(signal.SIGHUP)
        wait_for(lambda: server.field("TLS reloaded", "cert"), "the log")
        self.assertEqual(self.served(server).split(), second.split())
        self.path("cert.pem", "no certificate\n")
        server.send(signal.SIGHUP)
        error = wait_for(
            lambda: server.field("TLS not reloaded, the old certificate stays", "error"), "the log")
        self.assertIn("cert.pem", error)
        self.assertEqual(self.served(server).split(), second.split())

    def test_bad_files_at_the_start(self):
        self.make("first")
        self.path("key.pem", "no key\n")
        result = run("serve", "--data", self.path("data"), "--listen", "127.0.0.1:0", "--set",
                     "tls.cert=" + self.path("cert.pem"), "--set", "tls.key=" + self.path("key.pem"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("key.pem", result.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
