#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the cases of this folder push.

    contents.py write DIR               writes them to files; prints NAME=VALUE lines for varnishtest -D
    contents.py push URL REPO NAME[:TAG]...    pushes them with all that they name; as the administrator, if
                                               EBB_ADMIN_PASSWORD is set

Content X is the file ${contents}/X (varnishtest's macros are too short to hold it) and has the macros
${X_digest}, ${X_digest512}, ${X_hex} and ${X_size}; a manifest ${X_type}, too. The blob "lines" has 2048
bytes: 128 times 15 digits, the number of the piece, and a dot.
"""
import base64
import hashlib
import http.client
import json
import os
import sys
import urllib.parse

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker.distribution.manifest."
IMAGE, INDEX = OCI + "manifest.v1+json", OCI + "index.v1+json"
DOCKER_IMAGE, DOCKER_LIST = DOCKER + "v2+json", DOCKER + "list.v2+json"
FOREIGN = OCI + "layer.nondistributable.v1.tar+gzip"
ABSENT = "sha256:" + 64 * "0"

blobs = {}      # name: bytes
manifests = {}  # name: (type, bytes, names of what it names)


def digest(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def blob(name, text):
    blobs[name] = text.encode()


def descriptor(name, kind=None, **more):
    if name in manifests:
        kind, data, _ = manifests[name]
    else:
        data = blobs[name]
    return {"mediaType": kind, "digest": digest(data), "size": len(data), **more}


def manifest(name, kind, names, **fields):
    body = {"schemaVersion": 2, "mediaType": kind, **fields}
    manifests[name] = (kind, json.dumps(body, separators=(",", ":")).encode(), names)


def image(name, layer, kind=IMAGE, config="application/vnd.oci.image.config.v1+json", **more):
    manifest(name, kind, ["object", layer], config=descriptor("object", config),
             layers=[descriptor(layer, OCI + "layer.v1.tar")], **more)


def index(name, children, kind=INDEX, **more):
    manifest(name, kind, children, manifests=[descriptor(c) for c in children], **more)


blob("empty", "")
blob("object", "{}")
blob("hello", "hello")
blob("world", "world")
blob("third", "third")
blob("big", 5000 * "0123456789")  # more than the database keeps inline
blob("lines", "".join(f"{i:015d}." for i in range(128)))

image("image", "hello")
image("image2", "world")
image("image3", "big")
image("docker", "hello", DOCKER_IMAGE, "application/vnd.docker.container.image.v1+json")
index("index", ["image", "image2"])
index("outer", ["index"])
index("list", ["docker"], DOCKER_LIST)
index("none", [])

about_image = {"subject": descriptor("image")}
empty = "application/vnd.oci.empty.v1+json"
image("signature", "third", config=empty, artifactType="application/vnd.test.signature+json",
      annotations={"by": "me"}, **about_image)
image("note", "third", config="application/vnd.test.note", annotations={"text": 'a "b" \\ c'}, **about_image)
index("bundle", [], artifactType="application/vnd.test.bundle", **about_image)
image("orphan", "third", config=empty, artifactType="application/vnd.test.orphan",
      subject={"mediaType": IMAGE, "digest": ABSENT, "size": 7})

# Their parts are nowhere.
gone = {"mediaType": OCI + "layer.v1.tar", "digest": "sha256:" + 64 * "1", "size": 1}
gone2 = {"mediaType": OCI + "layer.v1.tar", "digest": "sha256:" + 64 * "2", "size": 2}
manifest("hollow", IMAGE, [], config=gone, layers=[gone2])
manifest("sparse", INDEX, [], manifests=[{"mediaType": IMAGE, "digest": "sha256:" + 64 * "3", "size": 3}])
manifest("foreign", IMAGE, ["object"], config=descriptor("object", empty),
         layers=[{"mediaType": FOREIGN, "digest": "sha256:" + 64 * "4", "size": 4,
                  "urls": ["http://127.0.0.1:1/never-fetched"]}])


def write_all(folder):
    values = {"absent": ABSENT, "absent512": "sha512:" + 128 * "0"}
    everything = {**blobs, **{name: data for name, (_, data, _) in manifests.items()}}
    for name, data in everything.items():
        values[name + "_digest"] = digest(data)
        values[name + "_digest512"] = digest(data, "sha512")
        values[name + "_hex"] = digest(data)[7:]
        values[name + "_size"] = len(data)
        if name in manifests:
            values[name + "_type"] = manifests[name][0]
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    for name, value in values.items():
        print(f"{name}={value}")


def push_all(url, repo, names):
    address = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)

    credentials = {}
    if "EBB_ADMIN_PASSWORD" in os.environ:  # of no matter to a registry without accounts
        text = base64.b64encode(b"admin:" + os.environ["EBB_ADMIN_PASSWORD"].encode()).decode()
        credentials = {"Authorization": "Basic " + text}

    def send(method, path, data, kind):
        connection.request(method, f"/v2/{repo}/{path}", data, {"Content-Type": kind, **credentials})
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 201:
            sys.exit(f"{method} {path}: {answer.status} {text}")

    def push(name, reference=None):
        if name in blobs:
            send("POST", "blobs/uploads/?digest=" + digest(blobs[name]), blobs[name], "application/octet-stream")
            return
        kind, data, parts = manifests[name]
        for part in parts:
            push(part)
        send("PUT", "manifests/" + (reference or digest(data)), data, kind)

    for name in names:
        push(*name.split(":"))


if sys.argv[1] == "write":
    write_all(sys.argv[2])
else:
    push_all(sys.argv[2], sys.argv[3], sys.argv[4:])
