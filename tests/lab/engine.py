# SPDX-License-Identifier: Apache-2.0
"""What tests in Python ask of /api/ebb/v1: plans, receipts, undo, the trash, reclaim; and the
comparison of what the registry says it holds with what lies on the disk.
"""
import json
import time
from urllib.parse import quote

from registry import Broken, wait_for
from store import content, files

API = "/api/ebb/v1"


class Engine:
    """The calls, over a Client. Each failure is one of the Client's."""

    def __init__(self, client):
        self.client = client

    def call(self, wanted, method, path, body=None):
        """The answer's JSON, or None without a body."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = json.dumps(body).encode() if body is not None else None
        answer = self.client.expect(wanted, method, API + path, data, headers)
        return answer.json() if answer.body else None

    def list(self, path):
        """All items of a list."""
        found, after = [], None
        while True:
            mark = "&" if "?" in path else "?"
            page = self.call(200, "GET", path + (f"{mark}after={quote(after, safe='')}" if after else ""))
            found += page["items"]
            after = page.get("next")
            if after is None:
                return found

    # -- plans and receipts

    def plan(self, select, now=False, reason=None):
        return self.call(201, "POST", "/plans", {"select": select, "now": now, "reason": reason})

    def plan_items(self, plan):
        return self.list(f"/plans/{plan['plan']}/items")

    def apply(self, plan):
        """The receipt, sealed or open. Numbers that must be repeated are."""
        body = {}
        if plan["confirm"]:
            body["confirm_tags"] = plan["confirm"]["tags"]
        if plan["now"]:
            body["confirm_bytes"] = plan["bytes_freed"]
        return self.call((200, 202), "POST", f"/plans/{plan['plan']}/apply", body)

    def receipt(self, number):
        return self.call(200, "GET", f"/receipts/{number}")

    def items(self, receipt):
        return self.list(f"/receipts/{receipt['receipt']}/items")

    def sealed(self, receipt, seconds=60):
        """The receipt, once it is sealed."""
        if receipt["state"] == "sealed":
            return receipt

        def look():
            found = self.receipt(receipt["receipt"])
            return found if found["state"] == "sealed" else None
        return wait_for(look, f"receipt {receipt['receipt']} to be sealed", seconds)

    def undo(self, number, **options):
        return self.call((200, 202), "POST", f"/receipts/{number}/undo", options)

    def restore(self, references, **options):
        return self.call((200, 202), "POST", "/trash/restore", {"references": references, **options})

    def with_reason(self, repo, reason, most=200):
        """The newest receipt of a repository that has this reason, or None."""
        after = ""
        for _ in range(most):
            page = self.call(200, "GET", f"/receipts?repository={quote(repo, safe='')}{after}")
            for receipt in page["items"]:
                if receipt["reason"] == reason:
                    return receipt
            if "next" not in page:
                return None
            after = "&after=" + quote(page["next"], safe="")
        return None

    def tags(self, repo):
        """Name to digest."""
        answer = self.client.expect((200, 404), "GET", f"{API}/tags?repository={quote(repo, safe='')}&n=1")
        if answer.status == 404:
            return {}
        return {t["tag"]: t["digest"] for t in self.list(f"/tags?repository={quote(repo, safe='')}")}

    # -- reclaim

    def pause(self):
        """Nothing is removed from when this returns."""
        self.call(200, "POST", "/reclaim/pause")
        return wait_for(lambda: self.state() == "paused", "reclaim to pause")

    def resume(self):
        return self.call(200, "POST", "/reclaim/resume")

    def state(self):
        return self.call(200, "GET", "/reclaim")["state"]

    def run(self):
        """A whole pass from now on."""
        number = self.call(202, "POST", "/reclaim/run")["pass"]
        wait_for(lambda: self.call(200, "GET", "/reclaim")["passes_ended"] >= number, f"pass {number}")

    def usage(self):
        found = self.call(200, "GET", "/usage?depth=0")
        return {k: found[k] for k in ("unique", "shared", "trash", "pending", "uploads")}


class Chain:
    """Verifies the receipts from where it was the last time: what was there then must be there still."""

    def __init__(self):
        self.seq, self.hash = 0, None
        self.interrupted = 0  # crashes that left a receipt open

    def verify(self, engine, again=False):
        """Problems. `again`: from the very first."""
        seq, before, problems = (0, None, []) if again else (self.seq, self.hash, [])
        while True:
            more = f"&hash={before}" if before else ""
            found = engine.call(200, "GET", f"/receipts/verify?from={seq + 1}{more}")
            if not found["ok"]:
                problems += [f"receipts: {w}" for w in found["wrong"][:3]]
            if found["last"]:
                seq, before = found["last"]["seq"], found["last"]["hash"]
            if found["next"] is None or not found["ok"]:
                break
        if seq < self.seq:
            problems.append(f"receipts end at {seq}; there were {self.seq}")
        self.seq, self.hash = seq, before
        return problems


def weigh(data, usage, may_lose_uploads=False):
    """Problems of what `usage` says against rows and files of `data`, where nothing changes meanwhile."""
    rows, on_disk = content(data), files(data)
    problems = []
    if sum(usage.values()) != rows["blobs"] + rows["payloads"] + rows["doomed"] + rows["uploads"]:
        problems.append(f"usage {usage} is {sum(usage.values())} bytes, rows are {rows}")
    if usage["uploads"] != rows["uploads"]:
        problems.append(f"usage {usage}: uploads by their rows are {rows['uploads']} bytes")
    # A crash in the middle of an upload leaves more in its file than its row says: it is cut before
    # it goes on. So those, and what was doomed in that state, are weighed by their files.
    rest = {n: s for n, s in on_disk.items() if n in rows["open"]}
    disk = sum(on_disk.values()) - sum(rest.values())
    said = sum(usage.values()) - rows["inline"] - rows["payloads"] - rows["doomed"] - rows["uploads"]
    if disk != said:
        problems.append(f"{disk} bytes in files, {said} by usage {usage}, {rows['inline']} of them in rows")
    short = [n for n, size in rows["open"].items() if n in rest and rest[n] < size]
    if short and not may_lose_uploads:
        problems.append(f"files shorter than their rows say: {short[:3]}")
    return problems


def account(server, engine, may_lose_uploads=False):
    """Problems of the accounting of a running server that nobody writes to. Reclaim rests meanwhile."""
    paused = engine.state() == "paused"
    engine.pause()
    try:
        return weigh(server.data, engine.usage(), may_lose_uploads)
    finally:
        if not paused:
            engine.resume()


def wait_settled(data, engine, seconds):
    """Until nothing is in the trash, pending or being uploaded; what is left when that takes too long.
    An upload without a byte by its row may have some in its file, after a crash."""
    end = time.monotonic() + seconds
    while True:
        usage = engine.usage()
        left = {k: usage[k] for k in ("trash", "pending", "uploads") if usage[k]}
        opened = content(data)["open"]
        if opened:
            left["names"] = len(opened)
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.1)


def kept_bytes(client, references):
    """(files' bytes by digest, payloads' bytes) of what is reached from (repository, digest) pairs,
    read by pulls."""
    blobs, payloads, seen, work = {}, 0, set(), list(references)
    while work:
        repo, digest = work.pop()
        if (repo, digest) in seen:
            continue
        seen.add((repo, digest))
        found = client.get_manifest(repo, digest)
        if found is None:
            raise Broken(f"{repo}: {digest} is not there")
        payloads += len(found[2])
        fields = json.loads(found[2])
        for part in [fields[k] for k in ("config",) if k in fields] + fields.get("layers", []):
            blobs[part["digest"]] = part["size"]
        work += [(repo, part["digest"]) for part in fields.get("manifests", [])]
        work += [(repo, other) for other in client.referrers(repo, digest)]
    return blobs, payloads
