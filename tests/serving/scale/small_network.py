"""Hosts on this machine: network namespaces on one switch, which vanish with the tests.

Nothing of it is in this machine's own network: the switch has a namespace too, nothing has a name,
and a namespace is gone with the process that holds it. Nothing reaches in or out.
"""

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

NETWORK = "10.77.0.0/24"
_NEIGHBOUR = ("ip", "neighbour", "replace", "nud", "permanent")
_CLONE_NEWNET = 0x40000000
_PROGRAMS = {"ip": "iproute2", "tc": "iproute2", "dnsmasq": "dnsmasq-base", "unshare": "util-linux"}


def why_not() -> str:
    """Return why no such network can be made here; "" where one can."""
    missing = sorted({_PROGRAMS[one] for one in _PROGRAMS if shutil.which(one) is None})
    if missing:
        return f"the packages {', '.join(missing)} are not installed"
    tried = "ip link add s type bridge && ip link add v type veth && mount -t tmpfs t /mnt"
    made = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", tried],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no network namespaces can be made: {made.stderr.strip()}" if made.returncode else ""


@dataclass(frozen=True)
class Host:
    """A namespace with one network card, and its own idea of who resolves names.

    Attributes:
        name: Its port at the switch is called so.
        address: In `NETWORK`.
        pid: Of the process that holds it.
    """

    name: str
    address: str
    pid: int
    _thread: ThreadPoolExecutor = field(repr=False)

    @property
    def card(self) -> str:
        """The number of its network card."""
        return "02:00:" + ":".join(f"{int(part):02x}" for part in self.address.split("."))

    @property
    def inside(self) -> list[str]:
        """The command that runs another on this host."""
        return ["nsenter", f"--target={self.pid}", "--net", "--mount"]

    def run(self, *command: str) -> str:
        """Run a command there to its end; returns what it says."""
        return _ran(*self.inside, *command)

    def call(self, what: Callable[[], T]) -> T:
        """Call a function whose sockets are this host's; it runs in a thread that lives here."""
        return self._thread.submit(what).result()


@dataclass
class SmallNetwork:
    """A switch, and hosts on it.

    Attributes:
        folder: For the hosts' files.
        hosts: By name.
    """

    folder: Path
    stack: ExitStack
    switch: int
    hosts: dict[str, Host] = field(default_factory=dict)

    def add(self, name: str, address: str, name_server: str) -> Host:
        """Plug a host in.

        Args:
            name: Up to 15 characters.
            address: Its own, in `NETWORK`.
            name_server: Who resolves names for it.
        """
        resolv = self.folder / f"{name}-resolv.conf"
        resolv.write_text(f"nameserver {name_server}\noptions timeout:1 attempts:2\n")
        pid = _holder(self.stack, f"mount --bind {resolv} /etc/resolv.conf")
        port = ["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns"]
        self._at_switch(*port, str(pid))
        self._at_switch("ip", "link", "set", name, "master", "switch", "up")
        thread = ThreadPoolExecutor(8, name, initializer=_join, initargs=(pid,))
        self.stack.callback(thread.shutdown)
        host = Host(name, address, pid, thread)
        host.run("ip", "link", "set", "eth0", "address", host.card, "up")
        host.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "lo", "up")
        # Told, not asked for: as beyond a router, nobody says that a host is not there.
        for other in self.hosts.values():
            host.run(*_NEIGHBOUR, other.address, "lladdr", other.card, "dev", "eth0")
            other.run(*_NEIGHBOUR, address, "lladdr", host.card, "dev", "eth0")
        self.hosts[name] = host
        return host

    def cut_off(self, name: str) -> None:
        """Pull a host's plug: what is sent is lost, and nobody is told."""
        self._at_switch("ip", "link", "set", name, "down")

    def plug_in(self, name: str) -> None:
        """Put the plug back."""
        self._at_switch("ip", "link", "set", name, "up")

    def slow_down(self, name: str, kbit_s: int) -> None:
        """Let so little through to a host; what waits longer than two seconds is lost."""
        rate = ["rate", f"{kbit_s}kbit", "burst", "16kb", "latency", "2s"]
        self._at_switch("tc", "qdisc", "add", "dev", name, "root", "tbf", *rate)

    def speed_up(self, name: str) -> None:
        """Let everything through again."""
        self._at_switch("tc", "qdisc", "del", "dev", name, "root")

    def _at_switch(self, *command: str) -> None:
        _ran("nsenter", f"--target={self.switch}", "--net", *command)


@contextmanager
def small_network(folder: Path) -> Iterator[SmallNetwork]:
    """Make a switch without hosts; everything on it ends with the block, or with this process."""
    with ExitStack() as stack:
        switch = _holder(stack, "ip link add switch type bridge && ip link set switch up")
        yield SmallNetwork(folder, stack, switch)


@dataclass
class NameServer:
    """A real DNS server on a host; answers are not to be kept.

    Attributes:
        file: Holds what it answers, as /etc/hosts does.
    """

    file: Path
    process: "subprocess.Popen[str]"

    def answer(self, name: str, *addresses: str) -> None:
        """Answer a name with these addresses from now on."""
        self.file.write_text("".join(f"{one} {name}\n" for one in addresses))
        self.process.send_signal(signal.SIGHUP)
        self.has_read()

    def has_read(self) -> None:
        """Wait until it has read its file."""
        assert self.process.stderr is not None
        while f"read {self.file}" not in (line := self.process.stderr.readline()):
            assert line, "dnsmasq has ended"


@contextmanager
def name_server(host: Host, file: Path) -> Iterator[NameServer]:
    """Run dnsmasq on a host until the block ends; it knows nothing but a file."""
    file.write_text("")
    command = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv"]
    command += ["--no-hosts", "--pid-file", "--user=root", "--local=/test/", "--bind-interfaces"]
    command += [f"--listen-address={host.address}", f"--addn-hosts={file}", "--log-facility=-"]
    process = subprocess.Popen([*host.inside, *command], stderr=subprocess.PIPE, text=True)
    try:
        server = NameServer(file, process)
        server.has_read()
        yield server
    finally:
        _ended(process)


def _holder(stack: ExitStack, prepare: str) -> int:
    """Make a network and a mount namespace, and return the process that holds both."""
    ready = f"{prepare} && echo ready && exec sleep infinity"
    unshared = ["unshare", "--net", "--mount", "sh", "-c", ready]
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig=KILL", *unshared], stdout=subprocess.PIPE, text=True
    )
    stack.callback(_ended, process)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", prepare
    return process.pid


def _ended(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate(timeout=30)


def _join(pid: int) -> None:
    """Move the calling thread, and nothing else, to a host's network."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


def _ran(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
