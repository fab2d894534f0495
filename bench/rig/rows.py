# SPDX-License-Identifier: Apache-2.0
"""The rows of bench/RESULTS.md: each a function that measures and returns lines of the table."""
import hashlib
import os
import time

from . import servers
from .bench import Failed, median, target_at_least, target_at_most

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ROWS = {}


def row(name):
    def add(fn):
        ROWS[name] = fn
        return fn
    return add


def rate(runs, key="rate"):
    return median(runs, key)


def spread(runs, key="rate"):
    values = sorted(r[key] for r in runs)
    return f"{values[0]:,.0f}–{values[-1]:,.0f}"


def per_second(runs, key="rate"):
    return f"{rate(runs, key):,.0f}/s ({spread(runs, key)})"


def cost(runs, count="requests"):
    """CPU of the server for each: what a busy machine disturbs least."""
    us = 1e6 * sum(cpu_s(r) for r in runs) / max(sum(r[count] for r in runs), 1)
    return f", {us:,.1f} µs of CPU each"


def ms(us):
    return f"{us / 1000:.2f} ms"


def cpu_s(result):
    return result["server_user_s"] + result["server_sys_s"]


def push_one(server, repo, tag, layers):
    """A manifest that names blobs which are already there; gives the digest and the answer's time."""
    import json
    config = b"{}"
    digest = "sha256:" + hashlib.sha256(config).hexdigest()
    status, headers, _ = server.request("POST", f"/v2/{repo}/blobs/uploads/")
    where = headers["Location"]
    where = "/" + where.split("://", 1)[1].split("/", 1)[1] if "://" in where else where
    join = "&" if "?" in where else "?"
    status, _, body = server.request("PUT", f"{where}{join}digest={digest}", config,
                                     {"Content-Type": "application/octet-stream"})
    if status != 201:
        raise Failed(f"{server.name}: {status} for a config: {body[:200]}")
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(config),
                   "digest": digest},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": size,
                    "digest": d} for d, size in layers]}).encode()
    status, _, body = server.request("PUT", f"/v2/{repo}/manifests/{tag}", manifest,
                                     {"Content-Type": MANIFEST})
    if status != 201:
        raise Failed(f"{server.name}: {status} for a manifest: {body[:200]}")


@row("manifest-get")
def manifest_get(b):
    """Manifests by tag, 32 connections, random over 100,000 tags, against nginx and docker-registry."""
    tags = b.size(100000, 2000)
    repo = "bench/tags"
    path = f"/v2/{repo}/manifests/t%d"
    ours, nginx, peer = b.ours(), b.start(servers.Nginx), b.start(servers.Registry)
    if isinstance(ours, servers.Registry):
        fill_registry(b, ours, repo, tags)
    else:
        b.run(ours, "fill", what="setup", repo=repo, count=tags, connections=32, same_manifest=True,
              seed=7)
    fill_registry(b, peer, repo, tags)
    manifest = ours.get(f"/v2/{repo}/manifests/t0")[2]
    os.makedirs(nginx.path(f"/v2/{repo}/manifests"))
    for i in range(tags):
        with open(nginx.path(f"/v2/{repo}/manifests/t{i}"), "wb") as f:
            f.write(manifest)
    for s in (ours, nginx, peer):
        if s.get(f"/v2/{repo}/manifests/t1")[2] != manifest:
            raise Failed(f"{s.name} answers other bytes")
    os.sync()
    options = dict(path=path, range=tags, connections=32, seconds=b.size(5, 1), warm=1)
    sides = {
        "ours": lambda: b.run(ours, "get", "ours", "get", **options),
        "nginx": lambda: b.run(nginx, "get", "nginx", **options),
    }
    runs = b.alternate(sides, b.pairs(5))
    lines = [{
        "what": f"manifest GET by tag, 32 connections, {tags:,} tags; nginx: the same bytes as files",
        "ours": per_second(runs["ours"]) + cost(runs["ours"]) +
                f", p99 {ms(median(runs['ours'], 'latency_us.get.p99'))}",
        "peer": per_second(runs["nginx"]) + cost(runs["nginx"]) +
                f", p99 {ms(median(runs['nginx'], 'latency_us.get.p99'))}",
        **target_at_least(rate(runs["ours"]) / rate(runs["nginx"]), 1.1), **b.note_cpu(runs["ours"]),
    }]
    sides = {
        "ours": sides["ours"],
        "registry": lambda: b.run(peer, "get", "docker-registry", **options),
    }
    runs = b.alternate(sides, b.pairs(5))
    lines.append({
        "what": "the same; docker-registry",
        "ours": per_second(runs["ours"]),
        "peer": per_second(runs["registry"]) + cost(runs["registry"]) +
                f", p99 {ms(median(runs['registry'], 'latency_us.get.p99'))}",
        **target_at_least(rate(runs["ours"]) / rate(runs["registry"]), 40), **b.note_cpu(runs["ours"]),
    })
    return lines


