"""A private Slurm cluster on this machine, with accounting and fake GPUs, for tests and for trying profiles.

    python tests/slurm/cluster.py            # a shell in which sbatch, squeue and sacct talk to it

Needs root and Debian's slurm-wlm, slurmdbd, munge and mariadb-server. Every daemon listens on loopback, and
everything lives in one temporary folder: nothing is left when the cluster stops. The GPUs are character devices
that behave like /dev/null: Slurm hands them out, and TensorFlow sees none of them.
"""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NEEDED = ("slurmctld", "slurmd", "slurmdbd", "munged", "mariadbd", "mariadb-install-db")
# The nodes with the number of their GPUs.
NODES = {"n1": 2, "n2": 4}
ACCOUNT = "abc123p"
GPU = "v100-32"

SLURM_CONF = """
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that is requeued may start again when its credential has expired: in 10 s, not in 120.
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPort={ctld}
# Job numbers of its own: tests look at the processes of a job, and other clusters may run beside this one.
FirstJobId={ctld}000
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=100000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
MinJobAge=300
InactiveLimit=0
SlurmdTimeout=10
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations,limits
AccountingStorageTRES=gres/gpu
GresTypes=gpu
{nodes}
PartitionName=GPU-shared Nodes=ALL Default=YES MaxTime=48:00:00 State=UP PriorityTier=10
PartitionName=low Nodes=ALL MaxTime=48:00:00 State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=cancel Nodes=ALL MaxTime=48:00:00 State=UP PriorityTier=1 PreemptMode=CANCEL
PartitionName=short Nodes=ALL MaxTime=00:02:00 State=UP PriorityTier=10
"""

SLURMDBD_CONF = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={dbd}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={mysql}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""


def missing() -> str | None:
    """Return why no cluster can be started here, or None if one can."""
    if os.geteuid() != 0:
        return "a private Slurm needs root"
    absent = [name for name in NEEDED if not find(name)]
    if absent:
        return f"not installed: {', '.join(absent)} (apt install slurm-wlm slurmdbd munge mariadb-server)"
    return None


def find(program: str) -> str | None:
    """Return the path of a program, in the folders of daemons too."""
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


