# SPDX-License-Identifier: Apache-2.0
"""Writers that use the deletion engine beside pushing: plans of all kinds, applied; receipts undone,
whole and in part; the trash restored and emptied; holds and protected tags; and reclaim paused,
resumed and run.

What an apply or undo did is read from its receipt, which must agree with what answers. A request that
was under way at a crash is found by its reason: without a receipt nothing of it happened, with one it
is waited for until it is sealed, and all of it happened.
"""
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from registry import Broken, Gone, Refused, make_image  # noqa: E402
from engine import Engine  # noqa: E402
from model import SAFE, Repository  # noqa: E402
from writer import TAGS, Writer  # noqa: E402

MARGIN = 0.7  # seconds before the end of a grace in which nobody undoes


class Deleted:
    """A receipt of ours that can be undone."""

    def __init__(self, receipt, repo, until, items):
        self.receipt, self.repo, self.until = receipt, repo, until
        self.items = [i for i in items if not i["skipped"]]
        self.known = dict(repo.known)
        self.touched = False  # an undo of it began
        self.clean = True  # nothing of the repository was emptied from the trash since


class Pending:
    """A request that ends in a receipt, under way."""

    def __init__(self, repo, reason, began, now=False, undoes=None, items=None):
        self.repo, self.reason, self.began, self.now, self.undoes = repo, reason, began, now, undoes
        self.items = items  # that the receipt must have, if known
        self.seen = False  # by who aims at it


