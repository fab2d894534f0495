# SPDX-License-Identifier: Apache-2.0
"""A small file system of a test's own, to be filled, broken, shut down and mounted again. Root only;
mkfs.ext4 and e2fsck (e2fsprogs), xfs_io (xfsprogs).
"""
import os
import subprocess

from registry import wait_for


def sh(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Disk:
    """A small file system: tmpfs, or ext4 in a file."""

    def __init__(self, folder, kind, size_mib, inodes=None):
        self.folder, self.kind, self.path = folder, kind, os.path.join(folder, "disk")
        self.image = os.path.join(folder, "image")
        os.mkdir(self.path)
        if kind == "tmpfs":
            options = f"size={size_mib}m,mode=0700" + (f",nr_inodes={inodes}" if inodes else "")
            sh("mount", "-t", "tmpfs", "-o", options, "tmpfs", self.path)
        else:
            with open(self.image, "wb") as image:
                image.truncate(size_mib << 20)
            sh("mkfs.ext4", "-q", "-F", "-m", "0", *(["-N", str(inodes)] if inodes else []), self.image)
            self.mount()

    def mount(self):
        sh("mount", "-o", "loop,errors=remount-ro", self.image, self.path)

    def unmount(self):
        # What looked at it (a checker of the desktop, a scanner) may hold it for a moment.
        wait_for(lambda: subprocess.run(["umount", self.path], stderr=subprocess.DEVNULL).returncode == 0, "umount", 20)

    def break_read_only(self):
        """Files that are open for writing keep a file system from turning read-only by request; the
        kernel does it by force after an error."""
        with open("/proc/mounts", encoding="ascii") as mounts:
            device = next(line.split()[0] for line in mounts if line.split()[1] == self.path)
        with open(f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error", "w", encoding="ascii") as trigger:
            trigger.write("made by a test")

    def repair(self):
        """0 and 1 of fsck: nothing to do, done."""
        status = subprocess.run(["e2fsck", "-p", "-f", self.image], stdout=subprocess.DEVNULL).returncode
        if status > 1:
            raise AssertionError(f"e2fsck: {status}")

    def shut_down(self, flush=False):
        """As a power loss: what was not synced is gone (with `flush`: but for the journal). Until it is
        mounted again every write fails."""
        sh("xfs_io", "-x", "-c", "shutdown -f" if flush else "shutdown", self.path)

    def free(self):
        s = os.statvfs(self.path)
        return s.f_bavail * s.f_frsize

    def fill(self):
        """Takes every byte; the path of the file that has them."""
        path = os.path.join(self.path, "neighbour")
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        step = 1 << 20
        while step:
            try:
                if os.write(fd, bytes(step)) == 0:
                    break
            except OSError:
                step //= 2
        os.fsync(fd)
        os.close(fd)
        return path
