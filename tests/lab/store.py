# SPDX-License-Identifier: Apache-2.0
"""Compares a data directory's rows with its files, from outside: what `ebb check` says of itself is
what tests doubt.

  rows_and_files(data)   of a directory that no server has open: a list of problems
  left_over(data)        of a running one: what is not reclaimed yet, by table
  content(data)          of either: bytes of content by what the rows say

The first reads a copy of the database, so that nothing a server would do at its next start (recovery, a
checkpoint) is done for it.
"""
import os
import shutil
import sqlite3
import tempfile
import time

TABLES = ("repository", "blob", "repo_blob", "manifest", "manifest_blob", "manifest_child", "tag", "upload", "doomed")

# Each finds rows that no crash may leave. The names are what is printed.
RULES = {
    "a visible manifest names a blob that is not visible in its repository":
        "SELECT hex(m.digest), hex(b.digest) FROM manifest m JOIN manifest_blob u ON u.manifest_id = m.id"
        " JOIN blob b ON b.id = u.blob_id LEFT JOIN repo_blob l ON l.repo_id = m.repo_id AND l.blob_id = u.blob_id"
        " WHERE m.receipt_id IS NULL AND (l.blob_id IS NULL OR l.receipt_id IS NOT NULL)",
    "a visible index names a child that is not visible":
        "SELECT hex(m.digest), hex(c.digest) FROM manifest m JOIN manifest_child c ON c.manifest_id = m.id"
        " WHERE m.receipt_id IS NULL AND NOT EXISTS (SELECT 1 FROM manifest k WHERE k.repo_id = m.repo_id"
        " AND k.digest = c.digest AND k.receipt_id IS NULL)",
    "a tag names a manifest that is not visible":
        "SELECT t.name, t.manifest_id FROM tag t LEFT JOIN manifest m ON m.id = t.manifest_id"
        " WHERE m.id IS NULL OR m.receipt_id IS NOT NULL OR m.due_at IS NOT NULL OR m.repo_id <> t.repo_id",
    "a blob that no repository links would stay for ever":
        "SELECT id, hex(digest) FROM blob WHERE NOT EXISTS (SELECT 1 FROM repo_blob WHERE blob_id = blob.id)",
    "a link that nothing uses is in no queue":
        "SELECT repo_id, blob_id FROM repo_blob l WHERE due_at IS NULL AND NOT EXISTS (SELECT 1 FROM manifest_blob u"
        " WHERE u.blob_id = l.blob_id AND u.repo_id = l.repo_id)",
    "a manifest that nothing keeps is in no queue":
        "SELECT m.id, hex(m.digest) FROM manifest m WHERE m.due_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM tag WHERE manifest_id = m.id)"
        " AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.digest = m.digest AND (h.repo = '' OR h.repo ="
        "  (SELECT name FROM repository WHERE id = m.repo_id)))"
        " AND NOT EXISTS (SELECT 1 FROM manifest_child c JOIN manifest p ON p.id = c.manifest_id"
        "  WHERE c.repo_id = m.repo_id AND c.digest = m.digest)"
        " AND NOT EXISTS (SELECT 1 FROM manifest s WHERE s.repo_id = m.repo_id AND s.digest = m.subject)",
    "a blob has neither bytes nor a name, or both":
        "SELECT id, hex(digest) FROM blob WHERE (name IS NULL) = (data IS NULL)",
    "a blob in the database is not as long as its row says":
        "SELECT id, hex(digest), size, length(data) FROM blob WHERE data IS NOT NULL AND length(data) <> size",
    "a blob is marked as damaged":
        "SELECT id, hex(digest) FROM blob WHERE damaged_at IS NOT NULL",
    "a name is used twice":
        "SELECT name, count(*) FROM (SELECT name FROM blob WHERE name IS NOT NULL UNION ALL SELECT id FROM upload"
        " UNION ALL SELECT name FROM doomed) GROUP BY name HAVING count(*) > 1",
}


