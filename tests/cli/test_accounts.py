#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives the commands of accounts, tokens, roles, visibility, locks and the audit log: against a
registry that answers what a test tells it to, then against one of the same build.

    test_accounts.py PROGRAM [unittest arguments]
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from cli_lab import DIGEST, Case, Program, Terminal, clean_environment, items, main, problem, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import registry  # noqa: E402

SECRET = "ebb_secret-that-nobody-may-see"
WHEN = "2026-11-21T09:15:00.000Z"
LATER = "2027-02-19T09:15:00.000Z"
SELF = {"account": "anna", "kind": "person", "administrator": False, "token": None, "jwt": False,
        "roles": [{"prefix": "group", "role": "developer"}], "path": None, "role": None, "rights": None}
ACCOUNT = {"account": "anna", "kind": "person", "administrator": False, "disabled": False, "note": None, "created_at": WHEN,
           "used_at": None}
TOKEN = {"token": 7, "kind": "personal", "account": "anna", "name": "laptop", "prefix": "", "scopes": ["pull", "push"],
         "created_at": WHEN, "expires_at": LATER, "used_at": None, "created_by": "anna"}
NEW_TOKEN = {**TOKEN, "secret": SECRET, "user": "anna"}
MEMBER = {"prefix": "group", "account": "anna", "role": "developer", "created_at": WHEN, "created_by": "admin"}
LOCK = {"repository": "a/b", "tag": None, "digest": None, "delete": False, "write": True, "list": True, "read": True}
REMOVAL = {"repository": "a/b", "state": "failed", "failures": 10, "next_at": None, "actor": "anna", "peer": "192.0.2.1",
           "door": "gitlab", "error": "the disk is full"}
ENTRY = {"entry": 17, "at": WHEN, "actor": "anna", "peer": "192.0.2.7", "door": "ebb", "action": "account added", "object": "bob",
         "detail": None, "times": 1}


