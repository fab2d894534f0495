#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives the commands that look, take back and protect, against a registry that answers what each
test tells it to; and what is the same for all: where the registry is, hostile answers, help, man
pages, completion.

    test_commands.py PROGRAM SOURCE_DIR [unittest arguments]
"""
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import cli_lab
from cli_lab import API, DIGEST, OTHER, Case, Program, Terminal, items, main, problem, run

SOURCE = ""
TIME = "2026-11-21T09:15:00.123Z"
SHORT = "2026-11-21 09:15 UTC"

REPOSITORY = {"repository": "a/b", "tags": 1200, "manifests": 4, "created_at": TIME, "unique": 2048, "shared": 1024,
              "trash": 0, "pending": 0, "uploads": 0}
TAG = {"tag": "1.0", "digest": DIGEST, "media_type": "application/x", "size": 12582912, "tagged_at": TIME,
       "pulled_at": None, "protected": None}
RECEIPT = {"receipt": 17, "kind": "delete", "state": "sealed", "progress": {"done": 5, "total": 5}, "created_at": TIME,
           "sealed_at": TIME, "undoable_until": TIME, "plan": "p1", "undo_of": None, "now": False, "door": "ebb",
           "actor": "anonymous", "peer": "127.0.0.1", "rule": None, "reason": "because", "tags": 3, "manifests": 2,
           "blobs": 0, "items": 5, "skipped": 0, "undone": 0, "bytes_freed": 123, "bytes_kept": 456, "seq": 17,
           "hash": "00" * 32, "previous": "11" * 32, "signature": None}
UNDO = {**RECEIPT, "receipt": 18, "kind": "undo", "undo_of": 17}
NOT_FOUND = (404, problem("not-found", "there is no such thing"))


class Looking(Case):
    def test_ls(self):
        fake = self.fake({"GET /repositories": [items(REPOSITORY, next="a/b"), items({**REPOSITORY, "repository": "a/c"})] * 3})
        self.assertEqual(self.ebb(fake, "ls").stdout,
                         "REPOSITORY   TAGS  MANIFESTS   UNIQUE   SHARED  TRASH\n"
                         "a/b         1,200          4  2.0 KiB  1.0 KiB    0 B\n"
                         "a/c         1,200          4  2.0 KiB  1.0 KiB    0 B\n")
        self.assertEqual(self.tsv(fake, "ls")[1], ["a/c", "1200", "4", "2048", "1024", "0"])
        self.assertEqual(self.json(fake, "ls"), items(REPOSITORY, {**REPOSITORY, "repository": "a/c"}))
        self.assertEqual([q.get("after") for q, _ in fake.requests("GET /repositories")], [None, "a/b"] * 3)

    def test_ls_of_a_repository(self):
        fake = self.fake({"GET /tags": items(TAG), "GET /repositories": items()})
        self.assertEqual(self.ebb(fake, "ls", "a/b").stdout,
                         "TAG  DIGEST               SIZE      SET                   PULLED  PROTECTED\n"
                         f"1.0  sha256:abababababab  12.0 MiB  {SHORT}  -       -\n".replace("SIZE      SET", "    SIZE  SET"))
        self.assertEqual(self.tsv(fake, "ls", "a/b"), [["1.0", DIGEST, "12582912", TIME, "", ""]])
        self.assertEqual(self.json(fake, "ls", "a/b"), items(TAG))
        self.ebb(fake, "ls", "a/b/")
        self.ebb(fake, "ls", "a/b", "--repositories")
        self.assertEqual([q["prefix"] for q, _ in fake.requests("GET /repositories")], ["a/b", "a/b"])

    def test_ls_of_a_prefix(self):
        fake = self.fake({"GET /tags": NOT_FOUND, "GET /repositories": items()})
        self.assertEqual(self.ebb(fake, "ls", "a").stdout, "There are no repositories.\n")
        self.assertEqual(self.json(fake, "ls", "a"), items())
        self.assertEqual(self.tsv(fake, "ls", "a"), [])

    def test_ls_many(self):
        rows = [{**REPOSITORY, "repository": f"r{n}"} for n in range(1700)]
        fake = self.fake({"GET /repositories": items(*rows)})
        self.assertEqual(len(self.ebb(fake, "ls").stdout.splitlines()), 1701)
        self.assertEqual(len(self.json(fake, "ls")["items"]), 1700)

    def test_show(self):
        image = {"repository": "a/b", "digest": DIGEST, "media_type": "application/x", "size": 2048, "tags": ["1", "2"],
                 "blobs": [{"digest": OTHER, "size": 1024, "shared_with": ["x/y", "x/z"], "repositories": 8}], "children": [],
                 "subject": {"digest": "sha256:subject"}, "referrers": [{"digest": OTHER, "media_type": "y", "size": 5}], "holds": [], "bytes_freed": 1024}
        fake = self.fake({"GET /show": image})
        shown = self.ebb(fake, "show", "a/b:1").stdout
        for text in ("tags:           1, 2\n", "deleting frees: 1.0 KiB\n", "x/y, x/z and 6 more", "Referrers:", "subject:        sha256:subject"):
            self.assertIn(text, shown)
        self.assertNotIn("Children", shown)
        self.assertEqual(self.json(fake, "show", "a/b@" + DIGEST), image)
        self.assertEqual([q["reference"] for q, _ in fake.requests("GET /show")], ["a/b:1", "a/b@" + DIGEST])
        self.assertEqual(self.tsv(fake, "show", "a/b:1")[0][:2], ["a/b", DIGEST])
        self.assertEqual(self.ebb(self.fake({"GET /show": NOT_FOUND}), "show", "a:1", code=1).stderr,
                         "ebb show: there is no such thing\n")

    def test_du(self):
        below = {**REPOSITORY, "prefix": "a", "repositories": 2, "below": [{**REPOSITORY, "prefix": "a/b", "repositories": 1}]}
        usage = {**REPOSITORY, "prefix": "", "repositories": 3, "below": [below]}
        fake = self.fake({"GET /usage": usage})
        self.assertEqual([row[-1] for row in self.tsv(fake, "du")], ["a", ""])
        self.assertEqual([row[-1] for row in self.tsv(fake, "du", "--depth", "2")], ["a/b", "a", ""])
        self.assertIn("(all)\n", self.ebb(fake, "du", "x/").stdout)
        self.assertEqual(self.json(fake, "du"), usage)
        self.assertEqual([q for q, _ in fake.requests("GET /usage")],
                         [{"depth": "1"}, {"depth": "2"}, {"prefix": "x", "depth": "1"}, {"depth": "1"}])

    def test_why(self):
        answer = {"reference": DIGEST, "kind": "blob", "state": "trash", "size": 2048, "until": TIME, "more": True,
                  "keepers": [{"kind": "trash", "repository": "a/b", "digest": OTHER, "tag": None, "until": TIME, "text": "deleted"},
                              {"kind": "tag", "repository": "a/b", "digest": OTHER, "tag": "x", "until": None, "text": "named"}]}
        fake = self.fake({"GET /why": answer})
        shown = self.ebb(fake, "why", DIGEST).stdout
        for text in ("(blob, 2.0 KiB) lies in the trash until " + SHORT, "a/b@sha256:cdcdcdcdcdcd", "a/b:x", "and more"):
            self.assertIn(text, shown)
        self.assertEqual(self.json(fake, "why", "a/b:x"), answer)
        self.assertEqual(self.tsv(fake, "why", "a/b:x"), [["trash", "a/b@" + OTHER, TIME, "deleted"], ["tag", "a/b:x", "", "named"]])

    def test_why_free(self):
        item = {"kind": "untagged", "text": "images without a tag", "bytes_freed": 10737418240, "tags": 0, "manifests": 5, "plan": "p7"}
        fake = self.fake({"POST /proposals": (201, {"items": [item], "enough": True})})
        self.assertEqual(self.json(fake, "why", "--free", "10G")["items"], [item])
        self.assertIn("10.0 GiB     0       5  untagged  p7    images without a tag", self.ebb(fake, "why", "--free", "5").stdout)
        self.ebb(fake, "why", "--free", "5", "--now", "--prefix", "group/")
        self.assertEqual([b for _, b in fake.requests("POST /proposals")],
                         [{"bytes": 10 << 30, "now": False}, {"bytes": 5, "now": False}, {"bytes": 5, "now": True, "prefix": "group"}])
        fake = self.fake({"POST /proposals": {"items": [item], "enough": False}})
        self.assertIn("less than was asked for", self.ebb(fake, "why", "--free", "11G", code=1).stdout)

    def test_plan_show(self):
        from test_delete import GOES, PLAN
        fake = self.fake({"GET /plans/p1": PLAN, "GET /plans/p1/items": GOES})
        self.assertIn("Nothing was deleted. Until", self.ebb(fake, "plan", "show", "p1").stdout)
        self.assertEqual(self.json(fake, "plan", "show", "p1"), PLAN)
        self.assertEqual(self.tsv(fake, "plan", "show", "p1"), [["p1", "", "3", "2", "0", "12582912", "456", "0"]])
        self.assertEqual(self.json(fake, "plan", "show", "p1", "--items"), GOES)
        self.assertEqual(self.tsv(fake, "plan", "show", "p1", "--items")[0], ["tag", "goes", "selected", "a/b:1", DIGEST, "0", ""])


class Receipts(Case):
    def test_list(self):
        fake = self.fake({"GET /receipts": items(RECEIPT)})
        for command in (["receipts"], ["receipts", "ls"], ["receipts", "--repository", "a/b"]):
            self.assertIn("17       delete  sealed", self.ebb(fake, *command).stdout)
        self.assertEqual(self.json(fake, "receipts"), items(RECEIPT))
        self.assertEqual(self.tsv(fake, "receipts")[0][:3], ["17", "delete", "sealed"])
        self.assertEqual(fake.requests("GET /receipts")[2][0]["repository"], "a/b")

    def test_one(self):
        item = {"number": 1, "kind": "tag", "repository": "a/b", "tag": "1", "digest": DIGEST, "size": 0, "undone_by": None, "skipped": "why"}
        fake = self.fake({"GET /receipts/17": RECEIPT, "GET /receipts/17/items": items(item)})
        self.assertIn("reason:      because\n", self.ebb(fake, "receipt", "17").stdout)
        self.assertEqual(self.json(fake, "receipt", "17"), RECEIPT)
        self.assertEqual(self.json(fake, "receipt", "17", "--items"), items(item))
        self.assertEqual(self.tsv(fake, "receipt", "17", "--items"), [["1", "tag", "a/b", "1", DIGEST, "0", "", "why"]])
        open_ = self.fake({"GET /receipts/17": {**RECEIPT, "state": "open", "progress": {"done": 1, "total": 9}}})
        self.assertIn("progress: 1 of 9\n", self.ebb(open_, "receipt", "17").stdout)
        self.assertEqual(run("receipt", "x").returncode, 2)

    def test_undo(self):
        fake = self.fake({"POST /receipts/17/undo": UNDO})
        self.assertEqual(self.ebb(fake, "undo", "17").stdout, "Restored 3 tags, 2 images. Receipt 18\n")
        self.assertEqual(self.json(fake, "undo", "17", "--only", "a/b:1", "a/b@" + DIGEST, "--force", "--reason", "x"), UNDO)
        self.assertEqual(self.tsv(fake, "undo", "17", "--only", "a/b:1", "--as", "n"), [["18", "17", "3", "2", "0", "0"]])
        self.assertEqual([b for _, b in fake.requests("POST /receipts/17/undo")],
                         [{}, {"only": ["a/b:1", "a/b@" + DIGEST], "force": True, "reason": "x"}, {"only": ["a/b:1"], "as": "n"}])
        for args in (["undo"], ["undo", "x"], ["undo", "1", "2"], ["undo", "1", "--only", "A:1"]):
            self.assertEqual(run(*args).returncode, 2, args)

    def test_undo_conflicts(self):
        skipped = items({"kind": "tag", "repository": "a/b", "tag": "1", "digest": DIGEST, "skipped": "it was set again"})
        fake = self.fake({"POST /receipts/17/undo": {**UNDO, "skipped": 1}, "GET /receipts/18/items": skipped})
        self.assertIn("Skipped: a/b:1: it was set again\n", self.ebb(fake, "undo", "17", code=3).stdout)
        fake = self.fake({"POST /receipts/17/undo": {**UNDO, "skipped": 1, "tags": 0, "manifests": 0}, "GET /receipts/18/items": skipped})
        self.assertIn("nothing was restored; --force", self.ebb(fake, "undo", "17", code=1).stderr)
        fake = self.fake({"POST /receipts/17/undo": (410, problem("grace-over", "its grace ended yesterday"))})
        self.assertEqual(self.ebb(fake, "undo", "17", code=1).stderr, "ebb undo: its grace ended yesterday\n")

    def test_undo_followed(self):
        open_ = {**UNDO, "state": "open"}
        fake = self.fake({"POST /receipts/17/undo": (202, open_), "GET /receipts/18": [open_, UNDO]})
        self.assertEqual(self.json(fake, "undo", "17"), UNDO)

    def test_trash(self):
        item = {"kind": "manifest", "repository": "a/b", "digest": DIGEST, "size": 5, "receipt": 17, "deleted_at": TIME, "until": TIME, "tags": ["1", "2"]}
        fake = self.fake({"GET /trash": items(item), "POST /trash/restore": UNDO})
        self.assertIn("a/b         1, 2  sha256:abababababab", self.ebb(fake, "trash").stdout)
        self.assertEqual(self.json(fake, "trash", "ls", "a/"), items(item))
        self.assertEqual(fake.requests("GET /trash")[1][0]["prefix"], "a")
        self.assertEqual(self.json(fake, "trash", "restore", "a/b:1", "--as", "x"), UNDO)
        self.ebb(fake, "trash", "restore", "-", stdin="a/b:1\na/b:2\n")
        self.assertEqual([b for _, b in fake.requests("POST /trash/restore")],
                         [{"references": ["a/b:1"], "as": "x"}, {"references": ["a/b:1", "a/b:2"]}])
        self.assertEqual(self.ebb(self.fake({"GET /trash": items()}), "trash").stdout, "The trash is empty.\n")


class Verifying(Case):
    """A chain that is signed with a key of openssl's."""

    @classmethod
    def setUpClass(cls):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("no openssl")
        cls.folder = tempfile.mkdtemp(prefix="ebb-cli-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.public = cls.make_key("key")
        cls.foreign = cls.make_key("other")
        cls.chain = []
        previous = "00" * 32
        for seq in range(1, 4):
            hash_ = hashlib.sha256(bytes([seq])).hexdigest()
            cls.chain.append({**RECEIPT, "receipt": seq, "seq": seq, "hash": hash_, "previous": previous,
                              "signature": cls.sign("key", hash_)})
            previous = hash_

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    @classmethod
    def make_key(cls, name):
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", cls.path(name)], check=True)
        der = subprocess.run(["openssl", "pkey", "-in", cls.path(name), "-pubout", "-outform", "DER"], check=True,
                             capture_output=True).stdout
        return der[-32:].hex()

    @classmethod
    def sign(cls, name, hash_):
        with open(cls.path("hash"), "wb") as file:
            file.write(bytes.fromhex(hash_))
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", cls.path(name), "-in", cls.path("hash")],
                              check=True, capture_output=True).stdout.hex()

    def verify(self, chain, *args, answer=None, key=None, code=0):
        answer = answer or {"ok": True, "checked": len(chain), "last": None, "next": None, "wrong": []}
        fake = self.fake({"GET /receipts/key": {"algorithm": "ed25519", "public_key": key or self.public},
                          "GET /receipts/verify": answer, "GET /receipts": items(*reversed(chain))})
        return self.json(fake, "receipts", "verify", *args, code=code)

    def head(self, n):
        return f"{n}:{self.chain[n - 1]['hash']}"

    def test_whole(self):
        told = self.verify(self.chain)
        self.assertEqual(told, {"ok": True, "checked": 3, "key": self.public, "head": self.head(3), "wrong": []})
        self.verify(self.chain, "--key", self.public, "--head", self.head(2))
        self.verify(self.chain[1:])  # the oldest were dropped
        self.assertEqual(self.verify([])["head"], None)

    def test_open_receipts_are_not_of_the_chain(self):
        open_ = {**RECEIPT, "state": "open", "seq": None, "hash": None, "previous": None, "signature": None}
        self.assertEqual(self.verify([*self.chain, open_])["checked"], 3)

    def test_broken(self):
        changed = {**self.chain[1], "hash": "22" * 32}
        forged = {**self.chain[1], "signature": self.sign("other", self.chain[1]["hash"])}
        one, two, three = self.chain
        for chain, args, text in (([one, three], [], "gap"), ([one, changed, three], [], "signature is not by"),
                                  ([one, forged, three], [], "receipt 2: its signature"),
                                  ([one, {**two, "signature": None}, three], [], "is not signed"),
                                  ([one, {**two, "hash": None}, three], [], "has no hash"),
                                  ([one, two, {**three, "previous": "22" * 32}], [], "does not name the one before"),
                                  ([one, two], ["--head", self.head(3)], "number 3 of --head was removed"),
                                  ([], ["--head", self.head(3)], "number 3 of --head was removed"),
                                  ([two, three], ["--head", self.head(1)], "was dropped, as receipts.keep says"),
                                  (self.chain, ["--head", "3:" + "22" * 32], "another than the one of --head"),
                                  (self.chain, ["--key", self.foreign], "not with the key of --key")):
            with self.subTest(text=text):
                told = self.verify(chain, *args, code=1)
                self.assertFalse(told["ok"])
                self.assertIn(text, " ".join(told["wrong"]))

    def test_what_the_registry_finds(self):
        told = self.verify(self.chain, answer={"ok": False, "checked": 3, "last": None, "next": None, "wrong": [{"seq": 2, "receipt": 2, "text": "was changed"}]}, code=1)
        self.assertEqual(told["wrong"], ["receipt 2: was changed"])
        pages = [{"ok": True, "checked": 2, "last": {"seq": 2, "hash": "ab" * 32}, "next": 3, "wrong": []},
                 {"ok": False, "checked": 1, "last": {"seq": 3, "hash": "cd" * 32}, "next": None, "wrong": [{"seq": 3, "receipt": 4, "text": "its hash is another"}]}]
        fake = self.fake({"GET /receipts/key": {"algorithm": "ed25519", "public_key": self.public},
                          "GET /receipts/verify": pages, "GET /receipts": items(*self.chain)})
        done = self.ebb(fake, "receipts", "verify", code=1)
        self.assertIn('Wrong: receipt 4: its hash is another', done.stdout)
        self.assertEqual(fake.requests("GET /receipts/verify")[1][0], {"from": "3", "hash": "ab" * 32})

    def test_usage(self):
        for args in (["--key", "ab"], ["--head", "5"], ["--head", "0:" + "ab" * 32], ["--head", "5:abc"], ["x"]):
            self.assertEqual(run("receipts", "verify", *args).returncode, 2, args)


