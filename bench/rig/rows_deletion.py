# SPDX-License-Identifier: Apache-2.0
"""The rows about deleting: space back, one delete, plan with apply and undo, reclaiming, memory."""
import json
import os
import random
import statistics
import time

from . import servers
from .bench import Failed, median, target_at_least, target_at_most
from .rows import ROWS, filled, ms, row, small_and_big

FILE_BYTES = 8192  # a layer of this size is a file: it is over store.inline_size


def seconds(s):
    return f"{s * 1000:,.0f} ms" if s < 1 else f"{s:,.2f} s"


def spread(values, text=seconds):
    """The median, the least and the most."""
    return f"{text(statistics.median(values))} ({text(min(values))}–{text(max(values))})"


def note(b, what, **members):
    """A result of the rig's own, for raw/."""
    with open(os.path.join(b.raw, b.row + ".jsonl"), "a", encoding="utf-8") as f:
        f.write(json.dumps(dict(members, row=b.row, what=what, at=time.time())) + "\n")


def memory_lines(b, *found):
    """What a row's servers took at most since peak_begin(), and now."""
    most = max(s.peak_mb() for s in found)
    now = max(s.status_mb("VmRSS") for s in found)
    b.peaks[b.row] = most
    return [{"what": "memory of the server meanwhile: the most (VmHWM), and at the end (VmRSS)",
             "ours": f"{most:.1f} MB, {now:.1f} MB", **target_at_most(most, 64, " MB")}]


# ---- space-back ------------------------------------------------------------------------------


def own_images(b, server, repo, count):
    """Images with a layer of their own in a file, shared layers in files, a config of their own."""
    b.run(server, "fill", what="setup", repo=repo, count=count, connections=32, layers=40,
          own_layers=1, layer_bytes=FILE_BYTES, seed=random.getrandbits(60))
    server.next_victim = 0


def untag(b, server, repo, count):
    """Deletes the next so many tags; gives how long that took."""
    begin = time.monotonic()
    r = b.run(server, "delete", what="setup", path=f"/v2/{repo}/manifests/t%d", count=count,
              **{"from": server.next_victim})
    if r["errors"]:
        raise Failed(f"untagging: {r['first_error']}")
    server.next_victim += count
    return begin


def wait_gone(server, files):
    """Until the store holds so many files, and reclaim says that nothing is left to do."""
    end = time.monotonic() + 120
    while server.file_count() > files:
        if time.monotonic() > end:
            raise Failed(f"{server.file_count() - files} files are still there after 120 s: "
                         f"{server.api('GET', '/reclaim')}")
        time.sleep(0.002)
    while True:
        r = server.api("GET", "/reclaim")
        if r["due"] == 0 and r["doomed"]["names"] == 0:
            return
        if time.monotonic() > end:
            raise Failed(f"reclaim is not done after 120 s: {r}")
        time.sleep(0.002)


def space_back_once(b, server, repo, images, glob):
    """Untagged images lie there; one plan without grace takes them. Seconds to the space."""
    untag(b, server, repo, images)
    files, size = server.file_count(), server.file_bytes()
    with b.profiling(server, f"{server.images}-images"):
        begin = time.monotonic()
        plan = server.api("POST", "/plans", {
            "select": [{"rule": {"repositories": glob, "untagged": True}}], "now": True})
        planned = time.monotonic()
        server.apply(plan)
        sealed = time.monotonic()
        wait_gone(server, files - images)
        end = time.monotonic()
    if plan["manifests"] != images or size - server.file_bytes() != images * FILE_BYTES:
        raise Failed(f"{plan['manifests']} manifests instead of {images}, "
                     f"{size - server.file_bytes()} bytes instead of {images * FILE_BYTES}")
    note(b, f"{server.images} images", plan_s=planned - begin, apply_s=sealed - planned,
         reclaim_s=end - sealed, seconds=end - begin)
    return {"seconds": end - begin, "plan": planned - begin, "apply": sealed - planned,
            "reclaim": end - sealed}