class Planner(Writer):
    tags = TAGS + [SAFE]

    def __init__(self, number, seed, shared, lease, rest, others, grace, names=None):
        names = names or [f"crash/p{number}/r{i}" for i in range(2)]
        super().__init__(number, seed, shared, lease, rest, others, names)
        self.grace = grace
        self.deleted = []
        self.pending = None
        self.engine = None
        self.numbers = {}
        self.hold_ids = {}      # (repository, digest) -> id
        self.hold_under_way = None  # (repository, digest)
        self.seals = {}         # receipt -> hash, of the last few

    def add(self, what):
        self.numbers[what] = self.numbers.get(what, 0) + 1

    def setup(self, server):
        """Before the first crash."""
        self.connect(server, 60)
        for repo in self.repositories:
            self.engine.call(201, "POST", "/rules", {"kind": "protected", "repositories": repo.name, "tags": SAFE + "*",
                                                     "reason": "a test relies on it"})

    def connect(self, server, timeout):
        super().connect(server, timeout)
        self.engine = Engine(self.client)

    def actions(self):
        return [(self.push_image, 10), (self.push_index, 4), (self.push_referrer, 4), (self.retag, 3), (self.mount, 2),
                (self.delete_tag, 2), (self.delete_digest, 2), (self.delete_by_plan, 8), (self.undo, 8),
                (self.restore, 3), (self.empty_trash, 1), (self.hold, 1), (self.release, 2), (self.try_protected, 1),
                (self.look_at_receipts, 1)]

    # -- what a receipt says happened

    def perform(self, pending, request):
        """The sealed receipt. The state is what it says."""
        self.pending = pending
        receipt = self.engine.sealed(request())
        return self.resolve(receipt)

    def resolve(self, receipt):
        pending, repo = self.pending, self.pending.repo
        items = self.engine.items(receipt)
        if len(items) != receipt["items"] or pending.items not in (None, len(items)):
            self.problems.append(f"{repo.name}: receipt {receipt['receipt']} has {len(items)} items, says {receipt['items']};"
                                 f" {pending.items} were expected")
        if receipt["kind"] == "delete":
            new = self.after_delete(repo, receipt, items)
        else:
            new = self.after_undo(repo, items, pending.undoes)
        repo.state, self.pending = new, None
        self.done += 1
        self.seals = dict([*self.seals.items(), (receipt["receipt"], receipt["hash"])][-20:])
        if pending.now:
            for old in self.deleted:
                old.clean = old.clean and old.repo is not repo
        elif receipt["kind"] == "delete" and receipt["items"] > receipt["skipped"]:
            self.deleted.append(Deleted(receipt["receipt"], repo, pending.began + self.grace - MARGIN, items))
        return receipt, items

    def after_delete(self, repo, receipt, items):
        new, kept = repo.state.copy(), repo.kept(repo.state)
        for item in items:
            if item["repository"] != repo.name:
                raise Broken(f"receipt {receipt['receipt']} of {repo.name} has {item}")
            if receipt["now"] and item["digest"] in repo.known:
                # Leases end as well, even of what is skipped when what is above it goes.
                new.promised.pop(item["digest"], None)
                for digest in repo.known[item["digest"]].blobs:
                    new.blobs.pop(digest, None)
            if item["skipped"]:
                if not self.may_skip(repo, item, kept, receipt["skipped"] > 1):
                    self.problems.append(f"receipt {receipt['receipt']}: {item['tag'] or item['digest']} skipped:"
                                         f" {item['skipped']}")
                continue
            if item["kind"] == "tag":
                if repo.is_protected(item["tag"], item["digest"]):
                    raise Broken(f"{repo.name}: protected tag {item['tag']} went by receipt {receipt['receipt']}")
                if new.tags.pop(item["tag"], None) != item["digest"]:
                    raise Broken(f"{repo.name}: receipt {receipt['receipt']} says that {item['tag']} named {item['digest']}")
            elif item["kind"] == "manifest" and item["role"] == "selected":
                if item["digest"] in repo.held:
                    raise Broken(f"{repo.name}: {item['digest']} went in spite of a hold")
                new.live.discard(item["digest"])
                new.dead.add(item["digest"])
                new.promised.pop(item["digest"], None)
            elif item["kind"] == "manifest":
                new.promised.pop(item["digest"], None)
            else:
                new.blobs.pop(item["digest"], None)
                new.dead_blobs.add(item["digest"])
        return new

    def may_skip(self, repo, item, kept, others):
        """What is loose may be reclaimed between plan and apply; what is kept in our own repository is
        skipped because of protection only, of its own or of something that keeps it. The registry's time
        stands up to a second behind its rows after a crash (registry_time.h): until then what was set
        before a plan may look as if set after it, and stays."""
        if "since the plan was made" in item["skipped"]:
            self.add("kept after a crash for its time")
            return True
        if item["digest"] not in kept or repo.is_protected(item["tag"], item["digest"]):
            return True
        return item["kind"] == "manifest" and (others or self.is_named(repo, item["digest"]))

    def is_named(self, repo, digest):
        """By something that stays: then the rest of its kind stays as well."""
        return any(digest in repo.known[d].children for d in repo.state.live if d in repo.known)

    def after_undo(self, repo, items, undoes):
        new = repo.state.copy()

        def back(digest):
            manifest = undoes.known.get(digest) or repo.known.get(digest)
            if manifest is None:
                raise Broken(f"{repo.name}: an undo brought {digest}, which nobody pushed")
            repo.known[digest] = manifest
            new.live.add(digest)
            new.dead.discard(digest)
            new.dead_blobs.difference_update(manifest.blobs)
            for child in manifest.children:
                back(child)

        for item in items:
            if item["skipped"]:
                taken = item["kind"] == "tag" and new.tags.get(item["tag"], item["digest"]) != item["digest"]
                # What went with a tag that stays away now may have been deleted by itself since.
                again = item.get("role") == "with" and item["digest"] in repo.state.dead
                if undoes.clean and not taken and not again:
                    self.problems.append(f"{repo.name}: undo of {undoes.receipt} left {item['tag'] or item['digest']}: {item['skipped']}")
                continue
            if item["kind"] == "tag":
                new.tags[item["tag"]] = item["digest"]
            if item["kind"] == "blob":
                new.dead_blobs.discard(item["digest"])
            else:
                back(item["digest"])
        return new

    # -- actions

    def reason(self):
        self.serial += 1
        return f"{self.repositories[0].name} {self.serial}"

    def selector(self, repo):
        """(selector, tags it must select, or None)."""
        tags, name = repo.state.tags, repo.name
        way = self.rng.choice(["tag", "image", "digest", "rule", "rule", "untagged", "repository"])
        if way in ("tag", "image") and tags:
            tag = self.rng.choice(sorted(tags))
            wanted = {tag} if way == "tag" else {t for t, d in tags.items() if d == tags[tag]}
            return {way: f"{name}:{tag}"}, wanted
        if way == "digest":
            choice = sorted(d for d in set(tags.values()) if not self.is_named(repo, d))
            if choice:
                digest = self.rng.choice(choice)
                return {"image": f"{name}@{digest}"}, {t for t, d in tags.items() if d == digest}
        if way == "rule":
            pattern, matching = self.rng.choice([(".*", set(tags)), ("v[0-9]", {t for t in tags if t[0] == "v"}),
                                                 ("latest|stable", {t for t in tags if t in ("latest", "stable")})])
            rule = {"repositories": name, "tags": pattern}
            if self.rng.random() < 0.5:
                return {"rule": {**rule, "keep": self.rng.randint(1, 3)}}, None
            return {"rule": rule}, matching
        if way == "untagged":
            return {"rule": {"repositories": name, "untagged": True}}, set()
        return {"repository": name}, set(tags)

    def make_plan(self, repo, select, now, wanted, reason):
        """A plan, or None when there is nothing of that name (any more)."""
        try:
            plan = self.engine.plan([select], now, reason)
        except Refused as error:
            if error.status == 404 and not repo.state.tags:
                return None
            raise
        items = self.engine.plan_items(plan)
        tags = {i["tag"]: i for i in items if i["kind"] == "tag"}
        if wanted is not None and set(tags) != wanted:
            raise Broken(f"{repo.name}: a plan for {select} takes {len(tags)} tags, not {len(wanted)}; differing are"
                         f" {sorted(wanted ^ set(tags))[:5]}")
        for tag, item in tags.items():
            if tag.startswith(SAFE) and item["state"] != "protected":
                raise Broken(f"{repo.name}: {tag} goes by a plan for {select}")
        return plan

    def delete_by_plan(self, repo):
        select, wanted = self.selector(repo)
        now, reason = self.rng.random() < 0.15, self.reason()
        plan = self.make_plan(repo, select, now, wanted, reason)
        if plan is None:
            return
        if self.rng.random() < 0.1:
            return  # it is forgotten
        receipt, items = self.perform(Pending(repo, reason, time.monotonic(), now, items=plan["items"]),
                                      lambda: self.engine.apply(plan))
        if receipt["now"] != now or receipt["plan"] != plan["plan"]:
            raise Broken(f"the receipt of plan {plan['plan']} is {receipt}")
        self.add("deleted at once" if now else "applied")
        went = [i for i in items if not i["skipped"] and (i["kind"] == "tag" or i["role"] == "selected") and i["kind"] != "blob"]
        if went:
            item = self.rng.choice(went)
            self.gone(repo, item["tag"] or item["digest"])
        again = self.engine.apply(plan)
        if again["receipt"] != receipt["receipt"]:
            raise Broken(f"plan {plan['plan']} has receipts {receipt['receipt']} and {again['receipt']}")

    def undoable(self, repo):
        now = time.monotonic()
        self.deleted = [d for d in self.deleted if d.until > now]
        return [d for d in self.deleted if d.repo is repo]

    def undo(self, repo):
        choice = self.undoable(repo)
        if not choice:
            return
        old = self.rng.choice(choice)
        reason, options = self.reason(), {}
        if self.rng.random() < 0.4:
            named = [f"{repo.name}:{i['tag']}" for i in old.items if i["kind"] == "tag"]
            if named:
                options["only"] = self.rng.sample(named, self.rng.randint(1, len(named)))
        if self.rng.random() < 0.3:
            options["force"] = True
        whole = None if "only" in options or old.touched else len(old.items)
        old.touched = True
        self.pending = Pending(repo, reason, time.monotonic(), undoes=old, items=whole)
        receipt = self.engine.undo(old.receipt, reason=reason, **options)
        if receipt["reason"] != reason:  # it was undone by another receipt already
            self.pending = None
            self.add("undone before")
            return
        self.resolve(self.engine.sealed(receipt))
        self.add("undone in part" if "only" in options else "undone")

    def restore(self, repo):
        """The newest deletion of a tag, from the trash."""
        choice = self.undoable(repo)
        if not choice:
            return
        old = choice[-1]
        tags = [i["tag"] for i in old.items if i["kind"] == "tag" and i["tag"] not in repo.state.tags]
        if not tags:
            return
        tag, reason = self.rng.choice(tags), self.reason()
        old.touched = True
        self.pending = Pending(repo, reason, time.monotonic(), undoes=old)
        try:
            receipt = self.engine.restore([f"{repo.name}:{tag}"], reason=reason)
        except Refused as error:
            if error.status == 404:  # undone, and deleted by the registry's own door since
                self.pending = None
                return
            raise
        if receipt["reason"] != reason:
            self.pending = None
            return
        self.resolve_restore(receipt, repo)

    def resolve_restore(self, receipt, repo):
        """It may have undone another deletion of the tag than we noted."""
        receipt = self.engine.sealed(receipt)
        if receipt["undo_of"] != self.pending.undoes.receipt:
            self.pending.undoes.clean = False
        self.resolve(receipt)
        self.add("restored")

    def empty_trash(self, repo):
        reason = self.reason()
        plan = self.make_plan(repo, {"trash": repo.name}, True, None, reason)
        if plan:
            self.perform(Pending(repo, reason, time.monotonic(), True, items=plan["items"]),
                         lambda: self.engine.apply(plan))
            self.add("emptied")

    def hold(self, repo):
        choice = sorted(repo.kept(repo.state) - repo.held)
        if not choice or len(repo.held) > 2:
            return
        digest = self.rng.choice(choice)
        self.hold_under_way = (repo, digest)
        made = self.engine.call(201, "POST", "/holds", {"digest": digest, "repository": repo.name, "reason": "a test"})
        self.hold_ids[repo.name, digest] = made["hold"]
        repo.held.add(digest)
        self.hold_under_way = None
        self.add("held")

    def release(self, repo):
        if repo.held:
            digest = self.rng.choice(sorted(repo.held))
            self.hold_under_way = (repo, digest)
            self.engine.call(204, "DELETE", f"/holds/{self.hold_ids.pop((repo.name, digest))}")
            repo.held.discard(digest)
            self.hold_under_way = None

    def try_protected(self, repo):
        """No door deletes what is protected."""
        for tag, digest in sorted(repo.state.tags.items()):
            if not repo.is_protected(tag, digest):
                continue
            for reference in (tag, digest):
                answer = self.client.request("DELETE", f"/v2/{repo.name}/manifests/{reference}")
                if answer.status >= 500:
                    raise Refused(f"DELETE {reference}", answer)
                if answer.status not in (403, 405) or answer.code() not in ("DENIED", "UNSUPPORTED"):
                    raise Broken(f"{repo.name}: delete of protected {reference}: {answer.status} {answer.body!r}")
            self.add("refused")
            return

    def look_at_receipts(self, _):
        """Those that were acknowledged stay as they were."""
        for number, seal in self.seals.items():
            found = self.engine.receipt(number)
            if found["hash"] != seal:
                raise Broken(f"receipt {number} had hash {seal}, and has {found['hash']}")

    # -- after a crash

    def check(self, server, may_lose_uploads=False):
        self.connect(server, 60)
        try:
            self.settle_hold()
            self.settle_pending()
            self.look_at_receipts(None)
        except (Broken, Refused, Gone, AssertionError) as error:
            self.pending = None
            return [f"after the restart: {error}"]
        finally:
            self.client.close()
        return super().check(server, may_lose_uploads)

    def settle_hold(self):
        if self.hold_under_way:
            repo, digest = self.hold_under_way
            self.hold_under_way = None
            found = [h for h in self.engine.list("/holds") if h["repository"] == repo.name and h["digest"] == digest]
            repo.held.discard(digest)
            if found:
                repo.held.add(digest)
                self.hold_ids[repo.name, digest] = found[0]["hold"]
        there = {(h["repository"], h["digest"]) for h in self.engine.list("/holds")}
        lost = [k for k in self.hold_ids if k not in there]
        if lost:
            raise Broken(f"holds are gone: {lost}")

    def settle_pending(self):
        pending = self.pending
        if pending is None:
            return
        receipt = self.engine.with_reason(pending.repo.name, pending.reason)
        if receipt is None:
            self.pending = None
            return
        if receipt["state"] == "open":
            self.add("open at a restart")
        receipt = self.engine.sealed(receipt)
        if pending.undoes and receipt["undo_of"] != pending.undoes.receipt:
            pending.undoes.clean = False
        self.resolve(receipt)
        self.add("finished after a restart")

    def delete_everything(self, server):
        self.connect(server, 60)
        for rule in self.engine.list("/rules"):
            if any(rule["repositories"] == r.name for r in self.repositories):
                self.engine.call(204, "DELETE", f"/rules/{rule['rule']}")
        for number in self.hold_ids.values():
            self.engine.call(204, "DELETE", f"/holds/{number}")
        self.hold_ids = {}
        super().delete_everything(server)