class Cluster:
    """A running cluster.

    Attributes:
        folder: of its configuration, state and logs.
        environment: variables for clients: SLURM_CONF and a PATH on which srun finds it again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment: dict[str, str] = {}

    def start(self) -> None:
        """Start every daemon and wait until a job could run."""
        ports = dict(zip(("ctld", "dbd", "mysql", *NODES), free_ports(3 + len(NODES)), strict=True))
        self._configure(ports)
        self._daemon("munged", *self._munge())
        self._start_database(ports["mysql"])
        self.start_slurmdbd()
        self.run("sacctmgr", "-i", "add", "cluster", "private")
        self.run("sacctmgr", "-i", "add", "account", ACCOUNT, "Description=test", "Organization=test")
        user = pwd.getpwuid(os.geteuid()).pw_name
        self.run("sacctmgr", "-i", "add", "user", user, f"Account={ACCOUNT}", "AdminLevel=Admin")
        self.start_slurmctld()
        for node in NODES:
            self.start_node(node)
        self.wait_for(lambda: self.output("sinfo", "-h", "-p", "GPU-shared", "-o", "%T %D") == f"idle {len(NODES)}")

    def _configure(self, ports: dict[str, int]) -> None:
        host = socket.gethostname()
        gpus = []
        for node, number in NODES.items():
            for index in range(number):
                device = self.folder / f"gpu-{node}-{index}"
                os.mknod(device, 0o20666, os.makedev(1, 3))
                gpus.append(f"NodeName={node} Name=gpu Type={GPU} File={device}")
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[node]} CPUs=8 RealMemory=64000 "
            f"Gres=gpu:{GPU}:{number} State=UNKNOWN"
            for node, number in NODES.items()
        )
        for folder in ("state", "bin", "tmp", *(f"spool-{node}" for node in NODES)):
            (self.folder / folder).mkdir()
        values = {"folder": self.folder, "host": host, "nodes": nodes, **ports}
        for name, text in (
            ("slurm.conf", SLURM_CONF.format(**values)),
            ("slurmdbd.conf", SLURMDBD_CONF.format(**values)),
            ("gres.conf", "\n".join(gpus)),
            ("cgroup.conf", ""),
        ):
            path = self.folder / name
            path.write_text(text + "\n")
            path.chmod(0o600)
        # A job step drops SLURM_CONF, and the executor plugin starts srun within one: set it again there.
        srun = self.folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {find("srun")} "$@"\n')
        srun.chmod(0o755)
        self.environment = {
            "SLURM_CONF": f"{self.folder}/slurm.conf",
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}:/usr/sbin",
        }

    def _munge(self) -> list[str]:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        return [
            "--foreground",
            "--force",
            *(f"--{option}={self.folder}/munge.{name}" for option, name in names.items()),
        ]

    def _start_database(self, port: int) -> None:
        data = self.folder / "mysql"
        # A folder of its own for temporary tables, as several servers at once can choose the same names for them.
        common = ("--no-defaults", f"--datadir={data}", f"--tmpdir={self.folder / 'tmp'}", "--user=root")
        subprocess.run(
            [find("mariadb-install-db"), *common, "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        start = self.folder / "start.sql"
        start.write_text(
            "CREATE USER 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm';\nGRANT ALL ON slurm.* TO 'slurm'@'127.0.0.1';\n"
        )
        self._daemon(
            *("mariadbd", *common, f"--socket={self.folder}/mysql.socket", f"--port={port}"),
            *("--bind-address=127.0.0.1", f"--init-file={start}", "--innodb-buffer-pool-size=64M"),
            *("--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve"),
        )
        self.wait_for(lambda: connects(port))

    def start_slurmdbd(self) -> None:
        """Start the accounting daemon and wait until it answers."""
        self._daemon("slurmdbd", "-D")
        self.wait_for(lambda: self.succeeds("sacctmgr", "-n", "show", "cluster"))

    def start_slurmctld(self) -> None:
        """Start the controller and wait until it answers."""
        self._daemon("slurmctld", "-D")
        self.wait_for(lambda: "UP" in self.output("scontrol", "ping"))

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self._daemon("slurmd", "-D", "-N", node, name=f"slurmd {node}")

    def kill(self, name: str) -> None:
        """Kill a daemon at once; ``slurmd n1`` is the name of a node's."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def crash(self, node: str, job: str) -> None:
        """Let a node die: its daemon, and all processes of a job that runs there."""
        self.kill(f"slurmd {node}")
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes()
                inside = f"SLURM_JOB_ID={job}".encode() in (process / "environ").read_bytes().split(b"\0")
                if inside or words.startswith(f"slurmstepd: [{job}.".encode()):
                    os.kill(int(process.name), signal.SIGKILL)

    def near_its_end(self, job: str, seconds: int) -> None:
        """Cut the time of a job, so that it is told within 30 s what a job is told ``seconds`` before its limit.

        Every 30 s Slurm looks which jobs have less left than that and 30 s more.
        """
        self.run("scontrol", "update", f"JobId={job}", f"EndTime=now+{seconds + 30}")

    def end_jobs(self) -> None:
        """Cancel every job, and wait until none is left."""
        self.run("scancel", "--quiet", "--user", pwd.getpwuid(os.geteuid()).pw_name)
        self.wait_for(lambda: self.output("squeue", "-h") == "")

    def _daemon(self, program: str, *arguments: str, name: str | None = None) -> None:
        path = find(program)
        with (self.folder / f"{name or program}.out".replace(" ", "-")).open("ab") as output:
            self._processes[name or program] = subprocess.Popen(
                [str(path), *arguments],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if program == "munged":
            self.wait_for((self.folder / "munge.socket").exists)

    def run(self, *command: str) -> str:
        """Run a client and return what it prints."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()

    def output(self, *command: str) -> str:
        """Return what a client prints, or nothing if it fails."""
        try:
            return self.run(*command)
        except RuntimeError:
            return ""

    def succeeds(self, *command: str) -> bool:
        """Return whether a client succeeds."""
        try:
            self.run(*command)
        except RuntimeError:
            return False
        return True

    def wait_for(self, condition: Callable[[], bool], seconds: float = 600.0) -> None:
        """Wait until a condition holds.

        Raises:
            TimeoutError: it does not in time; names the folder with the logs.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"the cluster in {self.folder} did not get there in {seconds:g} s; see its logs")
            time.sleep(0.1)

    def stop(self) -> None:
        """End every job and every daemon, in the order that leaves nothing behind."""
        if "slurmctld" in self._processes:
            self.output("scancel", "--quiet", "--user", pwd.getpwuid(os.geteuid()).pw_name)
            with contextlib.suppress(TimeoutError):
                self.wait_for(lambda: self.output("squeue", "-h") == "", seconds=20)
        for name in reversed(list(self._processes)):
            process = self._processes.pop(name)
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nothing listens on, below those that Linux gives to clients and to port 0."""
    ports = random.sample(range(20000, 32000), 20 * count)
    return [port for port in ports if _is_free(port)][:count]


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def connects(port: int) -> bool:
    """Return whether something listens on a loopback port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """Yield a running cluster; stop it and remove its folder whatever happens, also on SIGTERM."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)  # munge wants its socket within reach of everybody
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    if reason := missing():
        sys.exit(f"slurm-playground: {reason}")
    with running() as private:
        print(f"A private Slurm is running: account {ACCOUNT}, partitions GPU-shared, low, cancel, short; GPUs {GPU}.")
        print(
            "Try: sinfo; snakemake --profile profiles/slurm --config dataset=digits max_seeds=1 max_epochs=10. "
            "Leave with exit."
        )
        subprocess.run([os.environ.get("SHELL", "/bin/sh")], env={**os.environ, **private.environment}, check=False)
