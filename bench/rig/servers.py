# SPDX-License-Identifier: Apache-2.0
"""The servers that are measured, each started on a port of its own with a folder of its own."""
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

# Debian's nginx.conf, but for the number of workers (`auto` there), the paths and the port.
NGINX_CONF = """\
worker_processes 2;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
{user}
events {{
    worker_connections 768;
}}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    default_type application/octet-stream;
    access_log {dir}/access.log;
    gzip on;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {dir}/root;
    }}
}}
"""

REGISTRY_CONF = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: {dir}/root}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
"""


class Failed(Exception):
    pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def output_of(*command):
    try:
        r = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (r.stdout + r.stderr).strip()


class Server:
    """One process (with its children) that answers on 127.0.0.1:port."""

    name = ""
    probe = "/v2/"

    def __init__(self, folder):
        self.dir = os.path.join(folder, self.name)
        n = 1
        while os.path.exists(self.dir):
            n += 1
            self.dir = os.path.join(folder, f"{self.name}-{n}")
        os.makedirs(os.path.join(self.dir, "root"))
        self.process = None
        self.ended_mb = 0.0  # the most of processes that ended

    def command(self):
        raise NotImplementedError

    def start(self):
        self.port = free_port()
        self.to = f"127.0.0.1:{self.port}"
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while True:
            try:
                if self.get(self.probe)[0] in (200, 404):
                    return self
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise Failed(f"{self.name} did not start: {self.log_tail()}")
            time.sleep(0.05)

    def stop(self):
        if self.process is None:
            return
        self.ended_mb = max(self.ended_mb, self.status_mb("VmHWM"))
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def remove(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def pid(self):
        return self.process.pid

    def log_tail(self):
        with open(os.path.join(self.dir, "log"), "rb") as f:
            return f.read()[-2000:].decode("utf-8", "replace")

    def request(self, method, path, body=None, headers=None):
        """(status, headers, body) of one request on a connection of its own."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def get(self, path, accept="application/vnd.oci.image.manifest.v1+json"):
        return self.request("GET", path, None, {"Accept": accept})

    def download(self, path, to):
        """Copies a body into a file."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        c.request("GET", path)
        r = c.getresponse()
        if r.status != 200:
            raise Failed(f"{self.name}: {r.status} for {path}")
        os.makedirs(os.path.dirname(to), exist_ok=True)
        with open(to, "wb") as f:
            shutil.copyfileobj(r, f, 1 << 20)
        c.close()

    def status_mb(self, member):
        """A member of /proc/PID/status in kB, as MB; 0 when the process is gone."""
        try:
            with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as f:
                found = re.search(member + r":\s+(\d+)", f.read())
        except OSError:
            found = None
        return int(found[1]) / 1024 if found else 0.0

    def peak_begin(self):
        """What peak_mb() says counts from here."""
        self.ended_mb = 0.0
        with open(f"/proc/{self.pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")

    def peak_mb(self):
        return max(self.ended_mb, self.status_mb("VmHWM"))

    def memory_mb(self):
        """(resident, anonymous) MB of the process and its children: shared pages count once each."""
        rss = anon = 0
        for pid in [self.pid] + children(self.pid):
            try:
                with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
                    text = f.read()
            except OSError:
                continue
            rss += int(re.search(r"VmRSS:\s+(\d+)", text)[1])
            anon += int(re.search(r"RssAnon:\s+(\d+)", text)[1])
        return rss / 1024, anon / 1024


def children(pid):
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if parent == pid:
            found += [int(name)] + children(int(name))
    return found


class Ebb(Server):
    name = "ebb"
    binary = "ebb"
    settings = []

    def command(self):
        out = [self.binary, "serve", "--data", os.path.join(self.dir, "root"),
               "--listen", self.to]
        for s in self.settings:
            out += ["--set", s]
        return out

    def api(self, method, path, body=None, wanted=(200, 201, 202, 204)):
        """The JSON of one request to the API of Ebb's own."""
        text = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        status, _, answer = self.request(method, "/api/ebb/v1" + path, text, headers)
        if status not in wanted:
            raise Failed(f"{method} {path}: {status} {answer[:300].decode('utf-8', 'replace')}")
        return json.loads(answer) if answer else None

    def carry_out(self, path, body=None):
        """POSTs what makes a receipt, and waits until that is sealed."""
        receipt = self.api("POST", path, {} if body is None else body)
        while receipt["state"] != "sealed":
            time.sleep(0.005)
            receipt = self.api("GET", f"/receipts/{receipt['receipt']}")
        return receipt

    def apply(self, plan):
        """Carries a PLAN out, with the numbers that it wants to hear again."""
        numbers = {}
        if plan["confirm"]:
            numbers["confirm_tags"] = plan["confirm"]["tags"]
        if plan["now"]:
            numbers["confirm_bytes"] = plan["bytes_freed"]
        return self.carry_out(f"/plans/{plan['plan']}/apply", numbers)

    def file_count(self):
        """Files in the store."""
        blobs = os.path.join(self.dir, "root/blobs")
        return sum(len(os.listdir(os.path.join(blobs, d))) for d in os.listdir(blobs))

    def file_bytes(self):
        return sum(f.stat().st_size for d in os.scandir(os.path.join(self.dir, "root/blobs"))
                   for f in os.scandir(d.path))

    @classmethod
    def version(cls):
        return output_of(cls.binary, "version") or "?"