def fill_registry(b, server, repo, tags):
    b.run(server, "fill", "peer", "setup", repo=repo, count=1, connections=1, same_manifest=True,
          seed=7, tag_prefix="first")
    digest = server.get(f"/v2/{repo}/manifests/first0")[1]["Docker-Content-Digest"]
    server.link_tags(repo, digest, "t", tags)


@row("blob-get")
def blob_get(b):
    """One large blob over one connection, and 32 over 32, against nginx with sendfile."""
    ours, nginx = b.ours(), b.start(servers.Nginx)
    lines = []
    plans = [("one stream of 1 GiB", 1, b.size("1G", "128M"), 4),
             ("32 streams of 64 MiB", 32, b.size("64M", "8M"), 2)]
    for what, streams, size, times in plans:
        repo = f"bench/blobs{streams}"
        digests = b.run(ours, "put", what="setup", repo=repo, size=size,
                        connections=streams)["digests"]
        paths = [f"/v2/{repo}/blobs/{d}" for d in digests]
        for p, d in zip(paths, digests):
            ours.download(p, nginx.path(p))
            with open(nginx.path(p), "rb") as f:
                if "sha256:" + hashlib.file_digest(f, "sha256").hexdigest() != d:
                    raise Failed(f"wrong bytes for {p}")
        names = os.path.join(b.work, f"paths{streams}")
        with open(names, "w", encoding="ascii") as f:
            f.write("".join(p + "\n" for p in paths))
        os.sync()
        for extra, options in (("", {}), (", read into memory by the client", {"copy": True})):
            options = dict(options, paths=names, connections=streams, count=times)
            runs = b.alternate({
                "ours": lambda: b.run(ours, "fetch", "ours", f"{streams}{extra[:5]}", **options),
                "nginx": lambda: b.run(nginx, "fetch", "nginx", f"{streams}{extra[:5]}", **options),
            }, b.pairs(5))
            ratio = rate(runs["ours"], "mb_per_s") / rate(runs["nginx"], "mb_per_s")
            lines.append({
                "what": f"blob GET, {what}{extra}",
                "ours": f"{rate(runs['ours'], 'mb_per_s'):,.0f} MB/s ({spread(runs['ours'], 'mb_per_s')})",
                "peer": f"{rate(runs['nginx'], 'mb_per_s'):,.0f} MB/s ({spread(runs['nginx'], 'mb_per_s')})",
                **target_at_least(ratio, 1.0), **b.note_cpu(runs["ours"]),
            })
            each = {}
            for side in runs: # over all runs: a tick is 10 ms
                each[side] = sum(cpu_s(r) for r in runs[side]) / \
                    sum(r["bytes_in"] for r in runs[side]) * 1e9
            lines.append({
                "what": f"the same, CPU of the server per GB{extra}",
                "ours": f"{each['ours'] * 1000:.0f} ms", "peer": f"{each['nginx'] * 1000:.0f} ms",
                **target_at_most(each["ours"] / max(each["nginx"], 0.001), 1.0),
            })
    return lines


