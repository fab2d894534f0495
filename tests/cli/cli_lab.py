# SPDX-License-Identifier: Apache-2.0
"""What the tests of commands stand on: running the program, with and without a terminal, and a
registry that answers what a test tells it to (what a real one would not say, or not at that moment).
"""
import fcntl
import http.server
import json
import os
import pty
import select
import subprocess
import sys
import termios
import threading
import unittest
import urllib.parse

PATIENCE = 60  # seconds until a condition that must come counts as missing
API = "/api/ebb/v1"
DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32


class Program:
    path = ""


def clean_environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("EBB_") and k != "NO_COLOR"}
    return {**env, "TERM": "xterm", "XDG_CONFIG_HOME": "/nowhere", **more}


def run(*args, stdin=None, env=None):
    """Without a terminal: none is its standard input, and it has no /dev/tty."""
    how = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run([Program.path, *args], capture_output=True, text=True, timeout=PATIENCE,
                          env=clean_environment(**(env or {})), start_new_session=True, **how)


class Terminal:
    """The program on a terminal of its own; with `stdin` only /dev/tty is it."""

    def __init__(self, *args, stdin=None, env=None):
        self.master, slave = pty.openpty()
        reader = None
        if stdin is not None:
            reader, writer = os.pipe()
            os.write(writer, stdin.encode())
            os.close(writer)

        def take():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen([Program.path, *args], stdin=slave if reader is None else reader,
                                        stdout=slave, stderr=slave, env=clean_environment(**(env or {})),
                                        preexec_fn=take, pass_fds=[slave])
        os.close(slave)
        if reader is not None:
            os.close(reader)
        self.text = ""

    def read(self):
        """False at the end."""
        ready, _, _ = select.select([self.master], [], [], PATIENCE)
        if not ready:
            raise AssertionError("silent: " + self.text)
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.text += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def expect(self, text):
        while text not in self.text:
            if not self.read():
                raise AssertionError(f"ended without {text!r}: {self.text}")

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        """(exit status, everything that was shown)"""
        while self.read():
            pass
        code = self.process.wait(PATIENCE)
        os.close(self.master)
        return code, self.text


class Fake:
    """Answers by table: {"GET /tags": answer or list of answers}. An answer is a body (200), or
    (status, body), or (status, body, headers); of a list the last one stays. Every request is in
    `asked`."""

    def __init__(self, answers):
        self.answers = {k: list(v) if isinstance(v, list) else [v] for k, v in answers.items()}
        self.asked = []
        self.authorization = []  # of each request: the header's value, or None
        self.connections = 0
        self.hang_up = False  # after each answer, without a word
        self.lock = threading.Lock()
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                fake.connections += 1
                super().setup()

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                status, answer, *headers = fake.find(self.command, self.path, body, self.headers["Authorization"])
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                for name, value in (headers[0] if headers else {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
                self.close_connection = self.close_connection or fake.hang_up

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def find(self, method, target, body, authorization):
        parts = urllib.parse.urlsplit(target)
        path = urllib.parse.unquote(parts.path.removeprefix(API))
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        with self.lock:
            self.asked.append((method + " " + path, query, json.loads(body) if body else None))
            self.authorization.append(authorization)
            answers = self.answers.get(method + " " + path)
            if answers is None:
                return 404, problem("unknown", "the fake has no " + method + " " + path)
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, tuple) else (200, answer)

    def requests(self, what):
        return [(query, body) for name, query, body in self.asked if name == what]

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def problem(name, detail, **more):
    return {"type": "urn:ebb:" + name, "title": name, "status": 400, "detail": detail, **more}


def items(*rows, **more):
    return {"items": list(rows), **more}


class Case(unittest.TestCase):
    maxDiff = None

    def fake(self, table):
        fake = Fake(table)
        self.addCleanup(fake.close)
        return fake

    def ebb(self, fake, *args, code=0, stdin=None, env=None):
        done = run(*args, "--server", fake.url, stdin=stdin, env=env)
        self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
        return done

    def json(self, fake, *args, code=0, **more):
        return json.loads(self.ebb(fake, *args, "-o", "json", code=code, **more).stdout)

    def tsv(self, fake, *args, code=0, **more):
        return [line.split("\t") for line in self.ebb(fake, *args, "-o", "tsv", code=code, **more).stdout.splitlines()]


def main():
    Program.path = os.path.abspath(sys.argv.pop(1))
    unittest.main()
