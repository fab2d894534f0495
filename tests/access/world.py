# SPDX-License-Identifier: Apache-2.0
"""The repositories of the access matrix, what a request needs that it may succeed, and how the world is as it
was before after one did."""
import json
import re
from urllib.parse import quote, urlencode

from registry import sha256, wait_for

TAG, SPARE = "v1", "spare"
EMPTY = sha256(b"")
NO_PLAN, NO_UPLOAD, NO_NUMBER = "0" * 32, "00000000-0000-4000-8000-000000000000", "999999999"


class Repo:
    def __init__(self, kind, name, absent=False):
        self.kind, self.name, self.absent = kind, name, absent
        self.group = name.split("/")[0]
        self.image = self.loose = None
        self.made = {}  # by placeholder; forgotten when something changed


class World:
    MINE, OWN, OPEN = "mine", "mine/own0", "open"

    def __init__(self, server, admin):
        self.admin, self.client = admin, admin.client
        self.own, self.sibling = Repo("own", self.OWN), Repo("sibling", "mine/sibl")
        # Names of one length, so that what tells them apart is more than a length.
        self.foreign, self.public = Repo("foreign", "theirs/a000"), Repo("public", "open/app0")
        self.present = [self.own, self.sibling, self.foreign, self.public]
        self.absents = 0
        self.others = 0
        self.accounts = 0
        self.who = None
        self.filled = []  # what stood for placeholders in the last request
        self.new_other()
        self.new_absent()
        admin.public(self.OPEN)
        for repo in self.present:
            self.fill(repo)

    def repositories(self):
        return [*self.present, self.absent]

    def new_absent(self):
        self.absent = Repo("absent", f"nobody/a{self.absents:03}", absent=True)
        self.absents += 1

    def new_other(self):
        self.other = f"other{self.others}"
        self.others += 1
        self.admin.account(self.other, "anothers-password")

    # ---- contents

    def fill(self, repo):
        """An image at TAG, another at SPARE, a blob that nothing names."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "name": repo.name}).encode()
        repo.image = self.client.push_image(repo.name, config, [b"layer of " + repo.name.encode()], TAG)
        repo.spare = self.client.push_image(repo.name, config, [b"spare layer of " + repo.name.encode()], SPARE)
        repo.loose = self.client.push_blob(repo.name, b"loose in " + repo.name.encode(), "single")

    def is_whole(self, repo):
        return self.client.head_manifest(repo.name, TAG) == repo.image.digest and \
            self.client.head_manifest(repo.name, SPARE) == repo.spare.digest and \
            self.client.head_blob(repo.name, repo.loose)

    # ---- placeholders

    def value(self, name, repo, actor):
        """What stands for {name}. `actor`: who may do it, for what only they may go on with."""
        if name in ("repository", "prefix"):
            return repo.name
        if name == "project":
            return quote(repo.name, safe="")
        if name == "group":
            return quote(repo.group, safe="")
        if name == "tag":
            return TAG
        if name == "other":
            return self.other
        if name == "subscription":
            return "00000000-0000-0000-0000-000000000000"
        if name == "self":
            return self.who.account or "nobody-at-all"
        about = self.foreign if repo is None or repo.absent else repo
        if name == "digest":
            return about.image.digest
        if name == "blob":
            return about.image.blobs[0]
        if name == "loose":
            return about.loose
        if name == "empty":
            return EMPTY
        if repo is not None and repo.absent:
            return {"plan": NO_PLAN, "upload": NO_UPLOAD, "deleted": about.spare.digest}.get(name, NO_NUMBER)
        if name == "upload":  # goes on only for who began it
            client = self.client
            if actor is not None:
                client = self.client.__class__(client.host, client.port)
                client.headers = actor.headers("oci")
            return client.start_upload(repo.name).rsplit("/", 1)[1]
        made = repo.made if repo is not None else self.__dict__.setdefault("made", {})
        if name not in made:
            made[name] = str(getattr(self, "make_" + name)(repo))
        return made[name]

    def make_plan(self, repo):
        return self.admin.call(201, "POST", "/plans", {"select": [{"tag": f"{repo.name}:{TAG}"}]})["plan"]

    def make_receipt(self, repo):
        """Of a deletion that can be undone."""
        self.client.delete_manifest(repo.name, SPARE, (202, 404))
        return self.admin.call(200, "GET", f"/receipts?repository={quote(repo.name, safe='')}&n=1")["items"][0]["receipt"]

    def make_rule(self, repo):
        return self.admin.call(201, "POST", "/rules", self.rule(repo.name))["rule"]

    def make_hold(self, repo):
        return self.admin.call(201, "POST", "/holds", self.hold(repo))["hold"]

    def make_token(self, repo):
        return self.admin.deploy_token(repo.name, ["pull"])["token"]

    def make_check(self, _):
        self.admin.call((202, 409), "POST", "/check?quick=true")
        return self.admin.call(200, "GET", "/check")["id"]

    @staticmethod
    def rule(repositories):
        return {"kind": "immutable", "repositories": repositories, "tags": "never-*", "reason": "a test"}

    def hold(self, repo):
        about = self.foreign if repo.absent else repo
        return {"digest": about.image.digest, "repository": repo.name, "reason": "a test"}

    # ---- requests

    def body(self, row, repo):
        """The JSON of a request, or None."""
        name = repo.name if repo is not None else None
        self.accounts += 1
        bodies = {
            "/plans": {"select": [{"tag": f"{name}:{TAG}"}], "now": "with now" in row.more},
            "/trash/restore": {"references": [f"{name}:{SPARE}"]},
            "/proposals": {"bytes": 1, **({"prefix": name} if row.more else {})},
            "/rules": self.rule("**" if "every" in row.more else name),
            "/locks": {"repository": name, "list": True},
            "/removals/reset": {"repository": name},
            "/accounts": {"account": f"made{self.accounts}", "password": "made-by-a-test"},
            "/accounts/{other}": {"note": "noted"},
            "/members": {"prefix": name, "account": self.other, "role": "guest"},
            "/visibility": {"prefix": name, "public": repo is self.public},
        }
        if row.family == "ebb" and row.method == "POST":
            path = row.path.removeprefix("/api/ebb/v1")
            if path == "/holds":
                about = repo or self.foreign
                return {**self.hold(about), **({"repository": None} if "every" in row.more else {})}
            if path == "/tokens":
                whose = {"account": self.other} if "account" in row.more else {"prefix": name, "deploy": True}
                return {"name": "made", "scopes": ["pull"], **whose}
            return bodies.get(path)
        return None

    def request(self, row, repo, actor):
        """(path, body, headers); `actor` is None for who will be refused."""
        self.filled = []
        # A restore needs something in the trash.
        if "/trash/restore" in row.path and repo is not None and not repo.absent:
            self.value("receipt", repo, actor)
        if actor is not None and row.method == "DELETE" and repo is not None:
            if "/visibility" in row.path:
                self.admin.public(repo.name, repo is self.public)
            if "/members" in row.path:
                self.admin.member(repo.name, self.other, "guest")

        def fill(match):
            value = self.value(match[1], repo, actor)
            raw = "?" in row.path[:match.start()]
            self.filled.append(value)
            return quote(value, safe="") if raw else value
        path = re.sub(r"\{(\w+)\}", fill, row.path)
        body = self.body(row, repo)
        if body is not None:
            return path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        if row.method == "PUT" and "/manifests/" in path:
            image = (self.foreign if repo.absent else repo).image
            return path, image.payload, {"Content-Type": image.media_type}
        if row.family in ("gitlab", "token", "arm"):
            return path, *self.form(row, repo)
        if row.family == "azure" and row.method in ("PATCH", "POST"):
            body = {"listEnabled": True} if row.method == "PATCH" else {"tag": SPARE}
            return path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        if row.method == "PATCH":
            return path, b"some bytes", {"Content-Type": "application/octet-stream"}
        return path, None, {}

    def form(self, row, repo):
        """What a form-encoded request holds."""
        who = self.who
        login = {"grant_type": "password", "service": "ebb", "client_id": "matrix",
                 **({"username": who.user, "password": who.secret} if who.known else {})}
        forms = {
            ("POST", "/token"): login, ("POST", "/jwt/auth"): login, ("POST", "/oauth2/token"): login,
        }
        if row.path == "/oauth2/exchange":
            forms["POST", row.path] = {"grant_type": "access_token", "service": "ebb", "access_token": self.arm_token()}
        if row.path == "/adfs/oauth2/token":
            return self.arm_form(), {"Content-Type": "application/x-www-form-urlencoded"}
        found = forms.get((row.method, row.path))
        if row.method == "DELETE" and row.path.endswith("/{id}/tags"):
            found = {"name_regex_delete": "never-.*"}
        if "/protection/" in row.path and row.method in ("POST", "PATCH"):
            found = self.protection(row.path, f"{repo.name}/asked", "never-asked") if row.method == "POST" else {}
            found["minimum_access_level_for_push"] = "owner"
        if found is None:
            return None, {}
        return urlencode(found).encode(), {"Content-Type": "application/x-www-form-urlencoded"}

    @staticmethod
    def protection(path, pattern, tags):
        levels = {"minimum_access_level_for_push": "maintainer", "minimum_access_level_for_delete": "maintainer"}
        return {**levels, **({"tag_name_pattern": tags} if "/tag/" in path else {"repository_path_pattern": pattern})}

    def arm_form(self):
        return urlencode({"client_id": self.who.user or "", "client_secret": self.who.secret or "",
                          "grant_type": "client_credentials",
                          "scope": "https://containerregistry.azure.net/.default"}).encode()

    def arm_token(self):
        """What az has after its log-in; anything for who cannot log in."""
        source = None if self.who.good else f"127.90.{self.accounts // 250}.{self.accounts % 250 + 1}"
        client = self.client.__class__(self.client.host, self.client.port, source=source)
        answer = client.request("POST", "/adfs/oauth2/token", self.arm_form(),
                                {"Content-Type": "application/x-www-form-urlencoded"})
        client.close()
        return answer.json()["access_token"] if answer.status == 200 else "none"

    def gitlab(self, wanted, method, path, form=None):
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        answer = self.client.expect(wanted, method, "/api/v4" + path, form and urlencode(form).encode(), headers)
        return answer.json() if answer.body else None

    def make_id(self, repo):
        found = self.gitlab(200, "GET", f"/projects/{quote(repo.name, safe='')}/registry/repositories")
        return next(r["id"] for r in found if r["path"] == repo.name)

    def make_path_rule(self, repo, path="repository/"):
        base = f"/projects/{quote(repo.name, safe='')}/registry/protection/{path}rules"
        return self.gitlab(201, "POST", base, self.protection(f"/{path}", f"{repo.name}/made", "never-made"))["id"]

    def make_tag_rule(self, repo):
        return self.make_path_rule(repo, "tag/")

    def make_deleted(self, repo):
        self.value("receipt", repo, None)
        return repo.spare.digest

    def also(self, row):
        """Statuses that say as well that the request was let in."""
        if "/removals/reset" in row.path:
            return (404,)  # nothing is being removed
        if row.path.endswith("/check?quick=true") or "/check" in row.path:
            return (404, 409)  # one runs, none ran
        if "listCredentials" in row.path:
            return (400,)  # there are none
        if "/reclaim/run" in row.path:
            return (409,)
        return ()

    def is_list(self, row):
        return row.path in ("/v2/_catalog", "/api/ebb/v1/repositories", "/acr/v1/_catalog")

    # ---- afterwards

    def restore(self, row, repo, answer):
        if row.method == "GET":
            return
        path = row.path.removeprefix("/api/ebb/v1")
        if "/protection/" in path and row.method == "POST":
            base = f"/projects/{quote(repo.name, safe='')}/registry/protection/" + re.search(r"protection/(\w*/?)rules", path)[1]
            self.gitlab(204, "DELETE", f"{base}rules/{answer.json()['id']}")
        if row.family == "ebb" and row.method == "POST" and path in ("/rules", "/holds", "/tokens"):
            made = answer.json()
            number = made[path[1:-1]]
            self.admin.call(204, "DELETE", f"{path}/{number}")
        if path == "/reclaim/pause":
            self.admin.call(200, "POST", "/reclaim/resume")
        if path == "/visibility" and row.method == "POST":
            self.admin.call(204, "DELETE", f"/visibility?prefix={quote(repo.name, safe='')}")
        if row.method == "DELETE" and path == "/accounts/{other}":
            self.new_other()
        if path.startswith("/accounts/{other}") or path == "/members":
            self.made = {}
        if repo is None:
            self.made = {}
            return
        self.forget(repo)
        if row.method == "DELETE" and path.endswith("/registry/repositories/{id}") and not repo.absent:
            wait_for(lambda: self.client.head_manifest(repo.name, SPARE) is None, f"{repo.name} to go")  # later than the answer
        if repo.absent:
            self.new_absent()
        elif not self.is_whole(repo):
            self.fill(repo)

    def forget(self, repo):
        """What was made for requests about it, and would stand in the way of the next."""
        for name, number in repo.made.items():
            if name in ("rule", "hold"):
                self.admin.call((204, 404), "DELETE", f"/{name}s/{number}")
            if name in ("path_rule", "tag_rule"):
                kind = name.replace("path_rule", "repository").replace("tag_rule", "tag")
                self.gitlab((204, 404), "DELETE", f"/projects/{quote(repo.name, safe='')}/registry/protection/{kind}/rules/{number}")
        repo.made = {}

    def tidy(self):
        for repo in self.present:
            self.forget(repo)

    def without_names(self, answer, repo):
        """What somebody can learn from an answer, but for names that they sent and numbers of requests."""
        headers = sorted((k.lower(), v) for k, v in answer.headers.items()
                         if k.lower() not in ("date", "x-request-id", "x-ms-correlation-request-id", "content-length"))
        text = json.dumps([answer.status, headers, answer.body.decode("utf-8", "replace")])
        names = {*self.filled, *([repo.name, repo.group] if repo else [])}
        for name in sorted(names, key=len, reverse=True):
            text = text.replace(name, "@").replace(quote(name, safe=""), "@")
        return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|[0-9a-f]{32,}", "#", text)

    def check(self, count):
        """Nothing that was refused has happened."""
        for repo in self.present:
            there = self.client.head_manifest(repo.name, TAG) == repo.image.digest and self.client.head_blob(repo.name, repo.loose)
            count.check(there, f"{repo.name} is whole at the end")