class Accounts(Case):
    def test_ls(self):
        fake = self.fake({"GET /accounts": [items(ACCOUNT, next="anna"), items({**ACCOUNT, "account": "bob", "used_at": WHEN})]})
        self.assertEqual(self.tsv(fake, "account"),
                         [["anna", "person", "false", "false", WHEN, "", ""], ["bob", "person", "false", "false", WHEN, WHEN, ""]])
        self.assertEqual(fake.requests("GET /accounts")[1][0], {"after": "anna"})
        self.assertIn("There are no accounts.", self.ebb(self.fake({"GET /accounts": items()}), "account", "ls").stdout)

    def test_show(self):
        fake = self.fake({"GET /accounts/anna": ACCOUNT})
        self.assertEqual(self.json(fake, "account", "show", "anna"), ACCOUNT)
        self.assertIn("administrator: false\n", self.ebb(fake, "account", "show", "anna").stdout)
        self.assertEqual(self.tsv(fake, "account", "show", "anna"), [["anna", "person", "false", "false", WHEN, "", ""]])
        no = self.fake({"GET /accounts/bob": (404, problem("account-unknown", 'there is no account "bob"'))})
        self.assertIn('there is no account "bob"', self.ebb(no, "account", "show", "bob", code=1).stderr)

    def test_add(self):
        fake = self.fake({"POST /accounts": (201, ACCOUNT)})
        self.assertEqual(self.json(fake, "account", "add", "anna", "--admin", "--note", "ünote", "--password-stdin", stdin="p\n"), ACCOUNT)
        self.tsv(fake, "account", "add", "ci", "--robot")
        self.ebb(fake, "account", "add", "hal", "--htpasswd")
        self.assertEqual([body for _, body in fake.requests("POST /accounts")],
                         [{"account": "anna", "kind": "person", "password": "p", "administrator": True, "note": "ünote"},
                          {"account": "ci", "kind": "robot", "administrator": False},
                          {"account": "hal", "kind": "htpasswd", "administrator": False}])
        self.assertIn("holds no password", self.ebb(fake, "account", "add", "x", "--password-stdin", code=1, stdin="").stderr)
        self.assertIn("--password-stdin", self.ebb(fake, "account", "add", "x", code=1).stderr)
        self.assertIn("more than 1024 bytes", self.ebb(fake, "account", "add", "x", "--password-stdin", code=1, stdin="x" * 2000).stderr)
        self.assertEqual(len(fake.asked), 3)

    def test_password_twice(self):
        fake = self.fake({"POST /accounts": (201, ACCOUNT)})
        for second, code in (("the same", 0), ("another", 1)):
            t = Terminal("account", "add", "anna", "--server", fake.url)
            t.expect("New password: ")
            t.type("the same\n")
            t.expect("The same again: ")
            t.type(second + "\n")
            ended, text = t.end()
            self.assertEqual(ended, code, text)
            self.assertNotIn(second, text.replace("The same again", ""))
        self.assertEqual([body["password"] for _, body in fake.requests("POST /accounts")], ["the same"])
        self.assertIn("the two are not the same", text)

    def test_set(self):
        fake = self.fake({"POST /accounts/anna": ACCOUNT})
        for args, body, stdin in ((["--disable"], {"disabled": True}, None), (["--enable", "--admin"], {"disabled": False, "administrator": True}, None),
                                  (["--no-admin", "--note", ""], {"administrator": False, "note": ""}, None),
                                  (["--password-stdin"], {"password": "new"}, "new\n")):
            self.ebb(fake, "account", "set", "anna", *args, stdin=stdin)
            self.assertEqual(fake.asked[-1], ("POST /accounts/anna", {}, body))

    def test_rm(self):
        fake = self.fake({"DELETE /accounts/anna": (204, b""), "DELETE /accounts/bob": (204, b""),
                          "DELETE /accounts/root": (409, problem("last-administrator", "nobody would be left"))})
        self.assertIn("--yes", self.ebb(fake, "account", "rm", "anna", code=1).stderr)
        self.assertEqual(fake.asked, [])
        for answer, code in (("n\n", 1), ("y\n", 0)):
            t = Terminal("account", "rm", "anna", "--server", fake.url)
            t.expect("Remove account anna with its tokens and roles, for good? [y/N]")
            t.type(answer)
            self.assertEqual(t.end()[0], code)
        self.assertEqual(len(fake.asked), 1)
        self.assertEqual(self.json(fake, "account", "rm", "anna", "bob", "-y"), {"removed": ["anna", "bob"]})
        done = self.ebb(fake, "account", "rm", "bob", "root", "anna", "--yes", "-o", "json", code=1)
        self.assertEqual(json.loads(done.stdout), {"removed": ["bob"]})
        self.assertIn("nobody would be left", done.stderr)
        self.assertEqual(self.ebb(fake, "account", "rm", "bob", "-y").stdout, "Removed account bob.\n")

    def test_names_are_no_paths(self):
        fake = self.fake({})
        self.ebb(fake, "account", "show", "../self", code=1)
        self.ebb(fake, "account", "rm", "a/../../b?c", "-y", code=1)
        self.assertEqual([name for name, *_ in fake.asked], ["GET /accounts/../self", "DELETE /accounts/a/../../b?c"])

    def test_password(self):
        fake = self.fake({"GET /self": SELF, "POST /accounts/anna": ACCOUNT})
        self.ebb(fake, "password", "--password-stdin", stdin="old\nnew\n")
        self.assertEqual(fake.asked[-1], ("POST /accounts/anna", {}, {"old_password": "old", "password": "new"}))
        t = Terminal("password", "--server", fake.url)
        for question, answer in (("Present password: ", "one"), ("New password: ", "two"), ("The same again: ", "two")):
            t.expect(question)
            t.type(answer + "\n")
        code, text = t.end()
        self.assertEqual(code, 0, text)
        self.assertIn("The password of anna is set.", text)
        self.assertNotRegex(text, "one|two")
        self.assertEqual(fake.asked[-1][2], {"old_password": "one", "password": "two"})
        self.assertIn("holds no password", self.ebb(fake, "password", "--password-stdin", code=1, stdin="old\n").stderr)
        for who in ({**SELF, "account": "anonymous", "kind": "anonymous"}, {**SELF, "kind": "robot"}):
            self.assertIn("has no password", self.ebb(self.fake({"GET /self": who}), "password", "--password-stdin", code=1, stdin="a\nb\n").stderr)


