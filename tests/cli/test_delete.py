#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives the commands that delete against a registry that answers what each test tells it to:
confirming with and without a terminal, what comes out, and exit codes.

    test_delete.py PROGRAM [unittest arguments]
"""
import json
import signal

from cli_lab import DIGEST, OTHER, Case, Terminal, items, main, problem, run

UNTIL = "2026-11-22T09:15:00.123Z"

PLAN = {"plan": "p1", "created_at": "2026-11-21T09:15:00.123Z", "expires_at": "2026-11-21T10:15:00.123Z",
        "now": False, "reason": None, "tags": 3, "manifests": 2, "blobs": 0, "repositories": 1,
        "bytes_freed": 12582912, "bytes_later": 0, "later_until": None, "bytes_kept": 456, "confirm": None,
        "protected": 0, "retained": {"newest": 5, "young": 0, "pulled": 0, "name": 1, "unknown": 0, "unclear": 0},
        "warnings": [{"code": "newest-tag", "repository": "a/b", "text": "b:3 is the newest tag of a/b"}],
        "kept": [{"digest": OTHER, "size": 456, "by": [{"repository": "x/y", "digest": OTHER, "tag": "base",
                                                       "why": "used by a tagged image"}]}],
        "receipt": None}
GOES = items({"kind": "tag", "role": "selected", "state": "goes", "repository": "a/b", "tag": "1", "digest": DIGEST, "size": 0},
             {"kind": "tag", "role": "selected", "state": "goes", "repository": "a/b", "tag": "latest", "digest": DIGEST, "size": 0},
             {"kind": "manifest", "role": "selected", "state": "goes", "repository": "a/b", "tag": None, "digest": DIGEST, "size": 2048},
             {"kind": "manifest", "role": "with", "state": "goes", "repository": "a/b", "tag": None, "digest": OTHER, "size": 512},
             {"kind": "tag", "role": "selected", "state": "goes", "repository": "a/b", "tag": "alone", "digest": "sha256:" + "ef" * 32, "size": 0})
RECEIPT = {"receipt": 17, "kind": "delete", "state": "sealed", "progress": {"done": 5, "total": 5},
           "undoable_until": UNTIL, "plan": "p1", "undo_of": None, "now": False, "tags": 3, "manifests": 2,
           "blobs": 0, "items": 5, "skipped": 0, "undone": 0, "bytes_freed": 12582912, "bytes_kept": 456}

# What ebb-rm(1) promises of JSON.
MEMBERS = {"plan", "receipt", "tags", "manifests", "blobs", "bytes_freed", "bytes_kept", "skipped",
           "undoable_until", "bytes_later", "later_until", "protected", "now", "confirm", "retained",
           "warnings", "kept"}


def registry(case, plan=None, receipt=None, **more):
    """One that makes `plan`, and gives `receipt` for it."""
    plan = {**PLAN, **(plan or {})}
    return case.fake({"POST /plans": (201, plan), "GET /plans/p1": plan, "GET /plans/p1/items": GOES,
                      "POST /plans/p1/apply": {**RECEIPT, **(receipt or {})}, **more})


class Selecting(Case):
    def selected(self, *args, stdin=None):
        fake = registry(self)
        self.json(fake, *args, "--dry-run", stdin=stdin)
        (_, body), = fake.requests("POST /plans")
        return body

    def test_selectors(self):
        self.assertEqual(self.selected("untag", "a/b:1", "a/b:2"),
                         {"select": [{"tag": "a/b:1"}, {"tag": "a/b:2"}], "now": False})
        self.assertEqual(self.selected("rm", "a/b:1", "a/b@" + DIGEST, "--reason", "gr\u00fcn")["reason"], "gr\u00fcn")
        self.assertEqual(self.selected("rm", "a/b:1", "a/b@" + DIGEST)["select"],
                         [{"image": "a/b:1"}, {"image": "a/b@" + DIGEST}])
        self.assertEqual(self.selected("rm", "--repository", "a/**", "--repository", "b")["select"],
                         [{"repository": "a/**"}, {"repository": "b"}])
        self.assertEqual(self.selected("purge", "a/**", "b", "--tags", "pr-.*", "--keep-tags", "x", "--keep", "0",
                                       "--older-than", "7d", "--not-pulled-for", "30d", "--untagged")["select"],
                         [{"rule": {"repositories": glob, "tags": "pr-.*", "keep_tags": "x", "keep": 0,
                                    "older_than": "7d", "not_pulled_for": "30d", "untagged": True}} for glob in ("a/**", "b")])
        self.assertEqual(self.selected("trash", "empty"), {"select": [{"trash": "**"}], "now": True})
        self.assertEqual(self.selected("trash", "empty", "a/*", "b")["select"], [{"trash": "a/*"}, {"trash": "b"}])
        self.assertTrue(self.selected("rm", "a:1", "--now")["now"])

    def test_standard_input(self):
        text = "# those of yesterday\n\n  a/b:1  \r\na/b@" + DIGEST + "\n"
        self.assertEqual(self.selected("rm", "-", stdin=text)["select"], [{"image": "a/b:1"}, {"image": "a/b@" + DIGEST}])
        self.assertEqual(self.selected("untag", "x:0", "-", stdin="a/b:1")["select"], [{"tag": "x:0"}, {"tag": "a/b:1"}])

    def test_bad_lines(self):
        for text, message in (("a/b:1\n# x\nA/b:1\n", "standard input, line 3: \"A/b:1\" is no reference"),
                              ("a/b\n", "line 1: \"a/b\" is no reference; allowed: repo:tag and repo@sha256:..."),
                              ("a/b@sha256:12\n", "line 1: \"a/b@sha256:12\" is no reference"),
                              ("a:" + "x" * 2000, "line 1: longer than"),
                              ("\n#\n", "standard input names nothing"), ("", "standard input names nothing"),
                              ("a:1\n" * 10001, "line 10001: more than 10000 references"),
                              ("a:\x1b[31m\n", "\\x1b[31m")):
            with self.subTest(text=text[:40]):
                fake = registry(self)
                done = self.ebb(fake, "rm", "--yes", "-", code=1, stdin=text)
                self.assertIn(message, done.stderr)
                self.assertNotIn("\x1b", done.stderr)
                self.assertEqual(fake.asked, [])

    def test_usage(self):
        for args, text in ((["untag"], "which tags?"), (["rm"], "which images?"), (["purge"], "of which repositories?"),
                           (["purge", "a"], "what is to go?"), (["purge", "a", "--keep-tags", "x"], "what is to go?"),
                           (["purge", "a", "--older-than", "7"], "has no unit"),
                           (["purge", "a", "--older-than", "1d12h"], "--older-than: "),
                           (["purge", "a", "--keep", "-1"], "takes a whole number"),
                           (["untag", "a/b"], "\"a/b\" is no reference; allowed: repo:tag"),
                           (["untag", "a@" + DIGEST], "allowed: repo:tag"), (["rm", "a:.x"], "tags are"),
                           (["rm", "-", "-"], "may be given once"), (["rm", "a:1", "-o", "xml"], "table, json or tsv"),
                           (["rm", "a:1", "--bytes", "5"], "--bytes goes with --now"),
                           (["rm", "a:1", "--reason", "a", "--reason", "b"], "--reason may be given once"),
                           (["rm", "a:1", "--what"], "unknown option --what"), (["rm", "a:1", "--reason"], "needs a value"),
                           (["apply"], "takes the id of one plan"), (["apply", "a", "b"], "takes the id of one plan"),
                           (["apply", "a", "--now"], "unknown option --now")):
            with self.subTest(args=args):
                done = run(*args, stdin="a:1\n")
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(text, done.stderr)
                self.assertIn("--help` shows what it takes", done.stderr)


class WithoutTerminal(Case):
    def test_refused(self):
        fake = registry(self)
        done = self.ebb(fake, "rm", "a/b:1", code=1)
        self.assertIn("a/b@sha256:abababababab  tagged 1, latest", done.stdout)
        self.assertIn("nothing was deleted: there is no terminal to ask on. To do it: ebb apply p1 --yes", done.stderr)
        self.assertEqual(fake.requests("POST /plans/p1/apply"), [])
        told = self.json(registry(self), "rm", "a/b:1", code=1)
        self.assertIsNone(told["receipt"])

    def test_plan_is_shown(self):
        shown = self.ebb(registry(self), "rm", "a/b:1", "--dry-run").stdout
        for text in ("Plan p1: 3 tags, 2 images in 1 repository", "a/b@sha256:cdcdcdcdcdcd  with it: nothing else keeps it",
                     "a/b:alone  the tag alone; its image stays: sha256:efefefefefef", "Left alone: 5 tags among the newest",
                     "Left alone: 1 tag kept by name", "Stays: 456 B that something else uses", "x/y:base  used by a tagged image",
                     "Frees: 12.0 MiB (12,582,912 bytes)", "Warning: b:3 is the newest tag of a/b", "Nothing was deleted. Until "
                     "2026-11-21 10:15 UTC this does it: ebb apply p1"):
            self.assertIn(text, shown)
        self.assertNotIn("\033", shown)

    def test_dry_run_applies_nothing(self):
        for form in ("table", "json", "tsv"):
            fake = registry(self)
            self.ebb(fake, "rm", "a/b:1", "--dry-run", "--yes", "-o", form)
            self.assertEqual(fake.requests("POST /plans/p1/apply"), [])

    def test_done(self):
        fake = registry(self)
        done = self.ebb(fake, "rm", "a/b:1", "--yes")
        self.assertIn("Deleted 3 tags, 2 images; 12.0 MiB are given back when the grace is over. Receipt 17\n", done.stdout)
        self.assertIn("undo with: ebb undo 17 (until 2026-11-22 09:15 UTC)\n", done.stdout)
        self.assertEqual(fake.requests("POST /plans/p1/apply"), [({}, {})])

    def test_json(self):
        for args, receipt in ((["--yes"], 17), (["--dry-run"], None)):
            for command in (["rm", "a/b:1"], ["untag", "a/b:1"], ["purge", "a", "--untagged"], ["apply", "p1"]):
                told = self.json(registry(self), *command, *args)
                self.assertEqual(set(told), MEMBERS)
                self.assertEqual((told["plan"], told["receipt"], told["tags"], told["bytes_freed"], told["skipped"]),
                                 ("p1", receipt, 3, 12582912, 0))
                self.assertEqual(told["undoable_until"], UNTIL if receipt else None)

    def test_tsv(self):
        self.assertEqual(self.tsv(registry(self), "rm", "a/b:1", "--yes"), [["p1", "17", "3", "2", "0", "12582912", "456", "0"]])
        self.assertEqual(self.tsv(registry(self), "rm", "a/b:1", "--dry-run"), [["p1", "", "3", "2", "0", "12582912", "456", "0"]])

    def test_partly(self):
        skipped = items({"kind": "tag", "repository": "a/b", "tag": "1", "digest": DIGEST, "skipped": "it names another image by now"})
        fake = registry(self, receipt={"skipped": 1}, **{"GET /receipts/17/items": skipped})
        done = self.ebb(fake, "rm", "a/b:1", "--yes", code=3)
        self.assertIn("Skipped: a/b:1: it names another image by now", done.stdout)
        fake = registry(self, receipt={"skipped": 1}, **{"GET /receipts/17/items": skipped})
        self.assertEqual(self.json(fake, "rm", "a/b:1", "--yes", code=3)["skipped"], 1)
        fake = registry(self, receipt={"skipped": 1, "tags": 0, "manifests": 0}, **{"GET /receipts/17/items": skipped})
        self.assertIn("all of it was skipped", self.ebb(fake, "rm", "a/b:1", "--yes", code=1).stderr)

    def test_protected(self):
        """What was named and is protected counts as skipped; a rule leaves it alone."""
        self.assertIn("Protected, does not go: 1", self.ebb(registry(self, {"protected": 1}), "rm", "a/b:1", "--yes", code=3).stdout)
        self.ebb(registry(self, {"protected": 1}), "purge", "a", "--untagged", "--yes", code=0)
        fake = registry(self, {"protected": 1, "tags": 0, "manifests": 0})
        self.assertIn("all of it is protected", self.ebb(fake, "rm", "a/b:1", "--yes", code=1).stderr)
        self.assertEqual(fake.requests("POST /plans/p1/apply"), [])

    def test_nothing(self):
        fake = registry(self, {"tags": 0, "manifests": 0})
        self.assertEqual(self.ebb(fake, "purge", "a", "--untagged").stdout, "There is nothing to delete.\n")
        self.assertEqual(fake.requests("POST /plans/p1/apply"), [])
        self.assertIsNone(self.json(fake, "purge", "a", "--untagged")["receipt"])

    def test_bulk(self):
        plan = {"confirm": {"tags": 3, "why": "It takes every tag of a/b"}}
        done = self.ebb(registry(self, plan), "rm", "a/b:1", "--yes", code=1)
        self.assertIn("ebb apply p1 --yes --confirm-tags 3", done.stderr)
        done = self.ebb(registry(self, plan), "rm", "a/b:1", "--yes", "--confirm-tags", "4", code=1)
        self.assertIn("--confirm-tags 4 is not the number of tags that would go, which is 3", done.stderr)
        fake = registry(self, plan)
        self.ebb(fake, "rm", "a/b:1", "--yes", "--confirm-tags", "3")
        self.assertEqual(fake.requests("POST /plans/p1/apply"), [({}, {"confirm_tags": 3})])

    def test_now(self):
        plan = {"now": True}
        gone = {"now": True, "undoable_until": None}
        done = self.ebb(registry(self, plan), "rm", "a/b:1", "--now", "--yes", code=1)
        self.assertIn("ebb apply p1 --yes --bytes 12582912", done.stderr)
        self.assertIn("at once and for good", done.stdout)
        done = self.ebb(registry(self, plan), "rm", "a/b:1", "--now", "--yes", "--bytes", "5", code=1)
        self.assertIn("--bytes 5 is not the number of bytes that would be gone, which is 12582912", done.stderr)
        fake = registry(self, plan, gone)
        done = self.ebb(fake, "rm", "a/b:1", "--now", "--yes", "--bytes", "12582912")
        self.assertEqual(fake.requests("POST /plans/p1/apply"), [({}, {"confirm_bytes": 12582912})])
        self.assertIn("are given back now. Receipt 17; there is no undo", done.stdout)
        fake = registry(self, plan, gone)
        self.ebb(fake, "trash", "empty", "--yes", "--bytes", "12582912")
        self.ebb(registry(self, plan, gone), "trash", "empty", "--yes", code=1)

    def test_refusals_of_the_registry(self):
        fake = self.fake({"POST /plans": (404, problem("not-found", "there is no a/b:9"))})
        self.assertEqual(self.ebb(fake, "rm", "a/b:9", "--yes", code=1).stderr, "ebb rm: there is no a/b:9\n")
        fake = registry(self, **{"POST /plans/p1/apply": (409, problem("confirm-needed", "say 9 tags"))})
        self.assertIn("say 9 tags", self.ebb(fake, "rm", "a/b:1", "--yes", code=1).stderr)
        fake = self.fake({"GET /plans/p9": (404, problem("plan-unknown", "there is no plan p9, or its hour is over"))})
        self.assertIn("its hour is over", self.ebb(fake, "apply", "p9", "--yes", code=1).stderr)

    def test_applied_again(self):
        fake = registry(self, {"receipt": 17})
        self.assertEqual(self.json(fake, "apply", "p1")["receipt"], 17)

    def test_followed(self):
        open_ = {**RECEIPT, "state": "open", "progress": {"done": 1, "total": 5}}
        fake = registry(self, **{"POST /plans/p1/apply": (202, open_), "GET /receipts/17": [open_, open_, RECEIPT]})
        self.assertEqual(self.json(fake, "rm", "a/b:1", "--yes")["receipt"], 17)
        self.assertEqual(len(fake.requests("GET /receipts/17")), 3)


class OnATerminal(Case):
    def drive(self, fake, *args, **more):
        return Terminal(*args, "--server", fake.url, **more)

    def test_yes_or_no(self):
        for answer, code in (("y\n", 0), ("YES\n", 0), ("n\n", 1), ("\n", 1), ("yellow\n", 1), ("\x04", 1)):
            with self.subTest(answer=answer):
                fake = registry(self)
                t = self.drive(fake, "rm", "a/b:1")
                t.expect("Delete 3 tags, 2 images? [y/N]")
                self.assertIn("tagged 1, latest", t.text)
                t.type(answer)
                self.assertEqual(t.end()[0], code, t.text)
                self.assertEqual(len(fake.requests("POST /plans/p1/apply")), int(code == 0))
                self.assertIn("undo with: ebb undo 17" if code == 0 else "nothing was deleted", t.text)

    def test_bulk(self):
        plan = {"confirm": {"tags": 1234, "why": "It takes every tag of a/b"}}
        for answer, code in (("1234\n", 0), ("1,234\n", 0), ("y\n", 1), ("123\n", 1), ("\n", 1)):
            for more in ([], ["--yes"]):
                fake = registry(self, plan)
                t = self.drive(fake, "rm", "a/b:1", *more)
                t.expect("It takes every tag of a/b. Type the number of tags that go (1,234):")
                t.type(answer)
                self.assertEqual(t.end()[0], code, t.text)
                self.assertEqual(fake.requests("POST /plans/p1/apply"), [({}, {"confirm_tags": 1234})] if code == 0 else [])

    def test_now(self):
        for answer, code in (("12582912\n", 0), ("y\n", 1)):
            fake = registry(self, {"now": True}, {"undoable_until": None})
            t = self.drive(fake, "rm", "a/b:1", "--now", "--yes")
            t.expect("12,582,912 bytes will be gone for good, without an undo. Type the number of bytes:")
            t.type(answer)
            self.assertEqual(t.end()[0], code, t.text)

    def test_yes_does_not_ask(self):
        fake = registry(self)
        code, text = self.drive(fake, "rm", "a/b:1", "--yes").end()
        self.assertEqual(code, 0, text)
        self.assertNotIn("[y/N]", text)

    def test_references_from_input(self):
        fake = registry(self)
        t = self.drive(fake, "rm", "-", stdin="a/b:1\n")
        t.expect("[y/N]")
        t.type("y\n")
        self.assertEqual(t.end()[0], 0, t.text)

    def test_json_is_asked_for_all_the_same(self):
        fake = registry(self)
        t = self.drive(fake, "rm", "a/b:1", "-o", "json")
        t.expect("[y/N]")
        t.type("y\n")
        code, text = t.end()
        self.assertEqual(code, 0, text)
        # What was drawn of the progress, if it took long, was taken away before.
        self.assertEqual(json.loads(text[text.index("{\n"):])["receipt"], 17)

    def test_colors(self):
        self.assertIn("\033[33mWarning:\033[0m", self.drive(registry(self), "rm", "a/b:1", "--dry-run").end()[1])
        plain = self.drive(registry(self), "rm", "a/b:1", "--dry-run", env={"NO_COLOR": "1"}).end()[1]
        self.assertNotIn("\033", plain)

    def test_interrupted(self):
        open_ = {**RECEIPT, "state": "open", "progress": {"done": 1000, "total": 5000}}
        fake = registry(self, **{"POST /plans/p1/apply": (202, open_), "GET /receipts/17": open_})
        t = self.drive(fake, "rm", "a/b:1", "--yes")
        t.expect("deleting [######........................] 1,000 of 5,000")
        t.process.send_signal(signal.SIGINT)
        code, text = t.end()
        self.assertEqual(code, 1)
        self.assertIn("it goes on at the registry. `ebb receipt 17` shows how far it is", text)


if __name__ == "__main__":
    main()
