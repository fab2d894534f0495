#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks a chain of receipts as doc/receipts.md describes it, without any of Ebb's code.

verify_receipts.py DATABASE PUBLIC_KEY_HEX
"""
import hashlib
import os
import sqlite3
import subprocess
import sys
import tempfile

KINDS = {"t": "tag", "m": "manifest", "b": "blob"}
ROLES = {"s": "selected", "w": "with"}
ALGORITHMS = {33: "sha256", 65: "sha512"}


def text(name, value):
    if value is None:
        return f"{name} -\n".encode()
    raw = value.encode() if isinstance(value, str) else value
    return f"{name} {len(raw)}:".encode() + raw + b"\n"


def number(name, value):
    return f"{name} {value or 0}\n".encode()


def item_text(row):
    digest = f"{ALGORITHMS[len(row['digest'])]}:{row['digest'][1:].hex()}"
    return (number("item", row["item"]) + text("kind", KINDS[row["kind"]]) + text("role", ROLES[row["role"]])
            + text("repository", row["repo"]) + text("tag", row["tag"]) + text("digest", digest)
            + number("size", row["size"]) + text("skipped", row["why"]))


def receipt_text(row, items_hash):
    out = b"ebb receipt 1\n" + number("id", row["id"]) + number("seq", row["seq"]) + text("kind", row["kind"])
    for name in ("created_at", "sealed_at", "due_at"):
        out += number(name, row[name])
    for name in ("door", "actor", "peer", "reason", "rule", "request"):
        out += text(name, row[name])
    out += text("plan", row["plan_id"])
    for name in ("undo_of", "immediate", "total", "position", "items", "tags", "manifests", "blobs", "skipped",
                 "bytes_freed", "bytes_kept"):
        out += number(name, row[name])
    return out + f"items_hash {items_hash.hex()}\n".encode()


def signed(folder, public, message, signature):
    paths = [os.path.join(folder, name) for name in ("key.der", "message", "signature")]
    for path, data in zip(paths, (bytes.fromhex("302a300506032b6570032100") + public, message, signature)):
        with open(path, "wb") as file:
            file.write(data)
    return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", paths[0], "-rawin",
                           "-in", paths[1], "-sigfile", paths[2]], capture_output=True, check=False).returncode == 0


def main():
    database, public = sys.argv[1], bytes.fromhex(sys.argv[2])
    db = sqlite3.connect(database)
    db.row_factory = sqlite3.Row
    wrong = []
    before, seq = bytes(32), 0
    with tempfile.TemporaryDirectory() as folder:
        for anchor in db.execute("SELECT * FROM receipt_anchor"):
            said = f"ebb receipt anchor 1\nseq {anchor['seq']}\nhash {anchor['hash'].hex()}\n".encode()
            if not signed(folder, public, hashlib.sha256(said).digest(), anchor["signature"]):
                wrong.append("anchor: signature")
            before, seq = anchor["hash"], anchor["seq"]
        for row in db.execute("SELECT * FROM receipt WHERE seq IS NOT NULL ORDER BY seq"):
            items_hash = bytes(32)
            for item in db.execute("SELECT * FROM receipt_item WHERE receipt_id = ? ORDER BY item", (row["id"],)):
                items_hash = hashlib.sha256(items_hash + item_text(item)).digest()
            hashed = hashlib.sha256(before + receipt_text(row, items_hash)).digest()
            for what, good in (("place", row["seq"] == seq + 1), ("previous", row["prev_hash"] == before),
                               ("hash", row["hash"] == hashed),
                               ("signature", signed(folder, public, row["hash"], row["signature"]))):
                if not good:
                    wrong.append(f"{row['seq']}: {what}")
            before, seq = row["hash"], row["seq"]
    for line in wrong:
        print(line)
    print(f"{seq} receipts, {len(wrong)} wrong")
    return 1 if wrong else 0


sys.exit(main())
