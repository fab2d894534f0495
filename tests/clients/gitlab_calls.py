#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every call to a container registry that python-gitlab has, and what it makes of the answers. Prints TAP.

    gitlab_calls.py URL                 an open, empty registry: any token is taken
    gitlab_calls.py URL PASSWORD        one with accounts, and the administrator's password: tokens, roles, and what
                                  somebody may not see
"""
import hashlib
import json
import sys
import time

import gitlab
import requests

URL = sys.argv[1]
PASSWORD = sys.argv[2] if len(sys.argv) > 2 else None
AUTH = ("admin", PASSWORD) if PASSWORD else None
count = failed = 0


def case(name):
    def run(fn):
        global count, failed
        count += 1
        try:
            fn()
            print(f"ok {count} - {name}", flush=True)
        except Exception as e:
            failed += 1
            print(f"not ok {count} - {name}\n#   {type(e).__name__}: {e}", flush=True)
    return run


def refused(code, fn, *args, text=None, **kwargs):
    try:
        fn(*args, **kwargs)
    except gitlab.exceptions.GitlabError as e:
        assert e.response_code == code, f"{e.response_code}, not {code}: {e}"
        assert text is None or text in str(e.error_message), str(e.error_message)
        return
    raise AssertionError(f"this is no {code}")


def until(fn):
    end = time.monotonic() + 30
    while not fn():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)


def ebb(method, path, body=None, auth=AUTH):
    r = requests.request(method, f"{URL}/api/ebb/v1{path}", json=body, auth=auth, timeout=60)
    assert r.ok, f"{method} {path}: {r.status_code} {r.text}"
    return r.json() if r.text else None


def put_blob(repo, data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    r = requests.post(f"{URL}/v2/{repo}/blobs/uploads/?digest={digest}", data=data, auth=AUTH, timeout=60,
                      headers={"Content-Type": "application/octet-stream"})
    assert r.status_code == 201, r.text
    return {"digest": digest, "size": len(data)}


def push(repo, *tags, text="layer"):
    kind = "application/vnd.oci.image.manifest.v1+json"
    config = put_blob(repo, b"{}")
    layer = put_blob(repo, text.encode())
    body = json.dumps({"schemaVersion": 2, "mediaType": kind,
                       "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
                       "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **layer}]})
    for tag in tags:
        r = requests.put(f"{URL}/v2/{repo}/manifests/{tag}", data=body, headers={"Content-Type": kind}, auth=AUTH,
                         timeout=60)
        assert r.status_code == 201, r.text
    return "sha256:" + hashlib.sha256(body.encode()).hexdigest(), config["digest"]


def client(token, how="private_token"):
    return gitlab.Gitlab(URL, **{how: token}, retry_transient_errors=False, timeout=60)


def make_token(scopes, **more):
    return ebb("POST", "/tokens", {"name": "test", "scopes": scopes, **more})["secret"]


def names(items):
    return [i.name for i in items]


TOKEN = make_token(["admin"]) if PASSWORD else "anything"
digest, config = push("group/project", "v1", "v2", "latest")
push("group/project/app", *[f"t{i:02}" for i in range(45)], text="app")
push("group/other", "x")
gl = client(TOKEN)


@case("auth() knows who one is; version() is GitLab's")
def _():
    gl.auth()
    assert gl.user.username == ("admin" if PASSWORD else "anonymous")
    version, revision = gl.version()
    assert version.startswith("18.") and revision


@case("a project by path and by number, its list, a group")
def _():
    project = gl.projects.get("group/project")
    assert project.path_with_namespace == "group/project" and project.container_expiration_policy is None
    assert gl.projects.get(project.id).path_with_namespace == "group/project"
    assert {"group/project", "group/other"} <= {p.path_with_namespace for p in gl.projects.list(iterator=True)}
    assert [p.path for p in gl.projects.list(search="other")] == ["other"]
    assert gl.groups.get("group").full_path == "group"
    assert "group" in [g.full_path for g in gl.groups.list(get_all=True)]
    refused(404, gl.projects.get, "group/nothing", text="404 Project Not Found")
    refused(404, gl.groups.get, "nothing", text="404 Group Not Found")


project = gl.projects.get("group/project")
group = gl.groups.get("group")


def repository(path, **kwargs):
    return next(r for r in project.repositories.list(get_all=True, **kwargs) if r.path == path)


@case("repositories of a project, with tags and their number")
def _():
    assert [(r.path, r.name) for r in project.repositories.list()] == [("group/project", ""),
                                                                      ("group/project/app", "app")]
    first = repository("group/project", tags=True, tags_count=True)
    assert first.tags_count == 3 and [t["name"] for t in first.attributes["tags"]] == ["latest", "v1", "v2"]
    assert first.location == URL.split("//")[1] + "/group/project" and first.status is None
    assert first.project_id == project.id and first.delete_api_path.startswith(URL)


@case("pages: totals, and an iterator over them")
def _():
    page = project.repositories.list(per_page=1, iterator=True)
    assert (page.total, page.total_pages, page.per_page, page.current_page, page.next_page) == (2, 2, 1, 1, 2)
    assert len(list(page)) == 2
    assert [r.name for r in project.repositories.list(page=2, per_page=1)] == ["app"]


@case("repositories of a group")
def _():
    assert [r.path for r in group.registry_repositories.list()] == ["group/other", "group/project",
                                                                   "group/project/app"]


@case("one repository by its number, with its size")
def _():
    r = gl.registry_repositories.get(repository("group/project/app").id, tags_count=True, size=True)
    assert r.path == "group/project/app" and r.tags_count == 45 and r.size > 0
    refused(404, gl.registry_repositories.get, 4711)


@case("tags: by page, all, by key, by name")
def _():
    tags = repository("group/project/app").tags
    assert len(tags.list(get_all=False)) == 20 and len(tags.list(get_all=True)) == 45
    assert len(tags.list(iterator=True, pagination="keyset", per_page=10)) is not None
    found = names(tags.list(iterator=True, pagination="keyset", per_page=10))
    assert found == [f"t{i:02}" for i in range(45)]
    found = names(tags.list(iterator=True, pagination="keyset", per_page=10, sort="desc"))
    assert found == [f"t{i:02}" for i in reversed(range(45))]
    assert names(tags.list(name="t4", get_all=True)) == ["t40", "t41", "t42", "t43", "t44"]


@case("one tag")
def _():
    tag = repository("group/project").tags.get("v1")
    assert tag.digest == digest and "sha256:" + tag.revision == config and tag.short_revision == tag.revision[:9]
    assert tag.total_size > 0 and tag.created_at.endswith("Z") and tag.path == "group/project:v1"
    refused(404, repository("group/project").tags.get, "nothing", text="404 Tag Not Found")


@case("a tag is deleted, by manager and by object")
def _():
    tags = repository("group/project").tags
    tags.delete("v1")
    tags.get("v2").delete()
    assert names(tags.list()) == ["latest"]
    refused(404, tags.delete, "v1")


@case("tags are deleted in bulk, once an hour")
def _():
    tags = repository("group/project/app").tags
    refused(400, tags.delete_in_bulk, "(", text="name_regex_delete is an invalid regexp")
    tags.delete_in_bulk("t.*", name_regex_keep="t0[0-4]", keep_n=5)
    until(lambda: len(tags.list(get_all=True)) == 10)
    refused(400, tags.delete_in_bulk, ".*", text="This request has already been made.")
    tags = next(r for r in gl.projects.get("group/other").repositories.list()).tags
    tags.delete_in_bulk(".*", older_than="1h")
    assert names(tags.list()) == ["x"]


for manager in ("registry_protection_repository_rules", "registry_protection_rules"):
    @case(f"protection rules of repositories: {manager}")
    def _():
        rules = getattr(project, manager)
        assert rules.list() == []
        rule = rules.create({"repository_path_pattern": "group/project/*",
                             "minimum_access_level_for_push": "maintainer",
                             "minimum_access_level_for_delete": "admin"})
        assert rule.project_id == project.id and rule.minimum_access_level_for_delete == "admin"
        refused(422, rules.create, {"repository_path_pattern": "group/project/*",
                                    "minimum_access_level_for_push": "owner"})
        refused(400, rules.create, {"repository_path_pattern": "group/project/x"})
        rule.minimum_access_level_for_delete = ""
        rule.save()
        assert rules.list()[0].minimum_access_level_for_delete is None
        assert rules.update(rule.id, {"repository_path_pattern": "group/project/app"})["id"] == rule.id
        assert [r.repository_path_pattern for r in rules.list()] == ["group/project/app"]
        project.registry_protection_repository_rules.delete(rule.id)
        assert rules.list() == []
        refused(404, rules.update, rule.id, {"minimum_access_level_for_push": "owner"})


@case("protection rules of tags")
def _():  # python-gitlab has no manager for them yet
    path = f"/projects/{project.id}/registry/protection/tag/rules"
    levels = {"minimum_access_level_for_push": "owner", "minimum_access_level_for_delete": "admin"}
    rule = gl.http_post(path, post_data={"tag_name_pattern": "^v[0-9]+$", **levels})
    assert gl.http_list(path, get_all=True) == [rule] and rule["tag_name_pattern"] == "^v[0-9]+$"
    changed = gl.http_patch(f"{path}/{rule['id']}", post_data={"tag_name_pattern": "v9"})
    assert changed == {**rule, "tag_name_pattern": "v9"}
    gl.http_delete(f"{path}/{rule['id']}")
    assert gl.http_list(path, get_all=True) == []


@case("a repository is deleted: 202, then gone")
def _():
    r = repository("group/project/app")
    r.delete()
    until(lambda: [x.path for x in project.repositories.list()] == ["group/project"])
    refused(404, gl.registry_repositories.get, r.id)
    refused(404, project.repositories.delete, r.id)


@case("all of it has receipts, and comes back")
def _():
    receipts = ebb("GET", "/receipts")["items"]
    assert {r["door"] for r in receipts} == {"gitlab"} and [r["tags"] for r in receipts] == [10, 35, 1, 1]
    for r in receipts:
        ebb("POST", f"/receipts/{r['receipt']}/undo", {})
    assert repository("group/project/app", tags_count=True).tags_count == 45
    assert repository("group/project", tags_count=True).tags_count == 3


if PASSWORD:
    for name, role in (("mia", "maintainer"), ("dev", "developer"), ("out", None)):
        ebb("POST", "/accounts", {"account": name, "password": f"{name}-password-1"})
        if role:
            ebb("POST", "/members", {"prefix": "group", "account": name, "role": role})
    people = {name: client(ebb("POST", "/tokens", {"name": "t", "scopes": ["admin"]},
                               auth=(name, f"{name}-password-1"))["secret"]) for name in ("mia", "dev", "out")}

    @case("without credentials, and with wrong ones: 401")
    def _():
        nobody = gitlab.Gitlab(URL, timeout=60)
        for who in (nobody, client("ebb-nonsense"), client("nonsense", "oauth_token")):
            refused(401, who.projects.get, "group/project")
            refused(401, who.projects.get, "nothing/there")
            refused(401, who.projects.get, 4711)
            refused(401, who.registry_repositories.get, 1)
            refused(401, who.auth)

    @case("a token as PRIVATE-TOKEN, JOB-TOKEN, Bearer and in the query")
    def _():
        for how in ("private_token", "job_token", "oauth_token"):
            assert client(TOKEN, how).projects.get("group/project").id == project.id
        for how in ("private_token", "job_token", "access_token"):
            r = requests.get(f"{URL}/api/v4/projects/{project.id}?{how}={TOKEN}", timeout=60)
            assert r.status_code == 200, r.text

    @case("who may not pull is told that nothing is there")
    def _():
        out = people["out"]
        out.auth()
        refused(404, out.projects.get, "group/project", text="404 Project Not Found")
        refused(404, out.projects.get, project.id, text="404 Project Not Found")
        refused(404, out.groups.get, "group", text="404 Group Not Found")
        refused(404, out.registry_repositories.get, repository("group/project").id, text="404 Not found")
        assert out.projects.list() == [] and out.groups.list() == []

    @case("a developer looks, and may not delete or set rules")
    def _():
        mine = people["dev"].projects.get("group/project")
        r = mine.repositories.list()[0]
        assert not hasattr(r, "delete_api_path") and names(r.tags.list()) == ["latest", "v1", "v2"]
        refused(403, r.tags.delete, "v1", text="403 Forbidden")
        refused(403, r.tags.delete_in_bulk, ".*")
        refused(403, r.delete)
        refused(403, mine.registry_protection_repository_rules.list)

    @case("a maintainer deletes, unless a rule asks for more")
    def _():
        mine = people["mia"].projects.get("group/project")
        r = mine.repositories.list()[0]
        rule = mine.registry_protection_repository_rules.create(
            {"repository_path_pattern": "group/project", "minimum_access_level_for_delete": "owner"})
        refused(403, r.delete, text="403 Forbidden - Deleting protected container repository forbidden.")
        refused(403, r.tags.delete, "v1", text="403 Forbidden - cannot delete protected tag(s)")
        mine.registry_protection_repository_rules.delete(rule.id)
        path = f"/projects/{mine.id}/registry/protection/tag/rules"
        people["mia"].http_post(path, post_data={"tag_name_pattern": "^v", "minimum_access_level_for_push": "owner",
                                                 "minimum_access_level_for_delete": "owner"})
        refused(403, r.tags.delete, "v1", text="403 Forbidden - cannot delete protected tag(s)")
        r.tags.delete("latest")
        repository("group/project").tags.delete("v1")
        assert names(r.tags.list()) == ["v2"]
        noted = [(e["action"], e["object"], e["detail"]) for e in ebb("GET", "/audit")["items"]
                 if e["actor"] == "mia" and e["door"] == "gitlab" and e["action"].startswith("rule ")]
        assert noted == [("rule added", "group/project", "^v"), ("rule removed", "group/project", "group/project"),
                         ("rule added", "group/project", "group/project")], noted

    @case("a deploy token is good for its prefix and its scopes")
    def _():
        deploy = client(make_token(["pull", "delete"], deploy=True, prefix="group/project/app"))
        refused(404, deploy.projects.get, "group/project")
        mine = deploy.projects.get("group/project/app")
        r = mine.repositories.list()[0]
        assert r.name == "" and r.path == "group/project/app"
        r.tags.delete("t00")
        deploy.auth()
        assert deploy.user.username.startswith("deploy-token-")
        puller = client(make_token(["pull"], deploy=True, prefix="group/project"))
        refused(403, puller.projects.get("group/project").repositories.list()[0].tags.delete, "v2")

print(f"1..{count}")
sys.exit(1 if failed else 0)