def space_back_line(what, runs, **more):
    parts = ", ".join(f"{k} {seconds(statistics.median(r[k] for r in runs))}"
                      for k in ("plan", "apply", "reclaim"))
    return {"what": what, "ours": f"{spread([r['seconds'] for r in runs])}: {parts}", **more}


def space_back_deletes(b, repo, count, victims):
    """The same by deletes of tags, one after the other, in a registry without grace and lease."""
    s = b.ours()
    lease = b.size(15, 5)
    for now, wait in ((lease, 0), (0, lease)):  # a push needs a lease, and it is kept
        s.stop()
        s.settings = servers.Ebb.settings + ["reclaim.grace=0s", f"reclaim.lease={now}s"]
        time.sleep(wait)
        s.start()
        if now:
            own_images(b, s, repo, count)
    s.peak_begin()
    took = []
    for _ in range(b.pairs(3)):
        files = s.file_count()
        begin = untag(b, s, repo, victims)
        wait_gone(s, files - victims)
        took.append(time.monotonic() - begin)
        note(b, "deletes", seconds=took[-1])
    return [{
        "what": f"the same by {victims} DELETEs of tags, one after the other, among {count:,} "
                "images; reclaim.grace and reclaim.lease are 0",
        "ours": spread(took), **target_at_most(statistics.median(took), 0.5, " s")}]


@row("space-back")
def space_back(b):
    """Seconds from the call to the files being gone: 80 untagged images of 8,000, and of 10^6."""
    repo, count, victims = "bench/space", b.size(8000, 800), b.size(80, 8)
    small = b.ours()
    own_images(b, small, repo, count)
    small.images = count
    big = small_and_big(b)[1]
    own_images(b, big, repo, count)
    lines = []
    for s in (small, big):
        s.peak_begin()
    runs = b.alternate({
        "small": lambda: space_back_once(b, small, repo, victims, "**"),
        "big": lambda: space_back_once(b, big, repo, victims, "**"),
    }, b.pairs(5))
    for side, total in (("small", count), ("big", big.images + count)):
        m = statistics.median(r["seconds"] for r in runs[side])
        lines.append(space_back_line(
            f"space of {victims} untagged images of {total:,} back in the file system: from POST "
            "/plans (rule: untagged, now) through apply to the last file gone", runs[side],
            **target_at_most(m, 0.5, " s")))
    lines += memory_lines(b, small, big)
    return lines + space_back_deletes(b, repo, count, victims) + space_back_peer(b)


def space_back_peer(b):
    """docker-registry needs minutes for 8,000: both have 400 here."""
    repo, count, victims = "bench/space", b.size(400, 60), 4
    ours, peer = b.ours(), b.start(servers.Registry)
    ours.images = count
    for s in (ours, peer):
        own_images(b, s, repo, count)
    last = peer.get(f"/v2/{repo}/manifests/t{count - 1}")[2]

    def collect():
        # It cannot delete a tag: the tags move to another image.
        for _ in range(victims):
            peer.request("PUT", f"/v2/{repo}/manifests/t{peer.next_victim}", last,
                         {"Content-Type": "application/vnd.oci.image.manifest.v1+json"})
            peer.next_victim += 1
        before = peer.file_count()
        took = peer.collect()
        gone = before - peer.file_count()
        if gone != 3 * victims:  # manifest, config and layer
            raise Failed(f"garbage-collect removed {gone} blobs instead of {3 * victims}")
        note(b, "docker-registry", seconds=took)
        return {"seconds": took}

    runs = b.alternate({"ours": lambda: space_back_once(b, ours, repo, victims, "**"),
                        "peer": collect}, b.pairs(3))
    m = {side: statistics.median(r["seconds"] for r in runs[side]) for side in runs}
    return [space_back_line(
        f"the same, {victims} of {count}; peer: docker-registry garbage-collect -m, which wants "
        "the registry stopped", runs["ours"], peer=spread([r["seconds"] for r in runs["peer"]]),
        ratio=f"{m['ours'] / m['peer']:.3f}")]