@row("blob-put")
def blob_put(b):
    """One upload of 1 GiB against writing and syncing a file, and against hashing it."""
    size = b.size("1G", "128M")
    ours = b.ours()
    file = os.path.join(b.work, "bytes")
    count = [0]

    def put():
        os.sync() # dirty pages of the run before are not this run's cost
        count[0] += 1
        repo = f"bench/put{count[0]}"
        r = b.run(ours, "put", "ours", "put", repo=repo, size=size)
        begin = time.monotonic()
        push_one(ours, repo, "latest", [(r["digests"][0], r["bytes_out"])])
        r["durable_mb_per_s"] = r["bytes_out"] / 1e6 / (r["seconds"] + time.monotonic() - begin)
        return r

    def write():
        os.sync()
        return b.run(None, "write", "write", size=size, file=file)

    runs = b.alternate({"ours": put, "write": write,
                        "hash": lambda: b.run(None, "hash", "hash", size=size)}, b.pairs(5))
    def line(what, key):
        return {
            "what": what,
            "ours": f"{rate(runs['ours'], key):,.0f} MB/s ({spread(runs['ours'], key)})",
            "peer": f"{rate(runs['write'], 'mb_per_s'):,.0f} MB/s ({spread(runs['write'], 'mb_per_s')})",
            **target_at_least(rate(runs["ours"], key) / rate(runs["write"], "mb_per_s"), 0.9),
            **b.note_cpu(runs["ours"]),
        }
    lines = [line("blob PUT of 1 GiB, one stream, to its 201; peer: a file of the same bytes with "
                  "fsync", "mb_per_s"),
             line("the same, to the 201 of a manifest that names it", "durable_mb_per_s")]
    spent = {
        "user": (median(runs["ours"], "server_user_s"), median(runs["hash"], "load_user_s")),
        "system": (median(runs["ours"], "server_sys_s"), median(runs["hash"], "load_sys_s")),
        "writing": (0, median(runs["write"], "load_user_s") + median(runs["write"], "load_sys_s")),
    }
    total = (spent["user"][0] + spent["system"][0], spent["user"][1] + spent["system"][1])
    lines.append({
        "what": "the same, CPU (user + system); peer: SHA-256 of the bytes in memory",
        "ours": f"{total[0]:.2f} s ({spent['user'][0]:.2f} + {spent['system'][0]:.2f})",
        "peer": f"{total[1]:.2f} s ({spent['user'][1]:.2f} + {spent['system'][1]:.2f})",
        **target_at_most(total[0] / total[1], 1.15),
    })
    lines.append({
        "what": "the same; peer: SHA-256 and the write of the file together",
        "ours": f"{total[0]:.2f} s",
        "peer": f"{total[1] + spent['writing'][1]:.2f} s",
        "ratio": f"{total[0] / (total[1] + spent['writing'][1]):.2f}",
    })
    return lines


def pushes(b, what, target, connections, layer_bytes, seconds):
    ours, peer = b.ours(), b.start(servers.Registry)
    options = dict(repo="bench/app", connections=connections, layer_bytes=layer_bytes,
                   seconds=b.size(seconds, 2))
    turn = [0]

    def push(server, side):
        turn[0] += 1
        return b.run(server, "push", side, "push", tag_prefix=f"r{turn[0]}-", **options)

    runs = b.alternate({"ours": lambda: push(ours, "ours"),
                        "registry": lambda: push(peer, "docker-registry")}, b.pairs(5))
    p99 = {side: ms(median(runs[side], "latency_us.manifest.p99")) for side in runs}
    ratio = rate(runs["ours"], "image_rate") / rate(runs["registry"], "image_rate")
    return [{
        "what": what,
        "ours": per_second(runs["ours"], "image_rate") + cost(runs["ours"], "images") +
                f", manifest p99 {p99['ours']}",
        "peer": per_second(runs["registry"], "image_rate") + cost(runs["registry"], "images") +
                f", manifest p99 {p99['registry']}",
        **(target_at_least(ratio, target) if target else {"ratio": f"{ratio:.1f}"}),
        **b.note_cpu(runs["ours"]),
    }], runs


