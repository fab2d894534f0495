#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Requests to /api/ebb/v1 that depend on what others answered, which varnishtest cannot send.

    api.py URL < STEPS

One step a line (a line that begins with blanks goes on with the one before):

    [NAME =] METHOD PATH [BODY] => STATUS [EXPRESSION]

PATH is behind /api/ebb/v1, BODY is JSON. The expression is Python and must be true: `a` is the answer
(parsed), `h` its headers, and each NAME is the answer of that step. $NAME.member in PATH and BODY stands
for a member of an earlier answer. `UNTIL` instead of METHOD is a GET that is repeated, for up to 30 s, until
its expression is true. Steps are the administrator's if EBB_ADMIN_PASSWORD is set. Every answer but 2xx must be a problem document; the first step that fails ends it all.
"""
import base64
import http.client
import json
import os
import re
import sys
import time
import urllib.parse

ROOT = "/api/ebb/v1"
STEP = re.compile(r"(?:(\w+) = )?([A-Z]+) (\S+)(?: (.*?))? => (\d+)(?: (.*))?$", re.S)


def steps(text):
    lines = []
    for line in text.splitlines():
        if line[:1].isspace() and line.strip() and lines:
            lines[-1] += " " + line.strip()
        elif line.strip() and not line.startswith("#"):
            lines.append(line)
    return lines


class Answer(dict):
    """A JSON object whose members are attributes, too."""
    __getattr__ = dict.__getitem__


def ask(address, method, path, body):
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    headers = {} if body is None else {"Content-Type": "application/json"}
    if "EBB_ADMIN_PASSWORD" in os.environ:  # of no matter to a registry without accounts
        text = base64.b64encode(b"admin:" + os.environ["EBB_ADMIN_PASSWORD"].encode()).decode()
        headers["Authorization"] = "Basic " + text
    connection.request(method, ROOT + path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    parsed = json.loads(text, object_hook=Answer) if text else None
    if answer.status >= 300:
        kind = answer.headers["Content-Type"]
        if kind != "application/problem+json" or parsed["status"] != answer.status \
                or not parsed["type"].startswith("urn:ebb:") or not parsed["title"] or not parsed["detail"]:
            sys.exit(f"{method} {path}: {answer.status} with no problem document: {kind} {text}")
    return answer.status, answer.headers, parsed, text


def main():
    address = urllib.parse.urlsplit(sys.argv[1])
    known = {}

    def fill(text):
        return re.sub(r"\$(\w+)\.(\w+)", lambda m: str(known[m[1]][m[2]]), text)

    for line in steps(sys.stdin.read()):
        match = STEP.match(line)
        if not match:
            sys.exit(f"no step: {line}")
        name, method, path, body, status, wanted = match.groups()
        end = time.monotonic() + 30
        while True:
            got, headers, answer, text = ask(address, "GET" if method == "UNTIL" else method, fill(path),
                                             None if body is None else fill(body).encode())
            scope = {**known, "a": answer, "h": headers}
            good = got == int(status) and (wanted is None or eval(wanted, scope))
            if good or method != "UNTIL" or time.monotonic() > end:
                break
            time.sleep(0.02)
        if not good:
            sys.exit(f"{line}\n  got {got} {text}")
        if name:
            known[name] = answer


main()
