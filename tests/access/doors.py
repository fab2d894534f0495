# SPDX-License-Identifier: Apache-2.0
"""The doors that the server has: /api/ebb/v1 by its description, the others by the tables in src/api. A table
that is written in another form than this reader knows has no doors, which fails by the least number that there are."""
import glob
import os
import re

# The OCI API is read from the right, so its table holds resources, not paths: what each route answers.
OCI = {
    "oci_ping_route": [("GET", "/v2/")],
    "oci_catalog_route": [("GET", "/v2/_catalog")],
    "oci_tags_route": [("GET", "/v2/{}/tags/list")],
    "oci_referrers_route": [("GET", "/v2/{}/referrers/{}")],
    "oci_blob_get_route": [("GET", "/v2/{}/blobs/{}")],
    "oci_blob_head_route": [("GET", "/v2/{}/blobs/{}")],
    "oci_blob_delete_route": [("DELETE", "/v2/{}/blobs/{}")],
    "oci_upload_start_route": [("POST", "/v2/{}/blobs/uploads/")],
    "oci_upload_single_route": [("POST", "/v2/{}/blobs/uploads/")],
    "oci_upload_status_route": [("GET", "/v2/{}/blobs/uploads/{}")],
    "oci_upload_patch_route": [("PATCH", "/v2/{}/blobs/uploads/{}")],
    "oci_upload_put_route": [("PUT", "/v2/{}/blobs/uploads/{}")],
    "oci_upload_cancel_route": [("DELETE", "/v2/{}/blobs/uploads/{}")],
    "oci_manifest_get_route": [("GET", "/v2/{}/manifests/{}")],
    "oci_manifest_head_route": [("GET", "/v2/{}/manifests/{}")],
    "oci_manifest_put_route": [("PUT", "/v2/{}/manifests/{}")],
    "oci_manifest_delete_route": [("DELETE", "/v2/{}/manifests/{}")],
}
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


def text_of(root, pattern):
    found = ""
    for path in sorted(glob.glob(os.path.join(root, "src", "api", pattern))):
        with open(path, encoding="utf-8") as source:
            found += source.read()
    return found


def texts(source):
    """The C strings of a file, its macros of strings put in."""
    macros = dict(re.findall(r'#define (\w+)\s+"([^"]*)"', source))
    source = re.sub(r'\b(' + "|".join([*macros, "no-such-word"]) + r')\b(?=[ ,])',
                    lambda m: '"' + macros[m[1]] + '"' if m[1] in macros else m[1], source)
    return re.sub(r'"\s+"', "", source)


def of_table(root, pattern, prefix):
    """Rows that begin with a path and a method: { "/a/*", HTTP_GET, ... }."""
    rows = re.findall(r'[{(]\s*"(/[^"]*)",\s*(HTTP_[A-Z]+(?:\s*\|\s*HTTP_[A-Z]+)*)\b', texts(text_of(root, pattern)))
    for path, methods in rows:
        for method in re.split(r"\s*\|\s*", methods):
            if method.removeprefix("HTTP_") in METHODS:
                yield method.removeprefix("HTTP_"), prefix + path


# /acr/v1 is read from the right, too: its table has shapes.
ACR = {
    "CATALOG": "/acr/v1/_catalog", "REPOSITORY": "/acr/v1/{}", "TAGS": "/acr/v1/{}/_tags", "TAG": "/acr/v1/{}/_tags/{}",
    "MANIFESTS": "/acr/v1/{}/_manifests", "MANIFEST": "/acr/v1/{}/_manifests/{}",
    "DELETED_CATALOG": "/acr/v1/_deleted/_catalog", "DELETED_TAGS": "/acr/v1/_deleted/{}/_tags",
    "DELETED_MANIFESTS": "/acr/v1/_deleted/{}/_manifests", "DELETED_MANIFEST": "/acr/v1/_deleted/{}/_manifests/{}",
}


def of_acr(root):
    yield "GET", ACR["CATALOG"]
    for shape, method in re.findall(r"\{ ([A-Z_]+), (READ|HTTP_[A-Z]+), ROUTE", text_of(root, "acr_routes.c")):
        yield method.replace("READ", "GET").removeprefix("HTTP_"), ACR.get(shape, f"/acr/v1/ {shape}")


def of_arm(root):
    for path, method in re.findall(r'\{ "([a-z*][^"]*)",\s*HTTP_([A-Z]+)', re.sub(r'"\s+"', "", text_of(root, "arm.c"))):
        yield method, "/" + path


def of_token(root):
    for path, methods in re.findall(r'\{ "(/[^"]+)", "([A-Z, ]+)", ', text_of(root, "token_routes.c")):
        for method in methods.split(", "):
            yield method, path


def doors(root, openapi):
    """{(family, method, path)}; what stands for a part of a path is {} or {name} or *."""
    found = set()
    for path, methods in openapi["paths"].items():
        for method in methods:
            if method.upper() in METHODS:
                found.add(("ebb", method.upper(), openapi["servers"][0]["url"] + path))
    routes = set(re.findall(r"&(oci_\w+_route)\b", text_of(root, "routes.c")))
    for route in routes:
        # One that is not in the list is a door that nobody has thought about.
        found |= {("oci", *door) for door in OCI.get(route, [("?", route)])}
    found |= {("gitlab", *door) for door in of_table(root, "gitlab_routes.c", "/api/v4")}
    found |= {("azure", *door) for door in of_acr(root)}
    found |= {("arm", *door) for door in of_arm(root)}
    found |= {("token", *door) for door in of_token(root)}
    for path in re.findall(r'\{ \{ "(/\w+)", \d+ \}, &\w+ \}', text_of(root, "operations.c")):
        found.add(("operations", "GET", path))
    return found