# ---- delete-one ------------------------------------------------------------------------------


@row("delete-one")
def delete_one(b):
    """One DELETE of a manifest by digest among 10^6 tags, and among 1,000."""
    count, pairs = b.size(200, 50), b.pairs(5)
    repo = "bench/many"
    sides = dict(zip(("small", "big"), small_and_big(b)))
    lists = {}
    for side, s in sides.items():
        b.run(s, "fill", what="setup", repo=repo, count=count * pairs, connections=32, layers=400,
              tag_prefix="d", seed=random.getrandbits(60))
        paths = []
        for i in range(count * pairs):
            digest = s.request("HEAD", f"/v2/{repo}/manifests/d{i}")[1]["Docker-Content-Digest"]
            paths.append(f"/v2/{repo}/manifests/{digest}\n")
        lists[side] = [os.path.join(b.work, f"delete-{side}-{i}") for i in range(pairs)]
        for i, name in enumerate(lists[side]):
            with open(name, "w", encoding="ascii") as f:
                f.writelines(paths[i * count:(i + 1) * count])
        s.peak_begin()
    runs = b.alternate({
        side: lambda side=side: b.run(sides[side], "delete", side, side, count=count,
                                      paths=lists[side].pop())
        for side in sides}, pairs)
    found = {side: [median(runs[side], f"latency_us.delete.{q}") for q in ("p50", "p99")]
             for side in runs}
    big = sides["big"]
    return [{
        "what": f"DELETE of a manifest by digest, one connection, {count} one after the other, "
                f"{big.images:,} tags; peer: ours with 1,000 tags. p50, p99",
        "ours": f"{ms(found['big'][0])}, {ms(found['big'][1])}",
        "peer": f"{ms(found['small'][0])}, {ms(found['small'][1])}",
        **target_at_most(found["big"][1] / 1000, 5, " ms"), **b.note_cpu(runs["big"]),
    }] + memory_lines(b, big)


# ---- plan-apply-undo -------------------------------------------------------------------------


def wide(b):
    """10^6 tags as 1,000 repositories of 1,000."""
    def make():
        s = b.ours()
        s.repos = b.size(1000, 5)
        s.images = s.repos * 1000
        r = b.run(s, "fill", what="setup", repo="bench/wide", repos=s.repos, count=s.images,
                  connections=64, layers=8, seed=13)
        print(f"  {s.images:,} images in {s.repos:,} repositories in {r['seconds']:.0f} s, "
              f"{r['errors']} errors", flush=True)
        return s
    return b.keep("wide", make)