class Copy:
    """The database as it lies there, with its log; the original is not opened."""

    def __init__(self, data):
        self.folder = tempfile.mkdtemp(prefix="rows-")
        for name in ("ebb.db", "ebb.db-wal"):
            path = os.path.join(data, name)
            if os.path.exists(path):
                shutil.copyfile(path, os.path.join(self.folder, name))
        self.db = sqlite3.connect(os.path.join(self.folder, "ebb.db"))

    def __enter__(self):
        return self.db

    def __exit__(self, *_):
        self.db.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def files(data):
    """Name to size of everything below blobs/ that is no folder of the store."""
    found = {}
    top = os.path.join(data, "blobs")
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                found[os.path.relpath(path, top).replace("/", "", 1)] = os.stat(path).st_size
            except FileNotFoundError:
                pass
    return found


def rows_and_files(data):
    """Problems of a directory that no server has open. [] is what a crash may leave."""
    problems = []
    on_disk = files(data)
    with Copy(data) as db:
        try:
            result = db.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            return [f"the database cannot be read: {error}"]
        if result != "ok":
            return [f"the database is corrupt: {result}"]
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'blob'").fetchone():
            return [f"{name}: a file without a database" for name in on_disk]
        for row in db.execute("PRAGMA foreign_key_check"):
            problems.append(f"foreign key: {row}")
        for text, query in RULES.items():
            problems += [f"{text}: {row}" for row in db.execute(query).fetchall()]
        named = {row[0] for row in db.execute("SELECT id FROM upload UNION SELECT name FROM doomed")}
        for name, size in db.execute("SELECT name, size FROM blob WHERE name IS NOT NULL"):
            named.add(name)
            if name not in on_disk:
                problems.append(f"blob {name}: its file is missing")
            elif on_disk[name] != size:
                problems.append(f"blob {name}: {on_disk[name]} bytes on the disk, {size} by its row")
        problems += [f"{name}: a file that no row names" for name in on_disk if name not in named]
    return problems


def open_receipts(data):
    """How many are not carried out to their end, of a directory that no server has open."""
    with Copy(data) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'receipt'").fetchone():
            return 0
        return db.execute("SELECT count(*) FROM receipt WHERE state = 'open'").fetchone()[0]


def _count_rows(data):
    """Read only and beside the server: a copy of a database that is written to would be torn."""
    db = sqlite3.connect(f"file:{os.path.join(data, 'ebb.db')}?mode=ro", uri=True, timeout=10)
    try:
        return {t: db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in TABLES}
    finally:
        db.close()


def content(data):
    """Bytes by what the rows say, of a running server as well: blobs (each once), those of them in rows
    (inline), payloads, names to be removed, uploads; `open`: name to size of files that are no blobs."""
    db = sqlite3.connect(f"file:{os.path.join(data, 'ebb.db')}?mode=ro", uri=True, timeout=10)
    one = lambda query: db.execute(query).fetchone()[0]  # noqa: E731
    try:
        db.execute("BEGIN")
        return {"blobs": one("SELECT coalesce(sum(size), 0) FROM blob"),
                "inline": one("SELECT coalesce(sum(size), 0) FROM blob WHERE name IS NULL"),
                "payloads": one("SELECT coalesce(sum(length(payload)), 0) FROM manifest_payload"),
                "doomed": one("SELECT coalesce(sum(size), 0) FROM doomed"),
                "uploads": one("SELECT coalesce(sum(size), 0) FROM upload"),
                "open": {n: s for n, s in db.execute("SELECT id, CASE WHEN data IS NULL THEN size ELSE 0 END FROM upload"
                                                     " UNION ALL SELECT name, 0 FROM doomed")}}
    finally:
        db.close()


def left_over(data):
    """Tables that are not empty and files that are there, of a running server."""
    left = {t: n for t, n in _count_rows(data).items() if n}
    on_disk = files(data)
    if on_disk:
        left["files"] = len(on_disk)
    return left


def wait_empty(data, seconds):
    """{} once everything is reclaimed; what is left when that takes too long."""
    end = time.monotonic() + seconds
    left = left_over(data)
    while left and time.monotonic() < end:
        time.sleep(0.1)
        left = left_over(data)
    return left