class BulkRepository(Repository):
    def tags_seen(self, client, expected):
        seen = Engine(client).tags(self.name)
        if sorted(client.tags(self.name)) != sorted(seen):
            raise Broken(f"{self.name}: the two lists of tags differ")
        return seen


class Bulk(Planner):
    """Many tags on a few images, so that applying and undoing take several steps."""
    NUMBER = 900
    IMAGES = 8

    def __init__(self, number, seed, shared, lease, rest, others, grace):
        super().__init__(number, seed, shared, lease, rest, others, grace, [f"crash/bulk{number}"])
        self.repositories = [BulkRepository(f"crash/bulk{number}", lease)]
        self.names = [f"t{i:03}" for i in range(self.NUMBER)] + [f"{SAFE}-{i}" for i in range(3)]
        self.images = [make_image(b'{"bulk":%d}' % i, [shared[i % len(shared)]]) for i in range(self.IMAGES)]
        self.content = [(b'{"bulk":%d}' % i, shared[i % len(shared)]) for i in range(self.IMAGES)]

    def actions(self):
        return [(self.refill, 8), (self.delete_many, 4), (self.undo, 6), (self.look_at_receipts, 1), (self.try_protected, 1)]

    def setup(self, server):
        super().setup(server)
        while len(self.repositories[0].state.tags) < len(self.names):
            self.refill(self.repositories[0])

    def refill(self, repo):
        missing = [n for n in self.names if n not in repo.state.tags][:60]
        for name in missing:
            i = self.names.index(name) % self.IMAGES
            image = self.images[i]
            if image.digest not in repo.kept(repo.state):
                for data in self.content[i]:
                    self.client.push_blob(repo.name, data)
            now = time.monotonic()
            self.act(repo, repo.pushed(image, name, now), lambda: self.client.push_manifest(repo.name, image, name))

    def selector(self, repo):
        tags = set(repo.state.tags)
        way = self.rng.choice(["all", "rule", "most"])
        if way == "all":
            return {"repository": repo.name}, tags
        if way == "rule":
            return {"rule": {"repositories": repo.name, "tags": ".*"}}, tags
        matching = {t for t in tags if t[0] == "t" and t[3] != "7"}
        return {"rule": {"repositories": repo.name, "tags": "t.*", "keep_tags": "t..7"}}, matching

    def delete_many(self, repo):
        if len(repo.state.tags) >= 300:
            self.delete_by_plan(repo)