class Tokens(Case):
    def test_ls(self):
        fake = self.fake({"GET /tokens": items(TOKEN)})
        self.assertEqual(self.tsv(fake, "token"), [["7", "personal", "anna", "laptop", "pull,push", "", WHEN, LATER, "", "anna"]])
        self.ebb(fake, "token", "ls", "--account", "ci")
        self.ebb(fake, "token", "ls", "--deploy", "group/app/")
        self.assertEqual([query for query, _ in fake.requests("GET /tokens")], [{}, {"account": "ci"}, {"prefix": "group/app"}])

    def test_add(self):
        fake = self.fake({"POST /tokens": (201, NEW_TOKEN)})
        done = self.ebb(fake, "token", "add", "laptop")
        self.assertEqual(done.stdout, SECRET + "\n")
        self.assertNotIn(SECRET, done.stderr)
        self.assertIn(f"docker login -u anna {fake.url[7:]}", done.stderr)
        self.assertIn("good until 2027-02-19 09:15 UTC", done.stderr)
        done = self.ebb(fake, "token", "add", "l", "-o", "json")
        self.assertEqual((json.loads(done.stdout), done.stderr), (NEW_TOKEN, ""))
        self.assertEqual(self.tsv(fake, "token", "add", "l"), [["7", "anna", LATER, SECRET]])
        self.ebb(fake, "token", "add", "nightly", "--account", "ci", "--scopes", "push, delete", "--prefix", "group/", "--expires", "90d")
        self.ebb(fake, "token", "add", "cluster", "--deploy", "group/app")
        self.assertEqual([body for _, body in fake.requests("POST /tokens")][2:],
                         [{"name": "l", "scopes": ["pull"], "prefix": "", "deploy": False},
                          {"name": "nightly", "scopes": ["push", "delete"], "prefix": "group", "expires_in": "90d", "account": "ci", "deploy": False},
                          {"name": "cluster", "scopes": ["pull"], "prefix": "group/app", "deploy": True}])
        forever = self.fake({"POST /tokens": (201, {**NEW_TOKEN, "expires_at": None})})
        self.assertIn("good for ever", self.ebb(forever, "token", "add", "l").stderr)

    def test_add_to_a_full_disk(self):
        """Who captures it and gets nothing is told."""
        fake = self.fake({"POST /tokens": (201, NEW_TOKEN)})
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([Program.path, "token", "add", "l", "--server", fake.url], stdout=full, stderr=subprocess.PIPE, text=True,
                                  env=clean_environment())
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)

    def test_rm(self):
        fake = self.fake({"DELETE /tokens/7": (204, b""), "DELETE /tokens/8": (204, b"")})
        self.assertEqual(self.json(fake, "token", "rm", "7", "8"), {"removed": [7, 8]})
        self.assertEqual(self.ebb(fake, "token", "rm", "7").stdout, "Removed token 7.\n")
        self.assertEqual(self.tsv(fake, "token", "rm", "8"), [["8"]])


