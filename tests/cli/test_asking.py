#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives what says who asks: credentials and where they go, log in and out, against a registry
that answers what a test tells it to.

    test_asking.py PROGRAM [unittest arguments]
"""
import base64
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import termios

from cli_lab import Case, Program, Terminal, clean_environment, items, main, problem, run

SECRET = "ebb_secret-that-nobody-may-see"
PASSWORD = "a password: with ümlaut"
WHEN = "2026-11-21T09:15:00.000Z"
SELF = {"account": "anna", "kind": "person", "administrator": False, "token": None, "jwt": False,
        "roles": [{"prefix": "group", "role": "developer"}], "path": None, "role": None, "rights": None}
TOKEN = {"token": 7, "kind": "personal", "account": "anna", "name": "laptop", "prefix": "", "scopes": ["pull", "push"],
         "created_at": WHEN, "expires_at": "2027-02-19T09:15:00.000Z", "used_at": None, "created_by": "anna"}
NEW_TOKEN = {**TOKEN, "secret": SECRET, "user": "anna"}


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Asking(Case):
    """With a directory for what is kept."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ebb-login-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.config = os.path.join(self.folder, "config")
        self.kept = os.path.join(self.config, "ebb", "credentials.json")

    def path(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def env(self, **more):
        return {"XDG_CONFIG_HOME": self.config, **more}

    def ask(self, fake, *args, code=0, stdin=None, **env):
        return self.ebb(fake, *args, code=code, stdin=stdin, env=self.env(**env))

    def keep(self, url, **more):
        os.makedirs(os.path.dirname(self.kept), exist_ok=True)
        with open(self.kept, "w", encoding="utf-8") as file:
            json.dump({"servers": {url: {"user": "anna", "token": "kept-token", "id": 3, **more}}}, file)
        os.chmod(self.kept, 0o600)

    def entry(self, fake):
        with open(self.kept, encoding="utf-8") as file:
            return json.load(file)["servers"].get(fake.url)


class Choosing(Asking):
    """Which credentials are sent, and where they are not."""

    def test_order(self):
        fake = self.fake({"GET /self": SELF})
        token = self.path("token", "file-token\nsecond line\n")
        all_of_them = {"EBB_TOKEN": "env-token", "EBB_USER": "env", "EBB_PASSWORD": PASSWORD}
        self.keep(fake.url)
        for args, env, wanted in (
                (["--token-file", token], all_of_them, "Bearer file-token"),
                (["--user", "anna"], all_of_them, basic("anna", PASSWORD)),
                (["-u", "anna"], {"EBB_PASSWORD": PASSWORD}, basic("anna", PASSWORD)),
                ([], all_of_them, "Bearer env-token"),
                ([], {**all_of_them, "EBB_TOKEN": ""}, basic("env", PASSWORD)),
                ([], {"EBB_PASSWORD": PASSWORD}, "Bearer kept-token"),
                ([], {}, "Bearer kept-token")):
            with self.subTest(args=args, env=env):
                self.ask(fake, "whoami", *args, **env)
                self.assertEqual(fake.authorization[-1], wanted)
        os.remove(self.kept)
        self.ask(fake, "whoami")
        self.assertIsNone(fake.authorization[-1])

    def test_every_command(self):
        """Those that were there before ask as somebody, too; each page of a list does."""
        fake = self.fake({"GET /repositories": [items({"repository": "a"}, next="a"), items({"repository": "b"})],
                          "POST /check": (202, {"id": "1"}), "GET /check/1": {"state": "finished", "summary": {}}})
        self.ask(fake, "ls", EBB_TOKEN="t")
        done = run("check", fake.url, env=self.env(EBB_TOKEN="t"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(fake.authorization, ["Bearer t"] * 4)

    def test_spelling_of_the_registry(self):
        """One registry, one entry."""
        fake = self.fake({"GET /self": SELF})
        port = fake.url.rsplit(":", 1)[1]
        self.keep(f"http://localhost:{port}")
        for url in (f"http://LocalHost:{port}/", f"localhost:{port}"):
            done = run("whoami", "--server", url, env=self.env())
            self.assertEqual((done.returncode, fake.authorization[-1]), (0, "Bearer kept-token"), done.stderr)
        run("whoami", "--server", fake.url, env=self.env())
        self.assertIsNone(fake.authorization[-1])

    def test_usual_ports(self):
        self.keep("https://localhost")
        for url in ("https://localhost:443", "https://LOCALHOST"):
            self.assertIn("no answer from https://localhost (", run("whoami", "--server", url, env=self.env()).stderr)

    def test_what_is_none(self):
        fake = self.fake({"GET /self": SELF})
        empty = self.path("empty", "\nabc")
        long = self.path("long", "x" * 9000)
        for args, env, text in ((["--token-file", "/none"], {}, "/none"), (["--token-file", empty], {}, "empty"),
                                (["--token-file", long], {}, "too long"), ([], {"EBB_TOKEN": "a b"}, "EBB_TOKEN: "),
                                ([], {"EBB_TOKEN": "a\r\nX: y"}, "EBB_TOKEN: "), ([], {"EBB_TOKEN": "x" * 9000}, "too long"),
                                (["-u", "a:b"], {"EBB_PASSWORD": "x"}, "no name of an account"),
                                (["-u", "a" * 300], {"EBB_PASSWORD": "x"}, "no name of an account"),
                                (["-u", "a"], {"EBB_PASSWORD": "x" * 2000}, "password is empty or too long"),
                                (["-u", "a"], {}, "set EBB_PASSWORD"), ([], {"EBB_USER": "a"}, "set EBB_PASSWORD"),
                                (["-u", "a", "--token-file", empty], {"EBB_PASSWORD": "x"}, "exclude each other")):
            with self.subTest(args=args, env=env):
                done = self.ask(fake, "whoami", *args, code=1, **env)
                self.assertIn(text, done.stderr)
                self.assertNotIn("x" * 50, done.stderr)
        self.assertEqual(fake.asked, [])

    def test_without_encryption_to_this_machine_only(self):
        for url in ("http://registry.example.org", "registry.example.org:5000", "http://127.0.0.1.example.org",
                    "http://localhost.example.org", "http://1.2.3.4:5000", "http://127.1", "http://0x7f.0.0.1", "http://[2001:db8::1]"):
            for env in ({"EBB_TOKEN": SECRET}, {"EBB_USER": "a", "EBB_PASSWORD": SECRET}):
                done = run("ls", "--server", url, env=self.env(**env))
                self.assertEqual(done.returncode, 1)
                self.assertIn("neither encrypted nor this machine", done.stderr, url)
                self.assertIn("--insecure-http", done.stderr)
                self.assertNotIn(SECRET, done.stderr)
        self.keep("http://registry.example.org")
        self.assertIn("--insecure-http", run("ls", "--server", "http://registry.example.org", env=self.env()).stderr)
        # Nobody is asked for a password that would not be sent.
        self.assertIn("neither encrypted", run("login", "-u", "a", "--server", "http://registry.example.org").stderr)
        for url in ("http://user:" + SECRET + "@127.0.0.1:1", "http://127.0.0.1@registry.example.org"):
            done = run("ls", "--server", url, env=self.env(EBB_TOKEN="t"))
            self.assertIn("no name or password stands in a URL", done.stderr)
            self.assertNotIn(SECRET, done.stderr)
        done = run("ls", "--server", "http://registry.invalid", "--insecure-http", env=self.env(EBB_TOKEN=SECRET))
        self.assertIn("there is no answer from http://registry.invalid", done.stderr)
        for url in ("http://localhost:1", "http://127.9.9.9:1", "http://[::1]:1"):
            self.assertIn("no answer", run("ls", "--server", url, env=self.env(EBB_TOKEN="t")).stderr)

    def test_no_other_host(self):
        """Neither by a redirect nor through a proxy of the environment."""
        other = self.fake({"GET /self": SELF})
        fake = self.fake({"GET /self": (302, b"", {"Location": other.url + "/api/ebb/v1/self"})})
        self.assertIn("answers 302", self.ask(fake, "whoami", code=1, EBB_TOKEN=SECRET).stderr)
        there = self.fake({"GET /self": SELF})
        self.ask(there, "whoami", EBB_TOKEN=SECRET, http_proxy=other.url, all_proxy=other.url)
        self.assertEqual((other.asked, len(there.asked)), ([], 1))

    def test_netrc(self):
        fake = self.fake({"GET /self": SELF})
        self.path(".netrc", "machine 127.0.0.1 login a password b\n")
        self.ask(fake, "whoami", HOME=self.folder)
        self.assertEqual(fake.authorization, [None])

    def test_asked_on_the_terminal(self):
        fake = self.fake({"GET /repositories": items({"repository": "a"})})
        t = Terminal("ls", "-u", "anna", "--server", fake.url, env=self.env())
        t.expect(f"Password of anna at {fake.url}: ")
        t.type(PASSWORD + "\n")
        code, text = t.end()
        self.assertEqual(code, 0, text)
        self.assertNotIn("ümlaut", text)
        self.assertEqual(fake.authorization, [basic("anna", PASSWORD)])

    def test_echo_comes_back(self):
        """After ^C as well; the terminal is the user's."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            t = Terminal("ls", "-u", "anna", "--server", "http://127.0.0.1:1", env=self.env())
            t.expect("Password of anna")
            self.assertFalse(termios.tcgetattr(t.master)[3] & termios.ECHO)
            t.process.send_signal(number)
            self.assertEqual(t.process.wait(60), -number)
            self.assertTrue(termios.tcgetattr(t.master)[3] & termios.ECHO)
            os.close(t.master)

    def test_no_answer(self):
        t = Terminal("ls", "-u", "anna", "--server", "http://127.0.0.1:1", env=self.env())
        t.expect("Password of anna")
        t.type("\x04")
        code, text = t.end()
        self.assertEqual(code, 1, text)


class Refused(Asking):
    """What to do is said."""

    def test_unknown(self):
        no = (401, problem("unauthorized", "the credentials are wrong"))
        fake = self.fake({"GET /repositories": no})
        done = self.ask(fake, "ls", code=1)
        self.assertIn(f"wants to know who asks: `ebb login --server {fake.url}`, or set EBB_TOKEN", done.stderr)
        for env, text in (({"EBB_TOKEN": SECRET}, "the token in EBB_TOKEN"), ({"EBB_USER": "a", "EBB_PASSWORD": SECRET}, "EBB_USER")):
            done = self.ask(fake, "ls", code=1, **env)
            self.assertIn(text, done.stderr)
            self.assertIn("the credentials are wrong", done.stderr)
            self.assertIn(f"`ebb login --server {fake.url}`", done.stderr)
            self.assertNotIn(SECRET, done.stderr)
        self.keep(fake.url)
        self.assertIn("does not accept the token that `ebb login` kept", self.ask(fake, "ls", code=1).stderr)

    def test_forbidden(self):
        fake = self.fake({"GET /repositories": (403, problem("forbidden", 'this needs the right "delete" on group/app'))})
        self.assertIn('the right "delete" on group/app', self.ask(fake, "ls", code=1, EBB_TOKEN="t").stderr)

    def test_slowed(self):
        fake = self.fake({"GET /repositories": (429, problem("slowed", "the next one is looked at in 42 seconds"), {"Retry-After": "42"})})
        self.assertEqual(self.ask(fake, "ls", code=1, EBB_TOKEN="t").stderr, "ebb ls: too many log-ins failed; try again in 42 s\n")
        fake = self.fake({"GET /repositories": (503, problem("unavailable", "busy"), {"Retry-After": "3"})})
        self.assertEqual(self.ask(fake, "ls", code=1).stderr, "ebb ls: busy; try again in 3 s\n")

    def test_open(self):
        no = (409, problem("open", "there are no accounts: auth.mode is open"))
        fake = self.fake({"GET /accounts": no, "GET /self": no})
        self.assertIn("auth.mode is open", self.ask(fake, "account", code=1).stderr)
        done = self.ask(fake, "login", "-u", "a", code=1, EBB_PASSWORD="x")
        self.assertIn("there is nothing to log in to", done.stderr)
        self.assertFalse(os.path.exists(self.kept))


class LoggingIn(Asking):
    TABLE = {"GET /self": SELF, "POST /tokens": (201, NEW_TOKEN)}

    def mode(self, path):
        return stat.S_IMODE(os.stat(path).st_mode)

    def test_with_a_password(self):
        for how in ("stdin", "environment", "terminal"):
            with self.subTest(how=how):
                fake = self.fake(self.TABLE)
                if how == "stdin":
                    text = self.ask(fake, "login", "-u", "anna", "--password-stdin", stdin=PASSWORD + "\r\n").stdout
                elif how == "environment":
                    text = self.ask(fake, "login", EBB_USER="anna", EBB_PASSWORD=PASSWORD).stdout
                else:
                    t = Terminal("login", "--server", fake.url, env=self.env())
                    t.expect("Name at ")
                    t.type("anna\n")
                    t.expect("Password of anna at ")
                    t.type(PASSWORD + "\n")
                    code, text = t.end()
                    self.assertEqual(code, 0, text)
                self.assertIn(f"Logged in to {fake.url} as anna, until 2027-02-19 09:15 UTC.", text)
                self.assertNotIn("ümlaut", text)
                self.assertNotIn(SECRET, text)
                self.assertEqual(fake.authorization, [basic("anna", PASSWORD)] * 2)
                (_, body), = fake.requests("POST /tokens")
                self.assertEqual((body["scopes"], body["expires_in"]), (["admin"], "90d"))
                self.assertRegex(body["name"], "^ebb on .")
                self.assertEqual((self.mode(self.kept), self.mode(os.path.dirname(self.kept))), (0o600, 0o700))
                self.assertEqual(self.entry(fake), {"user": "anna", "token": SECRET, "id": 7, "expires_at": TOKEN["expires_at"]})
                with open(self.kept, encoding="utf-8") as file:
                    self.assertNotIn("ümlaut", file.read())
                self.ask(fake, "whoami")
                self.assertEqual(fake.authorization[-1], "Bearer " + SECRET)

    def test_mask(self):
        """Whatever the umask is."""
        fake = self.fake(self.TABLE)
        script = 'umask 0; exec "$0" login -u anna --server "$1"'
        subprocess.run(["sh", "-c", script, Program.path, fake.url], check=True, capture_output=True,
                       env=clean_environment(**self.env(EBB_PASSWORD="x")))
        self.assertEqual((self.mode(self.kept), self.mode(os.path.dirname(self.kept))), (0o600, 0o700))

    def test_home(self):
        fake = self.fake(self.TABLE)
        for config in ("", "relative"):
            home = tempfile.mkdtemp(dir=self.folder)
            self.ask(fake, "login", "-u", "anna", EBB_PASSWORD="x", XDG_CONFIG_HOME=config, HOME=home)
            self.assertTrue(os.path.exists(os.path.join(home, ".config/ebb/credentials.json")))
        done = self.ask(fake, "login", "-u", "anna", code=1, EBB_PASSWORD="x", XDG_CONFIG_HOME="", HOME="")
        self.assertIn("neither XDG_CONFIG_HOME nor HOME is set", done.stderr)

    def test_variables_that_go_before(self):
        fake = self.fake(self.TABLE)
        self.assertEqual(self.ask(fake, "login", "-u", "anna", EBB_PASSWORD="x").stderr, "")
        done = self.ask(fake, "login", "-u", "anna", EBB_PASSWORD="x", EBB_TOKEN=SECRET)
        self.assertEqual(done.stderr, "ebb login: EBB_TOKEN is set, and goes before what was kept now\n")

    def test_expires(self):
        fake = self.fake(self.TABLE)
        self.ask(fake, "login", "-u", "anna", "--expires", "7d", EBB_PASSWORD="x")
        self.assertEqual(fake.requests("POST /tokens")[0][1]["expires_in"], "7d")

    def test_again(self):
        """The token before is taken back, with the new credentials; other registries stay."""
        fake = self.fake({**self.TABLE, "DELETE /tokens/3": (204, b"")})
        self.keep(fake.url)
        with open(self.kept, encoding="utf-8") as file:
            other = json.load(file)
        other["servers"]["https://other"] = {"user": "x", "token": "y", "new": 1}
        other["new"] = {"a": 1}
        with open(self.kept, "w", encoding="utf-8") as file:
            json.dump(other, file)
        self.ask(fake, "login", "-u", "anna", EBB_PASSWORD="x")
        self.assertEqual([name for name, *_ in fake.asked], ["GET /self", "POST /tokens", "DELETE /tokens/3"])
        self.assertEqual(self.entry(fake)["token"], SECRET)
        with open(self.kept, encoding="utf-8") as file:
            after = json.load(file)
        self.assertEqual((after["servers"]["https://other"], after["new"]), (other["servers"]["https://other"], {"a": 1}))

    def test_refused(self):
        fake = self.fake({"GET /self": (401, problem("unauthorized", "wrong name or password"))})
        done = self.ask(fake, "login", "-u", "anna", code=1, EBB_PASSWORD=SECRET)
        self.assertIn("wrong name or password", done.stderr)
        self.assertNotIn(SECRET, done.stderr)
        self.assertFalse(os.path.exists(self.kept))

    def test_cannot_be_kept(self):
        """Then the token is taken back."""
        fake = self.fake({**self.TABLE, "DELETE /tokens/7": (204, b"")})
        self.path("config", "a file where the directory should be")
        self.assertNotIn(SECRET, self.ask(fake, "login", "-u", "anna", code=1, EBB_PASSWORD="x").stderr)
        self.assertEqual(fake.asked[-1][0], "DELETE /tokens/7")

    def test_given_token(self):
        """No other is made."""
        robot = {**SELF, "account": "ci", "kind": "robot", "token": {"token": 9, "prefix": "", "scopes": ["push"], "expires_at": None}}
        fake = self.fake({"GET /self": robot})
        self.assertIn("as ci.", self.ask(fake, "login", "--token-file", self.path("token", SECRET + "\n")).stdout)
        self.assertEqual(self.entry(fake), {"user": "ci", "token": SECRET, "id": 0})
        self.ask(fake, "logout")
        self.assertEqual([name for name, *_ in fake.asked], ["GET /self"])
        self.assertIsNone(self.entry(fake))

    def test_at_once(self):
        """Two that log in at the same time both are."""
        fakes = [self.fake(self.TABLE) for _ in range(6)]
        running = [subprocess.Popen([Program.path, "login", "-u", "anna", "--server", f.url], stdout=subprocess.PIPE,
                                    env=clean_environment(**self.env(EBB_PASSWORD="x"))) for f in fakes]
        for process in running:
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0)
        for fake in fakes:
            self.assertEqual(self.entry(fake)["token"], SECRET)

    def test_logout(self):
        fake = self.fake({"DELETE /tokens/3": (204, b"")})
        self.keep(fake.url)
        self.assertIn("Logged out of " + fake.url, self.ask(fake, "logout").stdout)
        self.assertEqual((fake.asked, fake.authorization), ([("DELETE /tokens/3", {}, None)], ["Bearer kept-token"]))
        self.assertEqual((self.entry(fake), self.mode(self.kept)), (None, 0o600))
        self.assertIn("nobody is logged in to " + fake.url, self.ask(fake, "logout", code=1).stderr)

    def test_logout_that_the_registry_does_not_hear(self):
        self.keep("http://127.0.0.1:1")
        done = run("logout", "--server", "http://127.0.0.1:1", env=self.env())
        self.assertEqual(done.returncode, 3)
        self.assertIn("the token was not taken back: there is no answer", done.stderr)
        with open(self.kept, encoding="utf-8") as file:
            self.assertEqual(json.load(file), {"servers": {}})

    def test_damaged_file(self):
        fake = self.fake(self.TABLE)
        self.keep(fake.url)
        os.chmod(self.kept, 0o640)
        for command in (["whoami"], ["login", "-u", "anna"]):
            done = self.ask(fake, *command, code=1, EBB_PASSWORD="x")
            self.assertIn("can be read by others", done.stderr)
        self.ask(fake, "whoami", EBB_TOKEN="t")
        for text, why in (("{", "is damaged"), ("[]", "is damaged"), ('{"servers": []}', "is damaged"), ("", "is damaged"),
                          (json.dumps({"servers": {fake.url: {}}}), "is damaged"), (json.dumps({"servers": {fake.url: 1}}), "is damaged"),
                          (json.dumps({"servers": {fake.url: {"token": "x" * 9000}}}), "is damaged"),
                          (json.dumps({"servers": {fake.url: {"token": "a\nb"}}}), "as a token is none"),
                          ("x" * (1 << 20) + "y", "too large")):
            with open(self.kept, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(self.kept, 0o600)
            with self.subTest(text=text[:60]):
                self.assertIn(why, self.ask(fake, "whoami", code=1).stderr)

    def test_nothing_in_the_list_of_processes(self):
        """What other users see of a program that waits for a password."""
        t = Terminal("login", "-u", "anna", "--server", "http://127.0.0.1:1", env=self.env())
        t.expect("Password of anna")
        t.type(SECRET)
        with open(f"/proc/{t.process.pid}/cmdline", "rb") as file:
            self.assertNotIn(SECRET.encode(), file.read())
        t.type("\n")
        code, text = t.end()
        self.assertEqual(code, 1)
        self.assertNotIn(SECRET, text)
        # And no option takes one.
        for command in (["login"], ["account", "add"], ["account", "set"], ["password"], ["token", "add"]):
            shown = run(*command, "--help").stdout
            self.assertNotRegex(shown, r"--(password|secret|token) [A-Z]")


if __name__ == "__main__":
    main()