@row("small-push")
def small_push(b):
    """Images of 4 layers of 1 KiB, a config and a manifest: 12 requests; 32 pushers."""
    return pushes(b, "small images (4 layers of 1 KiB; 12 requests), 32 pushers; docker-registry",
                  15, 32, 1024, 6)[0]


@row("push-256k")
def push_256k(b):
    """The same with layers of 256 KiB; 8 pushers."""
    return pushes(b, "images of 4 layers of 256 KiB, 8 pushers; docker-registry", 5, 8, "256K", 6)[0]


@row("one-at-a-time")
def one_at_a_time(b):
    """A single pusher: what one commit costs."""
    lines, runs = pushes(b, "small images, one pusher; docker-registry", None, 1, 1024, 5)
    for kind, text in (("post", "POST of an upload"), ("put", "PUT of a blob of 1 KiB"),
                       ("manifest", "PUT of a manifest"), ("image", "the image")):
        p = {s: [median(runs[s], f"latency_us.{kind}.{q}") for q in ("p50", "p99")] for s in runs}
        lines.append({
            "what": f"the same, {text}: p50, p99",
            "ours": f"{ms(p['ours'][0])}, {ms(p['ours'][1])}",
            "peer": f"{ms(p['registry'][0])}, {ms(p['registry'][1])}",
            "ratio": f"{p['ours'][0] / p['registry'][0]:.2f}",
        })
    return lines


def filled(b, images):
    """A server with that many images by tag in one repository; each has a config of its own."""
    s = b.ours()
    r = b.run(s, "fill", what="setup", repo="bench/many", count=images, connections=64, layers=400,
              seed=11)
    print(f"  {images:,} images in {r['seconds']:.0f} s, {r['errors']} errors", flush=True)
    s.fill_memory = s.memory_mb()
    s.images = images
    return s


def small_and_big(b):
    return (b.keep("small", lambda: filled(b, 1000)),
            b.keep("big", lambda: filled(b, b.size(1000000, 20000))))