class Roles(Case):
    def test_member(self):
        fake = self.fake({"GET /members": items(MEMBER, {**MEMBER, "prefix": ""}), "POST /members": MEMBER, "DELETE /members": (204, b"")})
        self.assertEqual(self.tsv(fake, "member")[0], ["group", "anna", "developer", WHEN, "admin"])
        self.assertIn("\n/ ", self.ebb(fake, "member", "ls", "group/app/", "--inherited").stdout)
        self.ebb(fake, "member", "set", "/", "anna", "owner")
        self.assertEqual(self.json(fake, "member", "set", "group/", "anna", "developer"), MEMBER)
        self.assertEqual(self.json(fake, "member", "rm", "group", "anna"), {"removed": ["anna"]})
        self.assertEqual(self.ebb(fake, "member", "rm", "", "anna").stdout, "anna has no role on / any more.\n")
        self.assertEqual(fake.asked, [("GET /members", {"prefix": ""}, None), ("GET /members", {"prefix": "group/app", "inherited": "true"}, None),
                                      ("POST /members", {}, {"prefix": "", "account": "anna", "role": "owner"}),
                                      ("POST /members", {}, {"prefix": "group", "account": "anna", "role": "developer"}),
                                      ("DELETE /members", {"prefix": "group", "account": "anna"}, None),
                                      ("DELETE /members", {"prefix": "", "account": "anna"}, None)])

    def test_visibility(self):
        base = {"prefix": "base", "public": True}
        fake = self.fake({"GET /visibility": items(base), "POST /visibility": base, "DELETE /visibility": (204, b"")})
        self.assertEqual(self.tsv(fake, "visibility", "ls", "base/"), [["base", "true"]])
        self.assertIn("public", self.ebb(fake, "visibility").stdout)
        self.assertEqual(self.json(fake, "visibility", "public", "base"), base)
        self.ebb(fake, "visibility", "private", "/")
        self.assertEqual(self.json(fake, "visibility", "unset", "base/x"), {"removed": ["base/x"]})
        self.assertEqual(fake.asked, [("GET /visibility", {"prefix": "base"}, None), ("GET /visibility", {"prefix": ""}, None),
                                      ("POST /visibility", {}, {"prefix": "base", "public": True}),
                                      ("POST /visibility", {}, {"prefix": "", "public": False}),
                                      ("DELETE /visibility", {"prefix": "base/x"}, None)])

    def test_whoami(self):
        fake = self.fake({"GET /self": SELF})
        shown = self.ebb(fake, "whoami").stdout
        self.assertIn("account:       anna\n", shown)
        self.assertIn("group   developer", shown)
        self.assertNotIn("scopes", shown)
        self.assertNotIn("rights", shown)
        there = {**SELF, "token": {**TOKEN, "scopes": ["pull"]}, "path": "a/b", "role": "guest", "rights": ["pull"]}
        fake = self.fake({"GET /self": there})
        self.assertIn("rights:        pull\n", self.ebb(fake, "whoami", "a/b/").stdout)
        self.assertEqual(fake.asked[-1][1], {"path": "a/b"})
        self.assertEqual(self.tsv(fake, "whoami", "a/b"), [["anna", "person", "false", "7", "pull", "", LATER, "a/b", "guest", "pull"]])
        self.assertEqual(self.json(fake, "whoami", "a/b"), there)

    def test_audit(self):
        fake = self.fake({"GET /audit": [items(*[{**ENTRY, "entry": n} for n in range(90, 40, -1)], next="41"),
                                         items(*[{**ENTRY, "entry": n} for n in range(40, 0, -1)])]})
        self.assertEqual(self.tsv(fake, "audit", "-n", "60", "--actor", "anna", "--action", "account added")[59],
                         ["31", WHEN, "anna", "192.0.2.7", "ebb", "account added", "bob", "1", ""])
        self.assertEqual(fake.asked[0][1], {"actor": "anna", "action": "account added", "n": "60"})
        fake = self.fake({"GET /audit": [items(ENTRY, next="1"), items(*[ENTRY] * 150)]})
        self.assertEqual(len(self.json(fake, "audit")["items"]), 100)
        fake = self.fake({"GET /audit": [items(ENTRY, next="1"), items(*[ENTRY] * 150)]})
        self.assertEqual(len(self.json(fake, "audit", "-n", "0")["items"]), 151)

    def test_lock(self):
        fake = self.fake({"GET /locks": LOCK, "POST /locks": LOCK})
        self.assertEqual(self.tsv(fake, "lock", "show", "a/b"), [["a/b", "", "", "false", "true", "true", "true"]])
        self.ebb(fake, "lock", "show", "a/b:1")
        self.assertEqual(self.json(fake, "lock", "set", "a/b@" + DIGEST, "--no-delete", "--write", "--no-list", "--read"), LOCK)
        self.assertEqual(fake.asked, [("GET /locks", {"repository": "a/b"}, None), ("GET /locks", {"repository": "a/b", "tag": "1"}, None),
                                      ("POST /locks", {}, {"repository": "a/b", "digest": DIGEST, "delete": False, "write": True,
                                                           "list": False, "read": True})])

    def test_removal(self):
        fake = self.fake({"GET /removals": items(REMOVAL), "POST /removals/reset": {**REMOVAL, "state": "scheduled"}})
        self.assertEqual(self.tsv(fake, "removal", "ls", "a"), [["a/b", "failed", "10", "", "anna", "gitlab", "the disk is full"]])
        self.assertEqual(self.ebb(fake, "removal", "reset", "a/b").stdout, "Trying again to delete a/b.\n")
        self.assertEqual(self.json(fake, "removal", "reset", "a/b")["reset"][0]["state"], "scheduled")
        self.assertEqual(fake.asked[-1], ("POST /removals/reset", {}, {"repository": "a/b"}))

    def test_not_utf8(self):
        fake = self.fake({})
        for args in (["account", "set", "a", "--note", b"\xff"], ["member", "set", b"\xff", "a", "guest"], ["token", "add", b"\xff"],
                     ["removal", "reset", b"\xff"]):
            done = subprocess.run([Program.path, *args, "--server", fake.url], capture_output=True, env=clean_environment())
            self.assertEqual(done.returncode, 2, args)
            self.assertIn(b"not UTF-8", done.stderr)
        self.assertEqual(fake.asked, [])