def tenth(tags):
    """A regular expression for the first tags t0..., about a tenth, and how many they are."""
    digits = len(str(tags // 10)) - 1
    return f"t[0-9]{{1,{digits}}}", 10 ** digits


def survivors(b, server, name, per_repo, first):
    """A file of paths of manifests that no rule here selects."""
    file = os.path.join(b.work, f"survivors-{name}")
    with open(file, "w", encoding="ascii") as f:
        for _ in range(20000):
            repo = "bench/many"
            if name == "wide":
                repo = f"bench/wide/{random.randrange(server.repos)}"
            f.write(f"/v2/{repo}/manifests/t{random.randrange(first, per_repo)}\n")
    return file


def plan_apply_undo_once(b, server, rule, others, side):
    """A plan by the rule, applied and undone; `others` work meanwhile when they are given."""
    r = {}
    with b.profiling(server, side.replace(" ", "-") + "-plan"):
        begin = time.monotonic()
        plan = server.api("POST", "/plans", {"select": [{"rule": rule}]})
        r["plan"] = time.monotonic() - begin
    r["tags"] = plan["tags"]
    for step in ("apply", "undo"):
        beside = b.beside(server, others()) if others else None
        if beside:
            time.sleep(0.3)
        with b.profiling(server, side.replace(" ", "-") + "-" + step):
            begin = time.monotonic()
            if step == "apply":
                receipt = server.apply(plan)
            else:
                receipt = server.carry_out(f"/receipts/{receipt['receipt']}/undo")
            r[step] = time.monotonic() - begin
        if beside:
            r[step + "-beside"] = beside.end(side, step)
        if receipt["skipped"]:
            print(f"  ! {step}: {receipt['skipped']} skipped", flush=True)
    note(b, side, **{k: v for k, v in r.items() if not k.endswith("beside")})
    return r


def plan_apply_undo_of(b, server, text, name, glob, per_repo):
    pattern, first = tenth(per_repo)
    rule = {"repositories": glob, "tags": pattern}
    file = survivors(b, server, name, per_repo, first)
    turn = [0]

    def others():
        turn[0] += 1
        return {"push": ("push", dict(repo="bench/other", connections=4,
                                      tag_prefix=f"{name}{turn[0]}-")),
                "get": ("get", dict(paths=file, connections=8, rate=2000))}

    def without():
        beside = b.beside(server, others())
        time.sleep(b.size(4, 1))
        return beside.end("without", name)

    server.peak_begin()
    runs = b.alternate({
        "alone": lambda: plan_apply_undo_once(b, server, rule, None, name + " alone"),
        "without": without,
        "with": lambda: plan_apply_undo_once(b, server, rule, others, name + " with"),
    }, b.pairs(3))
    tags = runs["alone"][0]["tags"]
    lines = []
    for step, bound, call in (("plan", 1, "plan by a rule, POST /plans"),
                              ("apply", 5, "apply, to the sealed receipt"),
                              ("undo", 5, "undo, to the sealed receipt")):
        took = [r[step] for r in runs["alone"]]
        also = "" if step == "plan" else \
            f"; with others beside {spread([r[step] for r in runs['with']])}"
        lines.append({"what": f"{call}: {tags:,} of {server.images:,} tags, {text}",
                      "ours": spread(took) + also,
                      **target_at_most(statistics.median(took), bound, " s")})
    alone = runs["without"]
    for step in ("apply", "undo"):
        during = [r[step + "-beside"] for r in runs["with"]]
        for kind, key, what in (("push", "image", "small pushes, 4 pushers"),
                                ("push", "manifest", "their manifest PUTs"),
                                ("get", "get", "manifest GETs, 2,000/s")):
            path = f"{kind}.latency_us.{key}"
            lines.append({
                "what": f"p99 of {what}, during the {step}, {text}; peer: without",
                "ours": f"{ms(median(during, path + '.p99'))}, most "
                        f"{ms(max(r[kind]['latency_us'][key]['max'] for r in during))}",
                "peer": ms(median(alone, path + ".p99")),
                **(target_at_most(median(during, path + ".p99") / 1000, 100, " ms")
                   if kind == "push" else {}),
                **b.note_cpu([r[kind] for r in during])})
    return lines


@row("plan-apply-undo")
def plan_apply_undo(b):
    """A tenth of 10^6 tags planned, deleted and restored, in 1,000 repositories and in one."""
    many, big = wide(b), small_and_big(b)[1]
    lines = plan_apply_undo_of(b, many, f"{many.repos:,} repositories", "wide", "bench/wide/*", 1000)
    lines += plan_apply_undo_of(b, big, "one repository", "one", "bench/many", big.images)
    return lines + memory_lines(b, many, big)


# ---- reclaim-rate ----------------------------------------------------------------------------


def garbage(b, server, number, images):
    """Deleted images without grace, 2 layers in files each, reclaim paused. Gives the objects."""
    repo = f"bench/gone{number}"
    r = b.run(server, "fill", what="setup", repo=repo, count=images, connections=32, layers=4,
              own_layers=2, layer_bytes=FILE_BYTES, seed=random.getrandbits(60))
    print(f"  {images:,} images with {2 * images:,} files in {r['seconds']:.0f} s", flush=True)
    server.api("POST", "/reclaim/pause")
    server.apply(server.api("POST", "/plans", {"select": [{"repository": repo}], "now": True}))
    return images * 4  # manifest, config and two layers


def left(server):
    r = server.api("GET", "/reclaim")
    return r["due"] + r["doomed"]["names"]


@row("reclaim-rate")
def reclaim_rate(b):
    """Objects reclaimed a second from files, and the p99 of reads with and without reclaiming."""
    s = b.ours()
    live = b.size(20000, 1000)
    b.run(s, "fill", what="setup", repo="bench/live", count=live, connections=64, layers=40)
    s.peak_begin()
    images = b.size(20000, 1000)
    objects = garbage(b, s, 1, images)
    files = s.file_count()
    with b.profiling(s, "alone"):
        begin = time.monotonic()
        s.api("POST", "/reclaim/resume")
        wait_gone(s, files - 2 * images)
        took = time.monotonic() - begin
    note(b, "alone", objects=objects, files=2 * images, seconds=took)
    lines = [{
        "what": f"reclaiming {images:,} deleted images, {objects:,} objects of which "
                f"{2 * images:,} are files of 8 KiB; nobody else is there",
        "ours": f"{objects / took:,.0f} objects/s, {2 * images / took:,.0f} files/s, "
                f"{seconds(took)}",
        **target_at_least(objects / took, 2000), "ratio": ""}]
    return lines + reclaim_beside(b, s, live, b.size(40000, 4000)) + memory_lines(b, s)


def reclaim_beside(b, s, live, images):
    garbage(b, s, 2, images)
    get = dict(path="/v2/bench/live/manifests/t%d", range=live, connections=32, rate=5000,
               seconds=b.size(4, 1), warm=0.5)
    runs = {"without": [], "with": []}
    files = []
    for _ in range(b.pairs(5)):
        without = b.run(s, "get", "without", "get", **get)
        s.api("POST", "/reclaim/resume")
        before, begin = s.file_count(), time.monotonic()
        during = b.run(s, "get", "with", "get", **get)
        speed = (before - s.file_count()) / (time.monotonic() - begin)
        if left(s) == 0:
            print("  everything was reclaimed before the reads ended: not counted", flush=True)
            break
        s.api("POST", "/reclaim/pause")
        files.append(speed)
        runs["without"].append(without)
        runs["with"].append(during)
    if not files:
        raise Failed("there was too little to reclaim for one measurement beside reads")
    s.api("POST", "/reclaim/resume", wanted=(200, 202, 204, 409))
    p = {side: [median(runs[side], f"latency_us.get.{q}") for q in ("p50", "p99")] for side in runs}
    return [{
        "what": f"manifest GETs, 5,000/s, 32 connections, while it reclaims "
                f"({statistics.median(files):,.0f} files/s, {2 * statistics.median(files):,.0f} "
                "objects/s meanwhile); peer: without. p50, p99",
        "ours": f"{ms(p['with'][0])}, {ms(p['with'][1])}",
        "peer": f"{ms(p['without'][0])}, {ms(p['without'][1])}",
        **target_at_most(p["with"][1] / p["without"][1], 1.2), **b.note_cpu(runs["with"])}]


# ---- deletion-memory -------------------------------------------------------------------------


@row("deletion-memory")
def deletion_memory(b):
    """The most memory of a server in the rows above; alone, in plan-apply-undo."""
    if not b.peaks:
        ROWS["plan-apply-undo"](b)
    worst = max(b.peaks, key=b.peaks.get)
    return [{"what": "the most memory (VmHWM) of a server in " + ", ".join(b.peaks),
             "ours": f"{b.peaks[worst]:.1f} MB ({worst})",
             **target_at_most(b.peaks[worst], 64, " MB")}]
