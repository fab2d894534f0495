#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests with credentials that depend on what others answered, which varnishtest cannot send.

    ask.py URL DATA < STEPS

One step a line (a line that begins with blanks goes on with the one before):

    [NAME =] WHO METHOD PATH [BODY] => STATUS [EXPRESSION]
    NAME := EXPRESSION

WHO is `-` (nobody), NAME:PASSWORD (Basic), $X (Bearer with that text), or a name alone, whose password is that
name and "-password". BODY is JSON, or a form (a=b&c=d), or @FILE:TYPE. Expressions are Python: `a` is the answer
(JSON when it is), `h` its headers, `raw` its bytes, and each NAME the answer of that step or the value of that
expression. $NAME.member and $NAME in PATH and BODY stand for them, in a form percent-encoded.

    signed(TOKEN, **claims)       TOKEN with other claims (None: without), signed by the server's own key
    altered(TOKEN, part, change)  with header (0) or claims (1) changed and the signature as it was
    basic(USER, PASSWORD)         the text after Basic
    claims(TOKEN)
"""
import base64
import hashlib
import hmac
import http.client
import json
import re
import sqlite3
import sys
import urllib.parse

STEP = re.compile(r"(?:(\w+) = )?(\S+) ([A-Z]+) (\S+)(?: (.*?))? => (\d+)(?: (.*))?$", re.S)
LET = re.compile(r"(\w+) := (.*)$", re.S)

# ---- JWTs: ECDSA on P-256 (FIPS 186-4), for tokens that only the server's own key could have made ----

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)


def add(p, q):
    if p is None or q is None:
        return p or q
    if p[0] == q[0] and (p[1] + q[1]) % P == 0:
        return None
    if p == q:
        slope = (3 * p[0] * p[0] - 3) * pow(2 * p[1], -1, P)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def times(k, p):
    total = None
    while k:
        if k & 1:
            total = add(total, p)
        p, k = add(p, p), k >> 1
    return total


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def un64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims(token):
    return json.loads(un64(token.split(".")[1]))


def altered(token, part, change):
    parts = token.split(".")
    content = json.loads(un64(parts[part]))
    change(content)
    parts[part] = b64(json.dumps(content).encode())
    return ".".join(parts)


def signed(token, **changes):
    header = json.loads(un64(token.split(".")[0]))
    with sqlite3.connect(f"file:{sys.argv[2]}/ebb.db?mode=ro", uri=True) as db:
        jwk, = db.execute("SELECT jwk FROM signing_key WHERE kid = ?", (header["kid"],)).fetchone()
    d = int.from_bytes(un64(json.loads(jwk)["d"]), "big")
    body = {**claims(token), **changes}
    body = {k: v for k, v in body.items() if v is not None}
    text = token.split(".")[0] + "." + b64(json.dumps(body).encode())
    e = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    k = int.from_bytes(hmac.digest(d.to_bytes(32, "big"), text.encode(), "sha256"), "big") % N
    r = times(k, G)[0] % N
    s = pow(k, -1, N) * (e + r * d) % N
    return text + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


# ---- steps ----

def basic(user, password):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


class Answer(dict):
    """A JSON object whose members are attributes, too."""
    __getattr__ = dict.__getitem__


def lines(text):
    found = []
    for line in text.splitlines():
        if line[:1].isspace() and line.strip() and found:
            found[-1] += " " + line.strip()
        elif line.strip() and not line.startswith("#"):
            found.append(line)
    return found


def authorization(who, known):
    if who == "-":
        return {}
    if who.startswith("$"):
        return {"Authorization": "Bearer " + fill(who, known)}
    user, _, password = who.partition(":")
    if not _:
        password = "administrators-password" if user == "admin" else user + "-password"
    return {"Authorization": "Basic " + basic(user, fill(password, known))}


def fill(text, known, quote=False):
    def value(match):
        found = known[match[1]]
        found = str(found[match[2]] if match[2] else found)
        return urllib.parse.quote(found, safe="") if quote else found
    return re.sub(r"\$(\w+)(?:\.(\w+))?", value, text)


def content(body, known):
    if body is None:
        return None, {}
    if body.startswith("@"):
        name, _, kind = body[1:].partition(":")
        with open(name, "rb") as file:
            return file.read(), {"Content-Type": kind or "application/octet-stream"}
    if body.startswith("{"):
        return fill(body, known).encode(), {"Content-Type": "application/json"}
    return fill(body, known, True).encode(), {"Content-Type": "application/x-www-form-urlencoded"}


def ask(address, method, path, body, headers):
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    parsed = None
    if raw and "json" in answer.headers.get("Content-Type", ""):
        parsed = json.loads(raw, object_hook=Answer)
    return answer.status, answer.headers, parsed, raw


def main():
    address = urllib.parse.urlsplit(sys.argv[1])
    known = {"signed": signed, "altered": altered, "basic": basic, "claims": claims, "url": sys.argv[1]}
    for line in lines(sys.stdin.read()):
        match = LET.match(line)
        if match:
            known[match[1]] = eval(match[2], known)
            continue
        match = STEP.match(line)
        if not match:
            sys.exit(f"no step: {line}")
        name, who, method, path, body, status, wanted = match.groups()
        data, headers = content(body, known)
        headers.update(authorization(who, known))
        got, got_headers, answer, raw = ask(address, method, fill(path, known), data, headers)
        scope = {**known, "a": answer, "h": got_headers, "raw": raw}
        if got != int(status) or (wanted is not None and not eval(wanted, scope)):
            sys.exit(f"{line}\n  got {got} {dict(got_headers)}\n  {raw.decode(errors='replace')[:2000]}")
        if name:
            known[name] = answer if answer is not None else Answer(got_headers)


main()
