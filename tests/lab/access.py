# SPDX-License-Identifier: Apache-2.0
"""What tests in Python ask of a server with accounts: who there is, and who may what.

    server = accounts_server(folder)
    server.start()
    admin = Admin(server)
    admin.account("ann", "anns-password", {"group": "developer"})
    client = server.client()
    client.headers = basic("ann", "anns-password")
"""
import base64
import json
from urllib.parse import quote

from registry import Server

ADMIN_PASSWORD = "administrators-password"
API = "/api/ebb/v1"


def accounts_server(folder, binary=None, settings=(), **more):
    return Server(folder, binary, settings=["auth.mode=accounts", *settings],
                  environment={"EBB_ADMIN_PASSWORD": ADMIN_PASSWORD}, **more)


def basic(name, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


class Asker:
    """/api/ebb/v1 as somebody."""

    def __init__(self, server, headers):
        self.client = server.client()
        self.client.headers = dict(headers)

    def call(self, wanted, method, path, body=None):
        """The answer's JSON, or None without a body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        answer = self.client.expect(wanted, method, API + path, data, headers)
        return answer.json() if answer.body else None

    def token(self, scopes, **more):
        """{"token": number, "secret": ..., "user": ...}"""
        return self.call(201, "POST", "/tokens", {"name": "test", "scopes": list(scopes), **more})


class Admin(Asker):
    def __init__(self, server):
        super().__init__(server, basic("admin", ADMIN_PASSWORD))

    def account(self, name, password=None, roles=None, **more):
        kind = {"password": password} if password else {"kind": "robot"}
        self.call(201, "POST", "/accounts", {"account": name, **kind, **more})
        for prefix, role in (roles or {}).items():
            self.member(prefix, name, role)

    def member(self, prefix, name, role):
        self.call(200, "POST", "/members", {"prefix": prefix, "account": name, "role": role})

    def public(self, prefix, public=True):
        self.call(200, "POST", "/visibility", {"prefix": prefix, "public": public})

    def deploy_token(self, prefix, scopes):
        return self.token(scopes, prefix=prefix, deploy=True)

    def audit(self, **query):
        text = "&".join(f"{k}={quote(str(v), safe='')}" for k, v in query.items())
        return self.call(200, "GET", "/audit" + ("?" + text if text else ""))["items"]


def jwt(client, scopes=(), credentials=None, path="/token", service="ebb"):
    """An access token of the token service."""
    query = "&".join([f"service={service}"] + [f"scope={quote(s, safe='')}" for s in scopes])
    return client.expect(200, "GET", f"{path}?{query}", headers=credentials or {}).json()["token"]
