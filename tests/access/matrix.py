#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every route x every identity x own, sibling, foreign, public and absent repository, against the table of
doc/access.md.

    matrix.py [--ebb PATH] [--only TEXT] [--verbose]

What an answer has to be is derived from the table's right, what the identity has, and how the family of
doors refuses (rights_of() and expected()): nothing is written down for a single cell but what a body needs and
which statuses are success. Besides:

  - what somebody may not pull and what is not there answer the same bytes, but for names and request numbers;
  - nothing that was answered names a repository that the asker may not pull;
  - lists hold what the asker may pull, all of it;
  - each door that the server has stands in the table.
"""
import argparse
import collections
import itertools
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, "..", "lab"))
from access import Admin, Asker, accounts_server, basic, bearer, jwt  # noqa: E402
from doors import doors  # noqa: E402
from registry import Broken, Count, Gone, Refused, wait_for  # noqa: E402
from world import TAG, World  # noqa: E402

# ---- the table -----------------------------------------------------------------------------------

Row = collections.namedtuple("Row", "method path more right signed unknown family")
ON_A_PATH = {"pull", "push", "delete", "rules", "members", "now"}
RIGHTS = ON_A_PATH | {"none", "credentials", "signed in", "own", "administrator"}
UNKNOWN = {"": None, "unknown": 404, "absent": 200}
FAMILIES = {"oci", "token", "operations", "ebb", "gitlab", "azure", "arm"}


def read_table(path):
    """The rows under "## Routes"."""
    with open(path, encoding="utf-8") as page:
        text = page.read().split("\n## Routes\n")[1]
    rows = []
    for line in text.splitlines():
        if not line.startswith("|") or re.match(r"\| (Method|---)", line):
            continue
        method, where, right, family = (cell.strip() for cell in line.strip("|").split("|"))
        found = re.fullmatch(r"`([^`]+)`(.*)", where)
        right, _, rest = right.partition(", else ")
        right, _, also = right.partition(", ")
        if not found or right not in RIGHTS or family not in FAMILIES or rest not in UNKNOWN or \
                also not in ("", "signed in"):
            raise Broken(f"doc/access.md: {line}")
        rows.append(Row(method, found[1], found[2].strip().replace("`", ""), right, also != "", UNKNOWN[rest], family))
    if len(set(rows)) != len(rows) or not rows:
        raise Broken("doc/access.md: a row is there twice, or none is")
    return rows


# ---- who, and what they may ------------------------------------------------------------------------

ROLES = {
    "guest": {"pull"},
    "developer": {"pull", "push"},
    "maintainer": {"pull", "push", "delete", "rules"},
    "owner": {"pull", "push", "delete", "rules", "members", "now"},
}
SCOPES = {"pull": {"pull"}, "push": {"pull", "push"}, "delete": {"pull", "delete"}}
ALL = ROLES["owner"]


class Identity:
    def __init__(self, name, account=None, user=None, secret=None, token=None, given=(), within="", admin=False,
                 good=True, jwt=None):
        self.name = name
        self.account = account  # whose, or None
        self.user, self.secret = user, secret
        self.token = token or secret  # for doors that take tokens only
        self.given = set(given)       # rights below World.MINE
        self.within = within          # a token's prefix: outside of it nothing
        self.admin, self.good = admin, good
        self.jwt = jwt                # an access token that names `within` alone, or None
        self.known = secret is not None

    def headers(self, family):
        if not self.known:
            return {}
        if self.jwt:
            return bearer(self.jwt)
        if family == "gitlab":
            return {"PRIVATE-TOKEN": self.token}
        return basic(self.user, self.secret)


def below(path, prefix):
    return prefix == "" or path == prefix or path.startswith(prefix + "/")


def rights_of(who, path):
    """What doc/access.md says in words."""
    if not below(path, who.within):
        return set()
    if who.admin:
        return ALL
    given = set(who.given) if below(path, World.MINE) else set()
    return given | ({"pull"} if below(path, World.OPEN) else set())


OK, ANY = "passed", "passed the gate"
HIDDEN = {"oci": 401, "ebb": 404, "gitlab": 404, "azure": 401}
FORBIDDEN = {"oci": 403, "ebb": 403, "gitlab": 403, "azure": 401, "arm": 403}


def of_narrow(row, who, path, has):
    """An access token that does not name it: where its owner has the right, its client is to come with another."""
    owner = ALL if below(path, World.MINE) else rights_of(Identity("anybody"), path)
    if row.family == "ebb":  # what its owner may see it need not be told
        return 403 if "pull" in has else (403, 404) if "pull" in owner else 404
    if row.right in owner:
        return 401
    return FORBIDDEN[row.family] if "pull" in owner else HIDDEN[row.family]


def expected(row, who, path, absent):
    """A status, OK (a success), or ANY (anything but a refusal)."""
    if row.family == "operations" or (row.family == "arm" and row.right == "none"):
        return OK  # they look at no credentials
    if who.known and not who.good:
        return 401
    passed = ANY if absent else OK
    if row.signed and not who.known:
        return 401
    if row.right in ON_A_PATH:
        has = rights_of(who, path)
        if row.right in has:
            return passed
        if not who.known:
            return 401
        if row.unknown:
            return row.unknown
        if "{prefix}" in row.path + row.more:
            return 403
        if who.jwt and row.family in ("oci", "ebb"):
            return of_narrow(row, who, path, has)
        return FORBIDDEN[row.family] if "pull" in has else HIDDEN[row.family]
    if row.right == "none":
        return passed
    if not who.known:
        # What GitLab and OAuth2 say there: "access forbidden", a member is missing.
        return {"/jwt/auth?service=container_registry": 403, "/adfs/oauth2/token": 400}.get(row.path, 401)
    if who.jwt and row.right == "credentials" and "_catalog" in row.path:
        return 401  # it does not name the catalog
    if row.right == "administrator":
        return OK if who.admin else FORBIDDEN[row.family]
    if row.right == "own":
        return OK if who.account else 403
    return OK


def agrees(wanted, status):
    if wanted == OK:
        return status < 400
    if wanted == ANY:
        return status not in (401, 403, 429) and status < 500
    return status in wanted if isinstance(wanted, tuple) else status == wanted


# ---- driving ---------------------------------------------------------------------------------------


class Run:
    def __init__(self, server, world, people, count, verbose):
        self.world, self.people, self.count, self.verbose = world, people, count, verbose
        self.server = server
        self.clients = {}
        self.sources = itertools.count(1)
        self.cells = 0

    def ask(self, who, row, path, body, headers, method=None):
        if who.known and not who.good:
            # Each from another address: these are to be refused, not slowed.
            number = next(self.sources)
            client = self.server.client(source=f"127.{1 + number // 62500}.{1 + number // 250 % 250}.{1 + number % 250}")
        else:
            client = self.clients.setdefault(who.name, self.server.client())
        answer = client.request(method or row.method, path, body, {**who.headers(row.family), **headers})
        if client not in self.clients.values():
            client.close()
        self.cells += 1
        return answer

    def cell(self, row, who, repo):
        """One request. The answer with names and numbers taken out, or None where it was no refusal."""
        absent = repo is not None and repo.absent
        about = None if repo is None else repo.group if "{group}" in row.path else repo.name
        wanted = expected(row, who, about or "", absent)
        passes = wanted in (OK, ANY)
        path, body, headers = self.world.request(row, repo, who if passes else None)
        answer = self.ask(who, row, path, body, headers)
        what = f"{row.method} {row.path} {row.more}".strip() + f": {who.name}" + (f", {repo.kind}" if repo else "")
        if not agrees(wanted, answer.status) and answer.status not in (self.world.also(row) if passes else ()):
            self.count.fail(f"{what}: {answer.status}, wanted {wanted}: {path} {answer.body[:200]!r}")
        else:
            self.count.passed += 1
            if self.verbose:
                print(f"ok - {what}: {answer.status}")
        if row.method == "GET":
            head = self.ask(who, row, path, None, {}, "HEAD")
            token_service = row.family == "token" or row.path in ("/oauth2/keys", "/.well-known/jwks.json")
            if head.status != (405 if token_service else answer.status) or head.body:
                self.count.fail(f"{what}: HEAD answers {head.status}, GET {answer.status}")
        if answer.status < 300:
            self.leaks(row, who, repo, answer, what)
            self.world.restore(row, repo, answer)
        if wanted == answer.status == 401 and row.family != "gitlab" and "/adfs/" not in row.path and \
                "WWW-Authenticate" not in answer.headers:
            self.count.fail(f"{what}: a 401 without a challenge")
        return None if passes else self.world.without_names(answer, repo)

    def leaks(self, row, who, asked, answer, what):
        """Names that the asker may not pull and did not send are nowhere; lists have all that they may."""
        for repo in self.world.present:
            may, named = "pull" in rights_of(who, repo.name), repo.name.encode() in answer.body
            if named and not may and repo is not asked:
                self.count.fail(f"{what}: it names {repo.name}")
            if self.world.is_list(row) and may and not named:
                self.count.fail(f"{what}: {repo.name} is missing in the list")

    def row(self, row):
        on_a_path = row.right in ON_A_PATH or re.search(r"\{(repository|prefix|project|group)\}", row.path)
        for who in self.people:
            if row.path.find("{self}") >= 0 and who.account is None and who.known:
                continue  # a deploy token has no account to name
            if row.family in ("token", "arm") and who.jwt:
                continue  # it is what these give
            self.world.who = who
            if not on_a_path:
                self.cell(row, who, None)
                continue
            refused = {repo.kind: self.cell(row, who, repo) for repo in self.world.repositories()}
            if refused["foreign"] is not None and refused["absent"] is not None and \
                    "pull" not in rights_of(who, self.world.foreign.name):
                if refused["foreign"] == refused["absent"]:
                    self.count.ok()
                else:
                    self.count.fail(f"{row.method} {row.path} {row.more}: {who.name}: foreign and absent differ: "
                                    f"{refused['foreign']} {refused['absent']}")


def make_people(server, admin):
    """Identity of each kind. Roles are on World.MINE."""
    people = [Identity("anonymous")]
    for name, role in [("nobody", None), *((r, r) for r in ROLES)]:
        password = f"{name}s-own-password"
        admin.account(name, password, {World.MINE: role} if role else {})
        token = Asker(server, basic(name, password)).token(["admin"])["secret"]
        people.append(Identity(name, name, name, password, token, ROLES.get(role, ())))
    token = admin.token(["admin"])["secret"]
    people.append(Identity("administrator", "admin", "admin", token, token, admin=True))
    for scopes in (["pull"], ["pull", "push"], ["pull", "push", "delete"]):
        made = admin.deploy_token(World.MINE, scopes)
        people.append(Identity("deploy token " + ",".join(scopes), None, made["user"], made["secret"],
                               given=set().union(*(SCOPES[s] for s in scopes)), within=World.MINE))
    owner = Asker(server, basic("owner", "owners-own-password"))
    made = owner.token(["admin"], prefix=World.OWN)
    people.append(Identity("owner's token within a prefix", "owner", "owner", made["secret"], given=ALL, within=World.OWN))
    people.append(Identity("access token of an owner to pull", "owner", "owner", made["secret"], given={"pull"},
                           within=World.OWN, jwt=jwt(server.client(), [f"repository:{World.OWN}:pull"],
                                                     basic("owner", "owners-own-password"))))
    made = owner.token(["admin"], expires_in="1s")
    people.append(Identity("expired token", "owner", "owner", made["secret"], good=False))
    over = server.client(source="127.100.0.1")
    wait_for(lambda: over.request("GET", "/v2/", headers=basic("owner", made["secret"])).status == 401, "a token to expire")
    admin.account("leaver", "leavers-password", {World.MINE: "owner"})
    made = Asker(server, basic("leaver", "leavers-password")).token(["admin"])
    admin.call(200, "POST", "/accounts/leaver", {"disabled": True})
    people.append(Identity("disabled account", "leaver", "leaver", made["secret"], good=False))
    return people


def check_doors(server, rows, count):
    """Each door of the server is in the table."""
    def shape(path):
        # The resource manager's paths are compared without case, and have a group and a registry of any name.
        path = re.sub("(?<=resourcegroups/)ebb(?=/)|(?<=registries/)ebbregistry", "{}", path.lower().replace("//", "/"))
        return re.sub(r"\{[^}]*\}|\*", "{}", path.split("?")[0])
    there = {(row.method, shape(row.path)) for row in rows}
    found = doors(ROOT, server.client().expect(200, "GET", "/api/ebb/v1/openapi.json").json())
    for family, method, path in sorted(found):
        if (method, shape(path)) in there:
            count.ok()
        else:
            count.fail(f"{family}: {method} {path} is not in doc/access.md")
    for family, least in (("ebb", 56), ("oci", 14), ("gitlab", 27), ("azure", 15), ("token", 9), ("arm", 13)):
        number = sum(f == family for f, _, _ in found)
        count.check(number >= least, f"{number} doors of {family} were found")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--ebb")
    options.add_argument("--only", help="rows that have this text")
    options.add_argument("--verbose", action="store_true")
    o = options.parse_args()
    count = Count("access")
    rows = read_table(os.path.join(ROOT, "doc", "access.md"))
    with tempfile.TemporaryDirectory(prefix="ebb-access-") as folder:
        server = accounts_server(folder, o.ebb, ["gitlab.bulk_interval=0s"])
        server.start()
        try:
            admin = Admin(server)
            world = World(server, admin)
            run = Run(server, world, make_people(server, admin), count, o.verbose)
            check_doors(server, rows, count)
            for row in rows:
                if o.only is None or o.only in f"{row.method} {row.path} {row.more} {row.family}":
                    run.row(row)
                    world.tidy()
            world.check(count)
            print(f"# {len(rows)} routes, {len(run.people)} identities, {run.cells} requests")
        except (Gone, Refused, Broken, AssertionError) as error:
            count.fail(f"{type(error).__name__}: {error}")
        finally:
            server.stop()
    return count.end()


if __name__ == "__main__":
    sys.exit(main())