@row("scale")
def scale(b):
    """A page of tags and a manifest in registries of 10^3 and 10^6 images."""
    small, big = small_and_big(b)
    lines = []
    # Behind t1... there are always 100 tags more: every page is full.
    for text, path, part in (
            ("tags/list page of 100", "/v2/bench/many/tags/list?n=100&last=t1%d", 10),
            ("manifest GET by tag", "/v2/bench/many/manifests/t%d", 1)):
        def get(s, side):
            return b.run(s, "get", side, text.split()[0].replace("/", "-"), path=path,
                         range=s.images // part, connections=8, seconds=b.size(3, 1), warm=0.5)
        runs = b.alternate({"small": lambda: get(small, "small"), "big": lambda: get(big, "big")},
                           b.pairs(5))
        ratio = rate(runs["small"]) / rate(runs["big"])
        lines.append({
            "what": f"{text}, 8 connections: {big.images:,} images; peer: ours with 1,000",
            "ours": f"{per_second(runs['big'])}, p99 {ms(median(runs['big'], 'latency_us.get.p99'))}",
            "peer": f"{per_second(runs['small'])}, p99 {ms(median(runs['small'], 'latency_us.get.p99'))}",
            **target_at_most(ratio, 1.3), **b.note_cpu(runs["big"]),
        })
    return lines


@row("memory")
def memory(b):
    """Resident memory: idle, after filling, and after a restart under reads and pushes."""
    fresh, peer = b.ours(), b.start(servers.Registry)
    for s in (fresh, peer):
        s.get("/v2/")
    idle = {"ours": fresh.memory_mb(), "peer": peer.memory_mb()}
    big = small_and_big(b)[1]
    big.stop()
    big.start()
    big.get("/v2/")
    restarted = big.memory_mb()
    b.run(big, "get", what="setup", path="/v2/bench/many/manifests/t%d", range=big.images,
          connections=32, seconds=b.size(5, 1))
    b.run(big, "push", what="setup", repo="bench/other", connections=32, seconds=b.size(5, 1))
    worked = big.memory_mb()
    worst = max(big.fill_memory, restarted, worked)
    def text(m):
        return f"{m[0]:.1f} MB ({m[1]:.1f} anonymous)"
    return [
        {"what": "resident memory, idle; docker-registry", "ours": text(idle["ours"]),
         "peer": text(idle["peer"]), **target_at_most(idle["ours"][0], 12, " MB")},
        {"what": f"with {big.images:,} images: the most of after filling "
                 f"({text(big.fill_memory)}), restarted ({text(restarted)}), and after 32 "
                 f"connections of reads and of pushes ({text(worked)})",
         "ours": text(worst), **target_at_most(worst[0], 64, " MB")},
    ]


@row("idle")
def idle(b):
    """10,000 idle connections: their memory; with them and slow clients, the p99 of others."""
    count = min(10000, servers.nofile_limit() - 1000)
    if b.quick:
        count = 2000
    ours = b.ours()
    repo = "bench/tags"
    b.run(ours, "fill", what="setup", repo=repo, count=b.size(10000, 1000), connections=32,
          same_manifest=True)
    big = b.run(ours, "put", what="setup", repo=repo, size="64M")["digests"][0]
    get = dict(path=f"/v2/{repo}/manifests/t%d", range=b.size(10000, 1000), connections=32,
               rate=5000, seconds=b.size(5, 2), warm=0.5)
    push = dict(repo="bench/app", connections=4, seconds=b.size(5, 2))
    turn = [0]
    grown = []

    def measure(side):
        turn[0] += 1
        g = b.run(ours, "get", side, "get", **get)
        p = b.run(ours, "push", side, "push", tag_prefix=f"r{turn[0]}-", **push)
        return {"get": g, "push": p}

    def with_clients():
        before = ours.memory_mb()[0]
        held = b.hold(ours, "idle", connections=count, sources=100)
        grown.append(ours.memory_mb()[0] - before)
        slow = b.hold(ours, "slow", uploads=200, downloads=200, sources=100, repo="bench/slow",
                      size="1G", path=f"/v2/{repo}/blobs/{big}")
        r = measure("with")
        r["lost"] = held.end()["lost"]
        r["slow"] = slow.end()
        return r

    runs = b.alternate({"without": lambda: measure("without"), "with": with_clients}, b.pairs(5))
    lost = max(r["lost"] for r in runs["with"])
    slow_lost = max(r["slow"]["lost"] for r in runs["with"])
    lines = [{
        "what": f"{count:,} idle keep-alive connections: resident memory they add "
                f"({lost} were closed by the server)",
        "ours": f"{max(grown):.1f} MB", **target_at_most(max(grown), 200, " MB"),
    }]
    for kind, key, text in (("get", "get", "manifest GETs, 5,000/s"),
                            ("push", "image", "small pushes, 4 pushers")):
        p = {s: median([r[kind] for r in runs[s]], f"latency_us.{key}.p99") for s in runs}
        lines.append({
            "what": f"p99 of {text}, with them, 200 slow uploads and 200 slow downloads "
                    f"({slow_lost} ended early); peer: without",
            "ours": ms(p["with"]), "peer": ms(p["without"]),
            **target_at_most(p["with"] / p["without"], 1.5),
            **b.note_cpu([r[kind] for r in runs["with"]]),
        })
    return lines