class Registry(unittest.TestCase):
    """A real one, in which `admin` is kept as who asks."""
    maxDiff = None
    SETTINGS = ["auth.mode=accounts"]
    PASSWORD = "the administrator's"
    SCHEME = "http"

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ebb-cli-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.config = os.path.join(self.folder, "config")
        self.server = registry.Server(self.folder, Program.path, self.settings(), environment={"EBB_ADMIN_PASSWORD": self.PASSWORD})
        self.start()
        self.addCleanup(self.server.stop)
        self.url = f"{self.SCHEME}://127.0.0.1:{self.server.port}"

    def settings(self):
        return self.SETTINGS

    def start(self):
        self.server.start()

    def try_ebb(self, *args, stdin=None, **env):
        return run(*args, "--server", self.url, stdin=stdin, env={"XDG_CONFIG_HOME": self.config, **env})

    def ebb(self, *args, code=0, stdin=None, **env):
        done = self.try_ebb(*args, stdin=stdin, **env)
        self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
        return done

    def json(self, *args, code=0, **more):
        return json.loads(self.ebb(*args, "-o", "json", code=code, **more).stdout)

    def log_in(self):
        self.ebb("login", "-u", "admin", EBB_PASSWORD=self.PASSWORD)

    def push(self, repo, tag):
        client = self.server.client()
        client.headers["Authorization"] = "Bearer " + self.token(["pull", "push"])
        manifest = client.push_image(repo, b'{"of": "%s"}' % tag.encode(), [b"a layer " * 1000 + tag.encode()], tag)
        client.close()
        return manifest.digest

    def token(self, scopes, *more):
        return self.ebb("token", "add", "t", "--scopes", ",".join(scopes), *more).stdout.strip()


