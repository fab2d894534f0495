#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""verify_with_openssl.py SEALED_RECEIPTS VERIFY_RECEIPTS: a chain that Ebb wrote is right for a program
that knows doc/receipts.md only, and wrong for it once something was changed."""
import os
import sqlite3
import subprocess
import sys
import tempfile

maker, verifier = sys.argv[1:3]
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "ebb.db")
    key = subprocess.run([maker, path], check=True, capture_output=True, text=True).stdout.strip()

    def verify():
        return subprocess.run([sys.executable, verifier, path, key], check=False, capture_output=True, text=True)

    good = verify()
    assert good.returncode == 0 and good.stdout == "3 receipts, 0 wrong\n", good
    with sqlite3.connect(path) as db:
        db.execute("UPDATE receipt_item SET size = size + 1 WHERE receipt_id = 2 AND item = 2")
    bad = verify()
    assert bad.returncode == 1 and "2: hash" in bad.stdout, bad