class Protecting(Case):
    RULE = {"rule": 3, "kind": "immutable", "repositories": "a/**", "tags": "v*", "reason": "r", "actor": "anonymous", "created_at": TIME}
    HOLD = {"hold": 4, "digest": DIGEST, "repository": "a/b", "until": None, "reason": "r", "actor": "anonymous", "created_at": TIME}

    def test_rules(self):
        fake = self.fake({"GET /rules": items(self.RULE), "POST /rules": (201, self.RULE), "DELETE /rules/3": (204, b"")})
        self.assertEqual(self.json(fake, "protect"), items(self.RULE))
        self.assertEqual(self.tsv(fake, "protect", "ls"), [["3", "immutable", "a/**", "v*", "anonymous", TIME, "r", "", ""]])
        self.assertEqual(self.json(fake, "protect", "add", "immutable", "a/**", "--tags", "v*", "--reason", "r"), self.RULE)
        self.ebb(fake, "protect", "add", "protected", "b")
        self.ebb(fake, "protect", "add", "read-only", "b")
        self.ebb(fake, "protect", "add", "levels", "b", "--tags", "v*", "--push-role", "maintainer", "--delete-role", "owner")
        self.assertEqual([b for _, b in fake.requests("POST /rules")],
                         [{"kind": "immutable", "repositories": "a/**", "tags": "v*", "reason": "r"},
                          {"kind": "protected", "repositories": "b", "tags": "*"}, {"kind": "read-only", "repositories": "b"},
                          {"kind": "levels", "repositories": "b", "tags": "v*", "push_role": "maintainer", "delete_role": "owner"}])
        self.assertEqual(self.ebb(fake, "protect", "rm", "3").stdout, "Ended rule 3.\n")
        self.assertEqual(self.json(fake, "protect", "rm", "3"), {"removed": [3]})
        self.assertEqual(self.json(fake, "protect", "rm", "3", "9", code=1), {"removed": [3]})
        for args in (["add"], ["add", "what", "a"], ["add", "read-only", "a", "--tags", "x"], ["rm"], ["add", "levels", "a"],
                     ["add", "immutable", "a", "--push-role", "owner"], ["rm", "x"], ["ls", "x"]):
            self.assertEqual(run("protect", *args).returncode, 2, args)

    def test_holds(self):
        fake = self.fake({"GET /holds": items(self.HOLD), "POST /holds": (201, self.HOLD), "DELETE /holds/4": (204, b""),
                          "GET /show": {"digest": OTHER}})
        self.assertEqual(self.json(fake, "hold"), items(self.HOLD))
        self.assertEqual(self.json(fake, "hold", "add", DIGEST, "--reason", "r"), self.HOLD)
        self.ebb(fake, "hold", "add", "a/b@" + DIGEST, "--reason", "r", "--until", "2027-01-31")
        self.ebb(fake, "hold", "add", "a/b:1", "--reason", "r", "--until", "30d")
        first, second, third = [b for _, b in fake.requests("POST /holds")]
        self.assertEqual(first, {"reason": "r", "digest": DIGEST})
        self.assertEqual(second, {"reason": "r", "until": "2027-01-31T00:00:00Z", "repository": "a/b", "digest": DIGEST})
        self.assertEqual((third["repository"], third["digest"]), ("a/b", OTHER))
        self.assertRegex(third["until"], r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
        self.assertEqual(self.tsv(fake, "hold", "rm", "4"), [["4"]])
        for args in (["add"], ["add", DIGEST], ["add", "x", "--reason", "r"], ["add", DIGEST, "--reason", "r", "--until", "soon"], ["rm", "x"]):
            self.assertEqual(run("hold", *args).returncode, 2, args)


class Reclaiming(Case):
    STATUS = {"state": "idle", "queued": 10, "due": 2, "oldest_due_at": None, "bytes_pending": 4096, "passes_started": 6, "passes_ended": 6, "doomed": {"names": 3, "bytes": 5},
              "last_pass": {"started_at": TIME, "ended_at": TIME, "manifests": 1, "blobs": 1, "links": 1, "uploads": 0, "names": 1, "bytes": 2048},
              "rate": {"objects": 1.5, "bytes": 1024.0}, "duty": 1.0, "failures": []}
    FAILURE = {"kind": "name", "object": "ab/cd", "failures": 3, "first_at": TIME, "next_at": TIME, "error": "disk\x07"}

    def after(self, **more):
        return {**self.STATUS, "due": 0, "passes_ended": 7, **more}

    def test_status(self):
        fake = self.fake({"GET /reclaim": {**self.STATUS, "failures": [self.FAILURE]}})
        shown = self.ebb(fake, "reclaim").stdout
        for text in ("state:           idle\n", "rate:            1.0 KiB/s\n", "files to remove: 3\n", "it freed:        2.0 KiB\n", "disk\\x07"):
            self.assertIn(text, shown)
        self.assertEqual(self.json(fake, "reclaim", "status")["failures"], [self.FAILURE])
        self.assertEqual(self.tsv(fake, "reclaim"), [["idle", "10", "2", "", "4096", "3", TIME, "2048", "1024", "1"]])

    def test_orders(self):
        for order in ("pause", "resume", "reset"):
            fake = self.fake({"GET /reclaim": self.STATUS, "POST /reclaim/" + order: {}})
            self.assertEqual(self.json(fake, "reclaim", order), self.STATUS)
            self.assertEqual(len(fake.requests("POST /reclaim/" + order)), 1)

    def test_run(self):
        fake = self.fake({"GET /reclaim": self.STATUS, "POST /reclaim/run": (202, {})})
        self.assertIn("A pass was started", self.ebb(fake, "reclaim", "run").stdout)

    def test_run_and_wait(self):
        running = {**self.STATUS, "state": "running"}
        fake = self.fake({"GET /reclaim": [self.STATUS, running, running, self.after()], "POST /reclaim/run": (202, {"pass": 7})})
        self.assertEqual(self.json(fake, "reclaim", "run", "--wait"), self.after())
        fake = self.fake({"GET /reclaim": [self.STATUS, self.after(failures=[self.FAILURE])], "POST /reclaim/run": (202, {"pass": 7})})
        self.ebb(fake, "reclaim", "run", "--wait", code=3)
        fake = self.fake({"GET /reclaim": {**self.STATUS, "state": "paused"}, "POST /reclaim/run": (202, {"pass": 7})})
        self.assertIn("is paused", self.ebb(fake, "reclaim", "run", "--wait", code=1).stderr)

    def test_bar(self):
        running = {**self.STATUS, "state": "running", "due": 5, "doomed": {"names": 0, "bytes": 0}}
        half = {**running, "due": 2}
        fake = self.fake({"GET /reclaim": [running, *[half] * 12, self.after()], "POST /reclaim/run": (202, {"pass": 7})})
        code, text = Terminal("reclaim", "run", "--wait", "--server", fake.url).end()
        self.assertEqual(code, 0)
        self.assertIn("reclaiming [##################............] 3 of 5", text)


class Registry(Case):
    """Where it is, and what it must not be able to do."""

    def test_where(self):
        fake = self.fake({"GET /repositories": items(REPOSITORY)})
        for args, env in ((["--server", fake.url + "/"], {}), ([], {"EBB_SERVER": fake.url}),
                          (["--server", fake.url], {"EBB_SERVER": "http://127.0.0.1:1"}), (["--server", fake.url[7:]], {})):
            self.assertEqual(run("ls", *args, env=env).returncode, 0, (args, env))
        done = run("ls", "--server", "http://127.0.0.1:1")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no answer from http://127.0.0.1:1", done.stderr)
        self.assertIn("--server URL or EBB_SERVER", done.stderr)
        for url in ("ftp://x", "file:///etc/passwd", "http://a b", "http://a/?x", "http://" + "a" * 2000):
            done = run("ls", "--server", url)
            self.assertEqual(done.returncode, 1, url)
            self.assertIn("--server: ", done.stderr)
        self.assertIn("EBB_SERVER: ", run("ls", env={"EBB_SERVER": "ftp://x"}).stderr)

    def test_connections(self):
        """One for all pages; one that the registry closed meanwhile does not matter."""
        for hang_up, connections in ((False, 1), (True, 3)):
            fake = self.fake({"GET /repositories": [items(REPOSITORY, next="a"), items(REPOSITORY, next="b"), items(REPOSITORY)]})
            fake.hang_up = hang_up
            self.assertEqual(len(self.tsv(fake, "ls")), 3)
            self.assertEqual(fake.connections, connections)

    def test_no_registry(self):
        for answer, text in (((404, b"<html>"), "answers 404 without saying why"), ((200, b"<html>"), "no JSON object"),
                             ((200, b"[]"), "no JSON object"), ((200, {"x": 1}), "what is no list"),
                             ((500, b""), "answers 500"), ((302, b""), "answers 302"),
                             ((200, {"items": [], "next": "x"}), "a list without an end"),
                             ((401, {"errors": [{"code": "UNAUTHORIZED", "message": "log in"}]}), "log in")):
            with self.subTest(text=text):
                self.assertIn(text, self.ebb(self.fake({"GET /repositories": answer}), "ls", code=1).stderr)

    def test_escapes(self):
        """Nothing that a registry says moves a cursor, whatever the form."""
        evil = "a\x1b]0;x\x07\r\n\t\x7f\u009b31m\u202e\\"
        row = {**REPOSITORY, "repository": evil}
        for form in ("table", "tsv", "json"):
            done = self.ebb(self.fake({"GET /repositories": items(row)}), "ls", "-o", form)
            self.assertNotRegex(done.stdout, "[\x00-\x08\x0b-\x1f]" if form != "tsv" else "[\x00-\x08\x0b-\x1f]")
            if form != "json":
                self.assertIn("a\\x1b]0;x\\x07\\x0d\\x0a\\x09\\x7f\\xc2\\x9b31m\\xe2\\x80\\xae\\", done.stdout)
        done = self.ebb(self.fake({"GET /repositories": (400, problem("x", evil))}), "ls", code=1)
        self.assertNotRegex(done.stderr, "[\x00-\x09\x0b-\x1f\x7f]")
        self.assertEqual(done.stderr.count("\n"), 1)
        image = {"repository": evil, "digest": evil, "tags": [evil], "blobs": [{"digest": evil, "shared_with": [evil]}], "size": 1}
        self.assertNotRegex(self.ebb(self.fake({"GET /show": image}), "show", "a:1").stdout, "[\x00-\x09\x0b-\x1f\x7f]")
        why = {"state": "kept", "kind": evil, "keepers": [{"kind": evil, "repository": evil, "text": evil}]}
        self.assertNotRegex(self.ebb(self.fake({"GET /why": why}), "why", "a:1").stdout, "[\x00-\x09\x0b-\x1f\x7f]")

    def test_full_disk(self):
        fake = self.fake({"GET /repositories": items(REPOSITORY)})
        for form in ("table", "json", "tsv"):
            with open("/dev/full", "w") as full:
                done = subprocess.run([Program.path, "ls", "--server", fake.url, "-o", form], stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("standard output", done.stderr)


@functools.cache
def shown_help(*command):
    return run(*command, "--help")


def commands(of=()):
    """Every command and sub-command, as the program lists them."""
    shown = shown_help(*of).stdout
    listed = re.search(r"\nCommands:\n((?:  .*\n)+)", shown)
    for line in listed[1].splitlines() if listed else []:
        name = (*of, line.split()[0])
        yield name
        yield from commands(name)


def options(*command):
    return re.findall(r"^ +(?:(-\w), )?(--[\w-]+)", shown_help(*command).stdout, re.M)


class Words(Case):
    ALL = ("serve ls show untag rm purge plan apply receipts receipt undo trash du why hold protect lock reclaim removal "
           "check login logout whoami account password token member visibility audit config completion version").split()

    def test_commands(self):
        self.assertEqual([c[0] for c in commands() if len(c) == 1], self.ALL)

    def test_help(self):
        for command in commands():
            with self.subTest(command=command):
                shown = shown_help(*command)
                self.assertEqual((shown.returncode, shown.stderr), (0, ""))
                self.assertEqual(run("help", *command).stdout, shown.stdout)
                self.assertLessEqual(max(map(len, shown.stdout.splitlines())), 90)
                if "Commands:" not in shown.stdout and command != ("version",):
                    self.assertIn("Examples:\n  ebb ", shown.stdout.replace("source <(ebb", "ebb "))

    def test_man_pages(self):
        """Each command has a page, and each option of --help stands in it."""
        for command in commands():
            path = os.path.join(SOURCE, "doc/man", f"ebb-{command[0]}.1")
            with self.subTest(command=command):
                with open(path) as file:
                    page = file.read().replace("\\-", "-")
                if len(command) > 1:
                    self.assertRegex(page, r"(?m)^\.Cm \S*.*\b" + command[1] + r"\b|^\.It Cm .*\b" + command[1])
                told = {word for line in page.splitlines() if "Fl " in line for word in line.split()}
                for letter, name in options(*command):
                    if name == "--help":
                        continue
                    self.assertIn(name[1:], told, (path, name))
                    if letter:
                        self.assertIn(letter[1:], told, (path, letter))
        with open(os.path.join(SOURCE, "doc/man/ebb.1")) as file:
            page = file.read()
        for name in self.ALL:
            self.assertIn(f".It Cm {name}", page)

    def test_json_is_documented(self):
        from test_delete import MEMBERS
        with open(os.path.join(SOURCE, "doc/man/ebb-rm.1")) as file:
            page = file.read()
        for member in MEMBERS:
            self.assertRegex(page, rf"(?m)^\.It (Va|Ic) .*\b{member}\b")

    def test_usage(self):
        for args in (["plan"], ["config"], ["plan", "x"], ["trash", "x"], ["completion"], ["completion", "fish"], ["ls", "a", "b"],
                     ["show"], ["show", "a"], ["du", "a", "b"], ["du", "--depth", "9"], ["why"], ["why", "a"], ["why", "a:1", "--free", "1G"], ["why", "a:1", "--prefix", "a"],
                     ["why", "--free", "much"], ["plan", "show"], ["receipts", "x"], ["trash", "restore"], ["reclaim", "run", "x"],
                     ["version", "x"], ["lock"], ["lock", "show"], ["lock", "set", "a"], ["lock", "set", "a", "--list", "--no-list"],
                     ["lock", "show", "A"], ["lock", "show", "a@sha256:x"], ["removal", "reset"], ["removal", "ls", "a", "b"],
                     ["login", "x"], ["logout", "x"], ["login", "--expires", "soon"], ["login", "--token-file", "x", "-u", "a"],
                     ["whoami", "a", "b"], ["account", "add"], ["account", "add", "a", "b"], ["account", "add", "a", "--robot", "--htpasswd"],
                     ["account", "add", "a", "--robot", "--password-stdin"], ["account", "set", "a"],
                     ["account", "set", "a", "--admin", "--no-admin"], ["account", "set", "a", "--enable", "--disable"],
                     ["account", "rm"], ["account", "show"], ["password", "x"], ["token", "add"], ["token", "rm"], ["token", "rm", "x"],
                     ["token", "add", "a", "--account", "b", "--deploy", "c"], ["token", "add", "a", "--deploy", "/"],
                     ["token", "add", "a", "--deploy", "b", "--prefix", "c"], ["token", "add", "a", "--expires", "x"],
                     ["member", "set", "a", "b"], ["member", "set", "a", "b", "administrator"], ["member", "rm", "a"],
                     ["member", "ls", "a", "b"], ["visibility", "public"], ["visibility", "unset"], ["visibility", "x"],
                     ["audit", "x"], ["audit", "-n", "x"]):
            with self.subTest(args=args):
                done = run(*args)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn("--help` shows what it takes.", done.stderr)


@functools.cache
def shown_script(shell):
    return subprocess.run([Program.path, "completion", shell], capture_output=True, text=True, check=True).stdout


class Completing(Case):
    def bash(self, *words):
        script = shown_script("bash")
        line = " ".join(f"'{w}'" for w in words)
        return subprocess.run(["bash", "-c", f"{script}\nCOMP_WORDS=({line})\nCOMP_CWORD={len(words) - 1}\n_ebb\n"
                               'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True).stdout.split()

    def test_bash(self):
        self.assertEqual(set(self.bash("ebb", "")), {*Words.ALL, "help"})
        self.assertEqual(self.bash("ebb", "rec"), ["receipts", "receipt", "reclaim"])
        self.assertEqual(self.bash("ebb", "receipts", ""), ["ls", "verify"])
        self.assertEqual(self.bash("ebb", "protect", "add", "im"), ["immutable"])
        self.assertEqual(self.bash("ebb", "member", "set", "group", "anna", ""), ["guest", "developer", "maintainer", "owner"])
        self.assertEqual(self.bash("ebb", "member", "set", "group", ""), [])
        self.assertEqual(self.bash("ebb", "account", ""), ["ls", "show", "add", "set", "rm"])
        self.assertEqual(self.bash("ebb", "login", "--pass"), ["--password-stdin"])
        self.assertEqual(self.bash("ebb", "rm", "-o", ""), ["table", "json", "tsv"])
        self.assertEqual(self.bash("ebb", "completion", ""), ["bash", "zsh"])
        for command in commands():
            wanted = {w for pair in options(*command) for w in pair if w}
            self.assertLessEqual(wanted, set(self.bash("ebb", *command, "-")), command)

    @unittest.skipUnless(shutil.which("zsh"), "no zsh")
    def test_zsh(self):
        """The table of the script, and that compinit takes it as a file and sourced."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "_ebb")
            with open(path, "w") as file:
                file.write(shown_script("zsh"))
            zsh = lambda text: subprocess.run(["zsh", "-f", "-c", text], capture_output=True, text=True, check=True, cwd=folder)
            start = f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -d {folder}/dump; "
            self.assertEqual(zsh(start + "print $_comps[ebb]").stdout, "_ebb\n")
            self.assertEqual(zsh(f"autoload -Uz compinit; compinit -u -d {folder}/dump2; source {path}; print $_comps[ebb]").stdout, "_ebb\n")
            table = lambda at: zsh(f"source {path}; local -a subcommands flags; _ebb_table '{at}'; "
                                   "print -l -- $subcommands; print -l -- ---; print -l -- $flags").stdout.split("---\n")
            walk = lambda *words: [line.split(":")[0] for line in zsh(
                f"source {path}; _describe() {{ [[ $1 == -o ]] && shift; print -l -- ${{(P)2}} }}; compadd() {{ print -l -- $@ }}; "
                f"words=(ebb {' '.join(words)} ''); CURRENT=$#words; PREFIX=; _ebb").stdout.split("\n") if line]
            self.assertEqual(walk(), [*Words.ALL, "help"])
            self.assertEqual(walk("receipts"), ["ls", "verify"])
            self.assertEqual(walk("rm", "-o"), ["table", "json", "tsv"])
            self.assertEqual(walk("member", "set", "group", "anna"), ["guest", "developer", "maintainer", "owner"])
            self.assertEqual(walk("protect", "add"), ["immutable", "protected", "read-only", "levels"])
            self.assertEqual([line.split(":")[0] for line in table("")[0].split("\n") if line], [*Words.ALL, "help"])
            for command in commands():
                wanted = {w for pair in options(*command) for w in pair if w}
                there = {line.split(":")[0] for line in table(" ".join(command))[1].split("\n")}
                self.assertLessEqual(wanted, there, command)


if __name__ == "__main__":
    SOURCE = os.path.abspath(sys.argv.pop(2))
    main()