class LoggedIn(Registry):
    def setUp(self):
        super().setUp()
        self.log_in()

    def test_login_and_logout(self):
        who = self.json("whoami")
        self.assertEqual((who["account"], who["administrator"], who["token"]["scopes"]), ("admin", True, ["admin"]))
        first, = self.json("token")["items"]
        self.assertRegex(first["name"], "^ebb on .")
        self.log_in()
        second, = self.json("token")["items"]
        self.assertNotEqual(first["token"], second["token"])
        self.ebb("logout")
        self.assertEqual(self.json("whoami")["account"], "anonymous")
        self.assertIn("wants to know who asks", self.ebb("token", code=1).stderr)
        self.assertEqual(self.json("token", EBB_USER="admin", EBB_PASSWORD=self.PASSWORD)["items"], [])
        self.assertEqual(self.json("whoami", "-u", "admin", EBB_PASSWORD=self.PASSWORD)["account"], "admin")
        self.assertIn("`ebb login", self.ebb("whoami", code=1, EBB_USER="admin", EBB_PASSWORD="wrong one").stderr)
        self.assertIn("`ebb login", self.ebb("whoami", code=1, EBB_TOKEN="wrong").stderr)

    def test_accounts(self):
        self.assertEqual(self.json("account", "add", "anna", "--note", "of the tests", "--password-stdin", stdin="annas password\n")["kind"], "person")
        self.assertEqual(self.json("account", "add", "ci", "--robot")["kind"], "robot")
        self.assertEqual([a["account"] for a in self.json("account")["items"]], ["admin", "anna", "ci"])
        self.assertNotEqual(self.ebb("account", "add", "anna", "--robot", code=1).stderr, "")
        self.assertNotEqual(self.ebb("account", "add", "no/name", "--robot", code=1).stderr, "")
        self.assertIn("8", self.ebb("account", "add", "hal", "--password-stdin", code=1, stdin="short\n").stderr)
        anna = {"EBB_USER": "anna", "EBB_PASSWORD": "annas password"}
        self.assertEqual(self.json("whoami", **anna)["account"], "anna")
        self.assertEqual(self.json("account", "show", "anna", **anna)["note"], "of the tests")
        self.assertNotEqual(self.ebb("account", "ls", code=1, **anna).stderr, "")
        self.assertTrue(self.json("account", "set", "anna", "--disable")["disabled"])
        self.ebb("whoami", code=1, **anna)
        self.ebb("account", "set", "anna", "--enable", "--admin")
        self.ebb("account", "ls", **anna)
        self.ebb("account", "set", "anna", "--password-stdin", stdin="another password\n")
        self.ebb("whoami", code=1, **anna)
        self.ebb("account", "rm", "anna", "ci", "--yes")
        self.assertEqual([a["account"] for a in self.json("account")["items"]], ["admin"])
        self.assertNotEqual(self.ebb("account", "rm", "admin", "--yes", code=1).stderr, "")
        self.assertIn("bob", self.ebb("account", "show", "bob", code=1).stderr)

    def test_own_password(self):
        wrong = self.ebb("password", "--password-stdin", code=1, stdin="not it at all\nthe new one\n").stderr
        self.assertIn("password", wrong)
        self.ebb("password", "--password-stdin", stdin=self.PASSWORD + "\nthe new one\n")
        self.ebb("whoami", code=1, EBB_USER="admin", EBB_PASSWORD=self.PASSWORD)
        self.assertEqual(self.json("whoami", EBB_USER="admin", EBB_PASSWORD="the new one")["account"], "admin")
        self.assertEqual(self.json("whoami")["account"], "admin")  # tokens stay good

    def test_tokens(self):
        self.ebb("account", "add", "ci", "--robot")
        self.ebb("member", "set", "group", "ci", "maintainer")
        secret = self.token(["pull"], "--account", "ci", "--prefix", "group/app", "--expires", "1d")
        path = os.path.join(self.folder, "token")
        with open(path, "w", encoding="utf-8") as file:
            file.write(secret + "\n")
        self.assertEqual(self.json("whoami", "group/app", "--token-file", path)["rights"], ["pull"])
        self.assertEqual(self.json("whoami", "group/other", EBB_TOKEN=secret)["rights"], [])
        listed, = self.json("token", "ls", "--account", "ci")["items"]
        self.assertEqual((listed["scopes"], listed["prefix"], listed["account"]), (["pull"], "group/app", "ci"))
        self.assertNotIn(secret, json.dumps(listed))
        self.assertNotEqual(self.ebb("token", "add", "more", "--scopes", "push", code=1, EBB_TOKEN=secret).stderr, "")
        self.ebb("token", "rm", str(listed["token"]))
        self.assertIn("`ebb login", self.ebb("whoami", code=1, EBB_TOKEN=secret).stderr)
        self.assertNotEqual(self.ebb("token", "rm", "999", code=1).stderr, "")
        self.assertIn("scope", self.ebb("token", "add", "x", "--scopes", "fly", code=1).stderr)

    def test_lasting_longer(self):
        """Not by the token of the log-in; by the password."""
        self.assertIn("longer", self.ebb("token", "add", "x", "--expires", "365d", code=1).stderr)
        made = self.json("token", "add", "x", "--expires", "365d", "-u", "admin", EBB_PASSWORD=self.PASSWORD)
        self.assertEqual(made["scopes"], ["pull"])
        self.assertIsNone(self.json("token", "add", "y", "-u", "admin", EBB_PASSWORD=self.PASSWORD)["expires_at"])
        self.assertIsNotNone(self.json("token", "add", "z")["expires_at"])

    def test_robot_logs_in(self):
        self.ebb("account", "add", "ci", "--robot")
        path = os.path.join(self.folder, "token")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.token(["push"], "--account", "ci"))
        self.ebb("logout")
        self.ebb("login", "--token-file", path)
        self.assertEqual(self.json("whoami")["account"], "ci")
        self.ebb("logout")
        self.assertEqual(self.json("whoami", "--token-file", path)["account"], "ci")

    def test_deploy_token(self):
        made = self.json("token", "add", "cluster", "--deploy", "group/app")
        self.assertEqual((made["kind"], made["account"], made["prefix"]), ("deploy", None, "group/app"))
        who = self.json("whoami", "group/app/x", EBB_TOKEN=made["secret"])
        self.assertEqual((who["account"], who["rights"]), (f"deploy-token-{made['token']}", ["pull"]))
        self.assertEqual([t["token"] for t in self.json("token", "ls", "--deploy", "group")["items"]], [made["token"]])
        self.assertEqual(self.json("whoami", EBB_USER=made["user"], EBB_PASSWORD=made["secret"])["kind"], "deploy-token")

    def test_members(self):
        self.ebb("account", "add", "anna", "--password-stdin", stdin="annas password\n")
        anna = {"EBB_USER": "anna", "EBB_PASSWORD": "annas password"}
        self.push("group/app", "1")
        self.assertEqual(self.json("ls", **anna)["items"], [])
        self.ebb("member", "set", "group", "anna", "guest")
        self.ebb("member", "set", "/", "admin", "owner")
        self.assertEqual([r["repository"] for r in self.json("ls", **anna)["items"]], ["group/app"])
        self.assertEqual(self.json("whoami", "group/app", **anna)["rights"], ["pull"])
        refused = self.ebb("rm", "group/app:1", "--yes", code=1, **anna).stderr
        self.assertIn('the right "delete" on "group/app"', refused)
        self.assertIn('the right "members" on "other"', self.ebb("member", "ls", "other", code=1, **anna).stderr)
        self.assertIn("administrator", self.ebb("reclaim", code=1, **anna).stderr)
        self.assertEqual([(m["prefix"], m["account"]) for m in self.json("member", "ls", "group/app", "--inherited")["items"]],
                         [("group", "anna"), ("", "admin")])
        self.assertEqual(self.json("member")["items"][0]["prefix"], "")
        self.ebb("member", "set", "group", "anna", "maintainer")
        self.push("group/app", "2")
        self.ebb("rm", "group/app:1", "--yes", **anna)
        self.assertEqual(self.json("receipts")["items"][0]["actor"], "anna")
        self.ebb("member", "rm", "group", "anna")
        self.assertEqual(self.json("ls", **anna)["items"], [])
        self.assertNotEqual(self.ebb("member", "rm", "group", "anna", code=1).stderr, "")
        self.assertNotEqual(self.ebb("member", "set", "group", "nobody", "guest", code=1).stderr, "")

    def test_visibility(self):
        self.push("base/debian", "12")
        nobody = {"XDG_CONFIG_HOME": self.folder}
        self.assertIn("who asks", self.ebb("show", "base/debian:12", code=1, **nobody).stderr)
        self.assertEqual(self.json("visibility", "public", "base"), {"prefix": "base", "public": True})
        self.ebb("show", "base/debian:12", **nobody)
        self.ebb("visibility", "private", "base/debian")
        self.ebb("show", "base/debian:12", code=1, **nobody)
        self.assertEqual(self.json("visibility", "ls")["items"], [{"prefix": "base", "public": True}, {"prefix": "base/debian", "public": False}])
        self.ebb("visibility", "unset", "base/debian")
        self.ebb("show", "base/debian:12", **nobody)
        self.assertNotEqual(self.ebb("visibility", "unset", "base/debian", code=1).stderr, "")

    def test_audit(self):
        self.ebb("account", "add", "ci", "--robot")
        self.ebb("member", "set", "group", "ci", "guest")
        self.ebb("whoami", code=1, EBB_USER="admin", EBB_PASSWORD="wrong password")
        entries = self.json("audit", "--actor", "admin")["items"]
        self.assertIn(("account added", "ci"), {(e["action"], e["object"]) for e in entries})
        self.assertEqual(self.json("audit", "--action", "member set")["items"][0]["actor"], "admin")
        self.assertEqual(len(self.json("audit", "-n", "1")["items"]), 1)
        registry.wait_for(lambda: self.json("audit", "--action", "log-in failed")["items"], "the failed log-in in the audit log")

    def test_lock(self):
        self.push("a/b", "1")
        self.push("a/b", "2")
        self.assertEqual(self.json("lock", "show", "a/b:1")["delete"], True)
        self.assertEqual(self.json("lock", "set", "a/b:1", "--no-delete")["delete"], False)
        self.assertNotEqual(self.ebb("untag", "a/b:1", "--yes", code=1).stderr, "")
        self.ebb("lock", "set", "a/b:1", "--delete")
        self.ebb("untag", "a/b:1", "--yes")
        self.assertNotEqual(self.ebb("lock", "show", "a/b:9", code=1).stderr, "")
        self.ebb("lock", "set", "a/b", "--no-write")
        self.assertEqual(self.json("lock", "show", "a/b")["write"], False)

    def test_removal(self):
        self.assertEqual(self.json("removal")["items"], [])
        self.assertNotEqual(self.ebb("removal", "reset", "a/b", code=1).stderr, "")

    def test_check(self):
        done = run("check", self.url, env={"XDG_CONFIG_HOME": self.config})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("`ebb login", run("check", self.url).stderr)

    def test_slowed(self):
        """After so many wrong passwords it says how long to wait."""
        for _ in range(30):
            done = self.try_ebb("whoami", EBB_USER="admin", EBB_PASSWORD="wrong password")
            self.assertEqual(done.returncode, 1)
            if "try again in" in done.stderr:
                break
        self.assertRegex(done.stderr, r"try again in \d+ s")

    def test_no_secret_in_the_log(self):
        secret = self.token(["pull"])
        self.ebb("whoami", EBB_TOKEN=secret)
        self.ebb("whoami", code=1, EBB_TOKEN=secret + "x")
        self.ebb("whoami", code=1, EBB_USER="admin", EBB_PASSWORD="a-wrong-password")
        with open(os.path.join(self.config, "ebb/credentials.json"), encoding="utf-8") as file:
            kept = json.load(file)["servers"][self.url]["token"]
        for text in (secret, kept, self.PASSWORD, "a-wrong-password"):
            self.assertNotIn(text, self.server.log())