class Nginx(Server):
    name = "nginx"
    probe = "/"

    def command(self):
        conf = os.path.join(self.dir, "nginx.conf")
        user = "user root;" if os.geteuid() == 0 else ""
        with open(conf, "w", encoding="ascii") as f:
            f.write(NGINX_CONF.format(dir=self.dir, port=self.port, user=user))
        # 403: the root has no index page.
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", conf, "-g", "daemon off;"]

    def start(self):
        with open(os.path.join(self.dir, "root", "index.html"), "w", encoding="ascii") as f:
            f.write("ok\n")
        return super().start()

    def path(self, url):
        return os.path.join(self.dir, "root", url.lstrip("/"))

    @classmethod
    def version(cls):
        text = output_of(shutil.which("nginx") or "/usr/sbin/nginx", "-v")
        return text.rsplit("/", 1)[-1]


class Registry(Server):
    name = "docker-registry"

    def command(self):
        conf = os.path.join(self.dir, "config.yml")
        with open(conf, "w", encoding="ascii") as f:
            f.write(REGISTRY_CONF.format(dir=self.dir, port=self.port))
        return [shutil.which("docker-registry") or "registry", "serve", conf]

    def link_tags(self, repo, digest, prefix, count):
        """Writes tags as this registry stores them: by HTTP it takes minutes for 100,000."""
        tags = os.path.join(self.dir, "root/docker/registry/v2/repositories", repo,
                            "_manifests/tags")
        for i in range(count):
            folder = os.path.join(tags, f"{prefix}{i}", "current")
            os.makedirs(folder)
            with open(os.path.join(folder, "link"), "w", encoding="ascii") as f:
                f.write(digest)

    def collect(self):
        """Its garbage collection: offline. The seconds that the command took."""
        self.stop()
        begin = time.monotonic()
        r = subprocess.run([self.command()[0], "garbage-collect", "-m",
                            os.path.join(self.dir, "config.yml")], capture_output=True, text=True)
        seconds = time.monotonic() - begin
        if r.returncode != 0:
            raise Failed(f"garbage-collect: {r.stderr[-300:]}")
        self.start()
        return seconds

    def file_count(self):
        """Blobs in the store."""
        return sum("data" in files for _, _, files in
                   os.walk(os.path.join(self.dir, "root/docker/registry/v2/blobs")))

    @classmethod
    def version(cls):
        text = output_of(shutil.which("docker-registry") or "registry", "--version")
        return text.split()[-1] if text else "?"


def nofile_limit():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]
