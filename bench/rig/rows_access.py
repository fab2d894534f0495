# SPDX-License-Identifier: Apache-2.0
"""The rows about accounts: what knowing who asks costs, the token service, GitLab's and Azure's doors."""
import base64
import json
import os
import socket
import statistics
import time
from urllib.parse import quote, urlencode

from . import servers
from .bench import Failed, median, target_at_least, target_at_most
from .rows import cost, ms, per_second, rate, row
from .rows_deletion import note, seconds, spread

PASSWORD = "administrators-password"


def basic(name, secret):
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


class Accounts(servers.Ebb):
    """First open, so that it can be filled as the others are; from with_accounts() on with them."""

    probe = "/healthz"
    mode = "open"
    authorization = None

    def command(self):
        os.environ["EBB_ADMIN_PASSWORD"] = PASSWORD
        return super().command() + ["--set", f"auth.mode={self.mode}", "--set", "gitlab.bulk_interval=0s",
                                    "--set", "deletion.max_percent=100"]

    def request(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.authorization:
            headers.setdefault("Authorization", self.authorization)
        return super().request(method, path, body, headers)

    def with_accounts(self):
        self.stop()
        self.mode = "accounts"
        self.start()
        self.authorization = basic("admin", PASSWORD)
        self.token = self.api("POST", "/tokens", {"name": "bench", "scopes": ["admin"]})["secret"]
        self.authorization = basic("admin", self.token)
        return self

    def jwt(self, scope):
        status, _, body = self.request("GET", f"/token?service=ebb&scope={quote(scope, safe='')}")
        if status != 200:
            raise Failed(f"/token: {status} {body[:200]}")
        return json.loads(body)["token"]


def fill(b, server, repo, tags, **more):
    b.run(server, "fill", what="setup", repo=repo, count=tags, connections=32, seed=7, **more)


@row("accounts-get")
def accounts_get(b):
    """Manifests by tag by a bearer token, 32 connections, against the same without accounts."""
    tags, repo = b.size(100000, 2000), "bench/tags"
    opened, closed = b.ours(), b.start(Accounts)
    for s in (opened, closed):
        fill(b, s, repo, tags, same_manifest=True)
    closed.with_accounts()
    options = dict(path=f"/v2/{repo}/manifests/t%d", range=tags, connections=32, seconds=b.size(5, 1), warm=1)
    bearer = "Bearer " + closed.jwt(f"repository:{repo}:pull")
    sides = {
        "open": lambda: b.run(opened, "get", "open", **options),
        "bearer": lambda: b.run(closed, "get", "ours", "bearer", authorization=bearer, **options),
        "basic": lambda: b.run(closed, "get", "ours", "basic", authorization=closed.authorization, **options),
    }
    runs = b.alternate(sides, b.pairs(5))
    lines = []
    for side, what, bound in (("bearer", "by an access token (JWT)", 0.9), ("basic", "by Basic with a token", None)):
        ratio = rate(runs[side]) / rate(runs["open"])
        lines.append({
            "what": f"manifest GET by tag {what}, 32 connections, {tags:,} tags; peer: Ebb with auth.mode open",
            "ours": per_second(runs[side]) + cost(runs[side]) + f", p99 {ms(median(runs[side], 'latency_us.get.p99'))}",
            "peer": per_second(runs["open"]) + cost(runs["open"]) +
                    f", p99 {ms(median(runs['open'], 'latency_us.get.p99'))}",
            **(target_at_least(ratio, bound) if bound else {"ratio": f"{ratio:.2f}"}), **b.note_cpu(runs[side]),
        })
    return lines


@row("token-service")
def token_service(b):
    """GET /token with a token as the password, 32 connections."""
    s = b.start(Accounts).with_accounts()
    scope = "repository:bench/tags:pull,push"
    options = dict(path=f"/token?service=ebb&scope={scope}", connections=32, seconds=b.size(5, 1), warm=1,
                   authorization=s.authorization)
    runs = b.alternate({"ours": lambda: b.run(s, "get", "ours", "get", **options)}, b.pairs(5))["ours"]
    return [{
        "what": "token service: GET /token by Basic with a token, 32 connections",
        "ours": per_second(runs) + cost(runs) + f", p99 {ms(median(runs, 'latency_us.get.p99'))}",
        "target": "≥ 2,000/s", "met": "yes" if rate(runs) >= 2000 else "no", **b.note_cpu(runs),
    }]


def gitlab(server, method, path, form=None, wanted=(200, 202)):
    status, _, body = server.request(method, "/api/v4" + path, form and urlencode(form), {
        "PRIVATE-TOKEN": server.token, **({"Content-Type": "application/x-www-form-urlencoded"} if form else {})})
    if status not in wanted:
        raise Failed(f"{method} {path}: {status} {body[:300]}")
    return json.loads(body) if body else None


@row("gitlab-bulk")
def gitlab_bulk(b):
    """GitLab's bulk deletion of 10,000 tags: to the answer, and to its effect."""
    tags, repo = b.size(10000, 2000), "bench/project"
    s = b.start(Accounts)
    fill(b, s, repo, tags, shared_config=True)
    fill(b, s, repo, 1, same_manifest=True, tag_prefix="stays")
    s.with_accounts()
    base = f"/projects/{quote(repo, safe='')}/registry/repositories"
    base += f"/{gitlab(s, 'GET', base)[0]['id']}/tags"
    answered, done = [], []
    for _ in range(b.pairs(3)):
        begin = time.monotonic()
        gitlab(s, "DELETE", base, {"name_regex_delete": "t[0-9]+"})
        answered.append(time.monotonic() - begin)
        while len(gitlab(s, "GET", base + "?per_page=2")) > 1:
            if time.monotonic() - begin > 60:
                raise Failed("tags are there after 60 s")
            time.sleep(0.01)
        done.append(time.monotonic() - begin)
        note(b, "bulk", answered_s=answered[-1], seconds=done[-1])
        receipt = s.api("GET", f"/receipts?repository={quote(repo, safe='')}&n=1")["items"][0]
        s.carry_out(f"/receipts/{receipt['receipt']}/undo")
    return [{"what": f"bulk deletion by GitLab's call: {tags:,} tags, an image each, until they are gone",
             "ours": f"{spread(done)}; the answer after {seconds(statistics.median(answered))}",
             **target_at_most(statistics.median(done), 2, " s")}]


class Wire:
    """One connection, and as little around it as there can be: what is measured is the server."""

    def __init__(self, server):
        self.host = server.to
        self.socket = socket.create_connection(("127.0.0.1", server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, wanted, method, path, headers="", body=""):
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n{headers}"
                            f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        got = self.socket.recv(65536)
        while b"\r\n\r\n" not in got:
            got += self.socket.recv(65536)
        head, _, rest = got.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(rest) < length:
            rest += self.socket.recv(65536)
        if int(head[9:12]) != wanted:
            raise Failed(f"{method} {path}: {head[9:12]} {rest[:200]}")
        return rest

    def form(self, path, **members):
        return json.loads(self.ask(200, "POST", path, "Content-Type: application/x-www-form-urlencoded\r\n",
                                   urlencode(members)))


def az_delete(wire, arm, registry, repo, digest):
    """What `az acr repository delete --image repo@digest --yes` asks, after `az login`."""
    host = wire.host.split(":")[0]
    group = "/subscriptions/" + registry.split("/")[2]
    wire.ask(200, "GET", group + "/resources?api-version=2022-09-01&%24filter=" +
             quote("resourceType eq 'Microsoft.ContainerRegistry/registries'"), f"Authorization: Bearer {arm}\r\n")
    wire.ask(200, "GET", registry + "?api-version=2023-07-01", f"Authorization: Bearer {arm}\r\n")
    for scope in (f"repository:{repo}:metadata_read", f"repository:{repo}:delete"):
        wire.ask(401, "GET", "/v2/")
        refresh = wire.form("/oauth2/exchange", grant_type="access_token", service=host, access_token=arm)["refresh_token"]
        access = wire.form("/oauth2/token", grant_type="refresh_token", service=host, scope=scope,
                           refresh_token=refresh)["access_token"]
        bearer = f"Authorization: Bearer {access}\r\n"
        if scope.endswith("read"):
            wire.ask(200, "GET", f"/acr/v1/{repo}/_tags?n=100&orderby=", bearer)
        else:
            wire.ask(202, "DELETE", f"/v2/{repo}/manifests/{digest}", bearer)


def in_log(path, offset):
    """Seconds that the requests behind `offset` of a log took in the registry."""
    with open(path, encoding="utf-8", errors="replace") as log:
        log.seek(offset)
        lines = [json.loads(line) for line in log if line.startswith("{")]
    return sum(line["us"] for line in lines if line.get("message") == "request") / 1e6


@row("az-script")
def az_script(b):
    """What the well-known script for untagged images costs here for each digest: all calls of one az."""
    images, repo = b.size(1000, 100), "bench/az"
    s = b.start(Accounts)
    fill(b, s, repo, images, shared_config=True)
    fill(b, s, repo, 50, same_manifest=True, tag_prefix="kept")
    s.with_accounts()
    _, _, body = s.request("GET", f"/acr/v1/{repo}/_manifests?n={images + 50}")
    digests = [m["digest"] for m in json.loads(body)["manifests"] if "kept0" not in (m["tags"] or ())]
    for i in range(images):
        s.request("DELETE", f"/acr/v1/{repo}/_tags/t{i}")
    wire = Wire(s)
    arm = wire.form("/adfs/oauth2/token", client_id="admin", client_secret=s.token, grant_type="client_credentials",
                    scope="https://containerregistry.azure.net/.default")["access_token"]
    account = json.loads(wire.ask(200, "GET", "/subscriptions?api-version=2022-09-01",
                                  f"Authorization: Bearer {arm}\r\n"))["value"][0]["id"]
    registry = json.loads(wire.ask(200, "GET", account + "/resources", f"Authorization: Bearer {arm}\r\n"))["value"][0]["id"]
    took, log = [], os.path.join(s.dir, "log")
    logged = os.path.getsize(log)
    for digest in digests[:images]:
        begin = time.monotonic()
        az_delete(wire, arm, registry, repo, digest)
        took.append(time.monotonic() - begin)
    s.stop()  # its log is whole
    ours = in_log(log, logged) / len(took)
    note(b, "az", server_s=ours, median_s=statistics.median(took), mean_s=statistics.mean(took))
    text = lambda s: f"{s * 1000:.2f} ms"  # noqa: E731
    return [{"what": f"az acr repository delete of a digest, 10 requests, {len(took):,} digests, one after the other, no TLS",
             "ours": f"{text(ours)} in the registry; {text(statistics.median(took))} at a client in Python",
             **target_at_most(ours * 1000, 2, " ms")}]