class Open(Registry):
    """Without accounts there is nothing to set."""
    SETTINGS = []

    def test_refused(self):
        for args in (["account"], ["account", "add", "ci", "--robot"], ["token"], ["member"], ["member", "set", "a", "b", "guest"],
                     ["visibility"], ["visibility", "public", "a"], ["audit"], ["whoami"]):
            self.assertIn("auth.mode", self.ebb(*args, code=1).stderr, args)
        self.assertIn("nothing to log in to", self.ebb("login", "-u", "a", code=1, EBB_PASSWORD="x").stderr)
        self.ebb("ls", EBB_TOKEN="whatever")
        self.assertEqual(self.json("removal")["items"], [])


class Encrypted(Registry):
    """By a certificate of one's own."""
    SCHEME = "https"

    def settings(self):
        self.certificate = os.path.join(self.folder, "cert.pem")
        key = os.path.join(self.folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", self.certificate],
                       check=True, capture_output=True)
        return [*self.SETTINGS, "tls.cert=" + self.certificate, "tls.key=" + key]

    def start(self):
        self.server.spawn()
        address = registry.wait_for(self.server._address, "the server's address")
        self.server.port = int(address.rsplit(":", 1)[1])
        registry.wait_for(lambda: '"started"' in self.server.log(), "the server's start")

    def test_ca(self):
        wrong = self.ebb("login", "-u", "admin", code=1, EBB_PASSWORD=self.PASSWORD).stderr
        self.assertIn("--ca FILE or EBB_CA", wrong)
        self.ebb("login", "-u", "admin", "--ca", self.certificate, EBB_PASSWORD=self.PASSWORD)
        self.assertEqual(self.json("whoami", EBB_CA=self.certificate)["account"], "admin")
        self.assertEqual(self.json("whoami", "--ca", self.certificate, EBB_CA="/none")["account"], "admin")
        self.ebb("whoami", "--ca", "/none", code=1)
        done = run("check", self.url, "--ca", self.certificate, env={"XDG_CONFIG_HOME": self.config})
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    main()
