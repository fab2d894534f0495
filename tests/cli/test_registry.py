#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives the commands against a registry of the same build: what each test of the others has a fake
answer, a real one must answer, too.

    test_registry.py PROGRAM [unittest arguments]
"""
import json
import os
import shutil
import sys
import tempfile
import unittest

from cli_lab import Program, Terminal, main, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import registry  # noqa: E402

LAYER = b"a layer " * 5000


class Registry(unittest.TestCase):
    maxDiff = None
    SETTINGS = ["store.inline_size=4KiB", "reclaim.lease=1s", "reclaim.interval=1h", "deletion.max_percent=90"]

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ebb-cli-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.server = registry.Server(self.folder, Program.path, self.SETTINGS)
        self.server.start()
        self.addCleanup(self.server.stop)
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.url = f"http://127.0.0.1:{self.server.port}"

    def push(self, repo, tag, *layers):
        return self.client.push_image(repo, b'{"of": "%s"}' % tag.encode(), layers or [LAYER + tag.encode()], tag)

    def ebb(self, *args, code=0, stdin=None):
        done = run(*args, "--server", self.url, stdin=stdin)
        self.assertEqual(done.returncode, code, (args, done.stdout, done.stderr))
        return done

    def json(self, *args, code=0, stdin=None):
        return json.loads(self.ebb(*args, "-o", "json", code=code, stdin=stdin).stdout)

    def tags(self, repo):
        return self.client.tags(repo)

    def state(self):
        """Everything a client can see."""
        names = self.client.expect(200, "GET", "/v2/_catalog").json()["repositories"]
        return {(name, tag): self.client.get_manifest(name, tag) for name in names for tag in self.tags(name) or []}


class Deleting(Registry):
    def test_from_preview_to_undo(self):
        image = self.push("a/b", "1")
        self.client.push_manifest("a/b", image, "latest")
        self.push("a/b", "2")
        before = self.state()
        shown = self.ebb("rm", "a/b:1", "--dry-run").stdout
        self.assertIn("tagged 1, latest", shown)
        preview = self.json("rm", "a/b:1", "--dry-run")
        self.assertEqual((preview["receipt"], preview["tags"], preview["manifests"]), (None, 2, 1))
        self.ebb("rm", "a/b:1", code=1)
        self.assertEqual(self.state(), before)
        done = self.json("rm", "a/b:1", "--yes", "--reason", "because")
        self.assertEqual((done["tags"], done["manifests"], done["skipped"]), (2, 1, 0))
        self.assertEqual(done["bytes_freed"], preview["bytes_freed"])
        self.assertEqual(self.tags("a/b"), ["2"])
        receipt = self.json("receipt", str(done["receipt"]))
        self.assertEqual((receipt["state"], receipt["reason"], receipt["plan"]), ("sealed", "because", done["plan"]))
        self.assertEqual({i["tag"] for i in self.json("receipt", str(done["receipt"]), "--items")["items"]}, {"1", "latest", None})
        self.assertIn("a/b", self.ebb("trash").stdout)
        self.ebb("undo", str(done["receipt"]))
        self.assertEqual(self.state(), before)
        self.ebb("receipts")
        self.ebb("receipts", "--repository", "a/b", "-o", "tsv")

    def test_untag_and_input(self):
        self.push("a/b", "1")
        self.push("a/b", "2")
        self.push("a/b", "3")
        self.assertEqual(self.json("untag", "--yes", "-", stdin="# old\na/b:1\n\na/b:2\n")["tags"], 2)
        self.assertEqual(self.tags("a/b"), ["3"])

    def test_nothing_of_many_when_one_is_missing(self):
        self.push("a/b", "1")
        self.push("a/b", "2")
        self.assertNotEqual(self.ebb("untag", "--yes", "a/b:1", "a/b:9", code=1).stderr, "")
        self.assertEqual(self.tags("a/b"), ["1", "2"])

    def test_purge(self):
        for tag in ("pr-1", "pr-2", "pr-3", "v1"):
            self.push("ci/app", tag)
        done = self.json("purge", "ci/**", "--tags", "pr-.*", "--keep", "1", "--yes", "--confirm-tags", "2")
        self.assertEqual(done["tags"], 2)
        self.assertEqual(self.tags("ci/app"), ["pr-3", "v1"])
        self.assertEqual(self.json("purge", "ci/**", "--tags", "pr-.*", "--older-than", "7d", "--yes")["tags"], 0)
        self.assertIn("regular expression", self.ebb("purge", "ci/**", "--tags", "(", "--yes", code=1).stderr.lower())

    def test_every_tag_wants_its_number(self):
        self.push("a/b", "1")
        self.push("a/b", "2")
        self.assertIn("--confirm-tags 2", self.ebb("rm", "--repository", "a/b", "--yes", code=1).stderr)
        self.ebb("rm", "--repository", "a/b", "--yes", "--confirm-tags", "2")
        self.assertEqual(self.state(), {})

    def test_terminal(self):
        self.push("a/b", "1")
        self.push("a/b", "2")
        t = Terminal("rm", "a/b:1", "--server", self.url)
        t.expect("[y/N]")
        t.type("y\n")
        code, text = t.end()
        self.assertEqual(code, 0, text)
        self.assertIn("undo with: ebb undo 1", text)

    def test_now(self):
        self.push("a/b", "1")
        self.push("a/b", "2")
        freed = self.json("rm", "a/b:1", "--now", "--yes", code=1)["bytes_freed"]
        done = self.json("rm", "a/b:1", "--now", "--yes", "--bytes", str(freed))
        self.assertIsNone(done["undoable_until"])
        self.assertNotEqual(self.ebb("undo", str(done["receipt"]), code=1).stderr, "")

    def test_apply(self):
        self.push("a/b", "1")
        self.push("a/b", "2")
        plan = self.json("rm", "a/b:1", "--dry-run")["plan"]
        self.assertEqual(self.json("plan", "show", plan)["plan"], plan)
        self.assertEqual({i["kind"] for i in self.json("plan", "show", plan, "--items")["items"]}, {"tag", "manifest"})
        first = self.json("apply", plan, "--yes")
        self.assertEqual(self.json("apply", plan, "--yes")["receipt"], first["receipt"])
        self.assertNotEqual(self.ebb("apply", "0" * 32, "--yes", code=1).stderr, "")

    def test_skipped(self):
        """What moved between plan and apply stays."""
        self.push("a/b", "1")
        self.push("a/b", "2")
        self.push("a/b", "3")
        plan = self.json("untag", "a/b:1", "a/b:2", "--dry-run")["plan"]
        self.push("a/b", "1", b"another" * 3000)
        done = self.json("apply", plan, "--yes", code=3)
        self.assertGreater(done["skipped"], 0)
        self.assertEqual(self.tags("a/b"), ["1", "3"])

    def delete_and_push_again(self):
        """(the manifest that was deleted, the one that has its tag now, the receipt)"""
        old = self.push("a/b", "1")
        self.push("a/b", "2")
        receipt = str(self.json("rm", "a/b:1", "--yes")["receipt"])
        new = self.push("a/b", "1", b"new" * 9000)
        shown = self.ebb("undo", receipt, code=3).stdout
        self.assertIn("Skipped: a/b:1: it was set again", shown)
        self.assertEqual(self.client.head_manifest("a/b", "1"), new.digest)
        return old, new, receipt

    def test_undo_as(self):
        old, new, receipt = self.delete_and_push_again()
        self.ebb("undo", receipt, "--only", "a/b:1", "--as", "before")
        self.assertEqual(self.client.head_manifest("a/b", "before"), old.digest)
        self.assertEqual(self.client.head_manifest("a/b", "1"), new.digest)

    def test_undo_by_force(self):
        old, _, receipt = self.delete_and_push_again()
        self.ebb("undo", receipt, "--only", "a/b:1", "--force")
        self.assertEqual(self.client.head_manifest("a/b", "1"), old.digest)


class Looking(Registry):
    def test_ls_show_du_why(self):
        self.assertEqual(self.json("ls"), {"items": []})
        image = self.push("a/b", "1")
        self.client.push_manifest("a/b", image, "latest")
        self.push("x", "1", LAYER)
        self.assertEqual([r["repository"] for r in self.json("ls")["items"]], ["a/b", "x"])
        self.assertEqual([r["repository"] for r in self.json("ls", "a")["items"]], ["a/b"])
        self.assertEqual([t["tag"] for t in self.json("ls", "a/b")["items"]], ["1", "latest"])
        shown = self.ebb("show", "a/b:1").stdout
        self.assertIn("tags:           1, latest\n", shown)
        self.assertIn(registry.sha256(LAYER + b"1"), shown)
        self.assertEqual(self.json("show", "a/b:1")["digest"], image.digest)
        self.assertEqual(self.json("du")["repositories"], 2)
        self.assertEqual([row.split("\t")[-1] for row in self.ebb("du", "--depth", "2", "-o", "tsv").stdout.splitlines()], ["a/b", "a", "x", ""])
        self.assertEqual({k["tag"] for k in self.json("why", "a/b@" + image.digest)["keepers"]}, {"1", "latest"})
        self.ebb("why", registry.sha256(LAYER))
        self.ebb("why", "a/b:1")
        self.ebb("show", "a/b:9", code=1)
        self.ebb("ls", "nothing")

    def test_why_free(self):
        image = self.push("a/b", "1")
        self.push("a/b", "2")
        self.json("rm", "a/b@" + image.digest, "--yes")
        told = self.json("why", "--free", "1K")
        self.assertTrue(told["enough"])
        self.assertIn(told["items"][0]["kind"], ("trash", "untagged"))
        plan = told["items"][0]["plan"]
        bytes_ = self.json("plan", "show", plan)["bytes_freed"]
        self.ebb("apply", plan, "--yes", "--bytes", str(bytes_))
        self.ebb("why", "--free", "900T", code=1)

    def test_verify(self):
        for tag in "1234":
            self.push("a/b", tag)
        first = self.json("receipts", "verify")
        self.assertEqual((first["checked"], first["head"]), (0, None))
        for tag in "123":
            self.ebb("untag", "a/b:" + tag, "--yes")
        told = self.json("receipts", "verify")
        self.assertEqual((told["ok"], told["checked"], told["key"]), (True, 3, first["key"]))
        self.ebb("untag", "a/b:4", "--yes", "--confirm-tags", "1")
        self.ebb("receipts", "verify", "--key", told["key"], "--head", told["head"])
        self.ebb("receipts", "verify", "--head", told["head"][:-1] + ("0" if told["head"][-1] != "0" else "1"), code=1)
        self.ebb("receipts", "verify", "--key", "ab" * 32, code=1)


class Trash(Registry):
    def test_restore_and_empty(self):
        self.push("a/b", "1")
        self.push("a/b", "2")
        before = self.state()
        self.ebb("rm", "a/b:1", "--yes")
        self.ebb("trash", "restore", "a/b:1")
        self.assertEqual(self.state(), before)
        self.ebb("trash", "restore", "a/b:1", code=1)
        self.ebb("rm", "a/b:1", "--yes")
        freed = self.json("trash", "empty", "--dry-run")["bytes_freed"]
        self.assertGreater(freed, len(LAYER))
        self.ebb("trash", "empty", "--yes", code=1)
        self.ebb("trash", "empty", "--yes", "--bytes", str(freed))
        self.ebb("trash", "restore", "a/b:1", code=1)
        self.ebb("reclaim", "run", "--wait")
        self.assertEqual(self.json("trash"), {"items": []})


class Protecting(Registry):
    def test_rules_and_holds(self):
        self.push("a/b", "1")
        image = self.push("a/b", "2")
        self.push("a/b", "3")
        rule = self.json("protect", "add", "protected", "a/**", "--tags", "1", "--reason", "why not")["rule"]
        self.assertEqual([r["rule"] for r in self.json("protect")["items"]], [rule])
        self.assertIn("protected", self.ebb("rm", "a/b:1", "--yes", code=1).stderr)
        self.assertEqual(self.json("untag", "a/b:1", "a/b:3", "--yes", code=3)["protected"], 1)
        hold = self.json("hold", "add", "a/b:2", "--reason", "evidence", "--until", "30d")
        self.assertEqual((hold["digest"], hold["repository"]), (image.digest, "a/b"))
        self.ebb("rm", "a/b:2", "--yes", code=1)
        self.assertIn("hold", self.ebb("why", "a/b:2").stdout)
        self.ebb("hold", "rm", str(hold["hold"]))
        self.ebb("protect", "rm", str(rule))
        self.ebb("rm", "a/b:2", "--yes")
        self.assertEqual(self.json("hold"), {"items": []})
        self.ebb("protect", "rm", "99", code=1)
        self.ebb("protect", "add", "immutable", "a", "--tags", "re:(", code=1)


class Reclaiming(Registry):
    SETTINGS = [*Registry.SETTINGS, "reclaim.grace=0s"]

    def test_space_comes_back(self):
        self.push("a/b", "1")
        self.push("a/b", "2")
        self.ebb("rm", "a/b:1", "--yes")
        self.assertEqual(self.json("reclaim", "pause")["state"], "paused")
        self.ebb("reclaim", "run", "--wait", code=1)
        self.ebb("reclaim", "resume")

        def reclaimed():
            told = self.json("reclaim", "run", "--wait")
            return told["due"] == 0 and told["queued"] == 0
        registry.wait_for(reclaimed, "an empty queue")  # the lease of what was uploaded ends first
        self.ebb("reclaim", "reset")
        self.assertIn("state:", self.ebb("reclaim").stdout)
        self.assertEqual(self.json("du")["pending"], 0)


if __name__ == "__main__":
    main()