class Janitor:
    """Pauses, resumes and runs reclaim; what it switched stays so over a crash."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.repositories, self.sessions, self.problems, self.done = [], [], [], 0
        self.paused = False  # None: a change is under way
        self.engine = None

    def setup(self, server):
        pass

    def run(self, server, stop):
        self.engine = Engine(server.client(timeout=30))
        try:
            while not stop.is_set():
                self.step(stop)
        except Gone as error:
            if not server.dying:
                self.problems.append(f"no answer while the server was up: {error}")
        except (Refused, Broken) as error:
            if not server.dying:
                self.problems.append(f"{type(error).__name__}: {error}")
        finally:
            self.engine.client.close()

    def switch(self, paused):
        self.paused = None
        self.engine.call(200, "POST", "/reclaim/" + ("pause" if paused else "resume"))
        self.paused = paused
        self.done += 1

    def step(self, stop):
        if self.paused:
            self.engine.call(409, "POST", "/reclaim/run")
            stop.wait(self.rng.uniform(0, 0.05))
            self.switch(False)
        elif self.rng.random() < 0.4:
            self.switch(True)
        else:
            self.engine.call(202, "POST", "/reclaim/run")
        self.engine.usage()
        stop.wait(self.rng.uniform(0, 0.05))

    def check(self, server, may_lose_uploads=False):
        self.engine = Engine(server.client(timeout=30))
        paused = self.engine.state() == "paused"
        known, self.paused = self.paused, paused
        if paused:
            self.switch(False)
        self.engine.client.close()
        if known is not None and known != paused:
            return [f"reclaim was {'paused' if known else 'resumed'}, and is {'paused' if paused else 'not'} after the restart"]
        return []

    def cancel_sessions(self, server):
        self.check(server)

    def delete_everything(self, server):
        pass
