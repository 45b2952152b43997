"""Fork trainings and evaluations from one process that has imported TensorFlow, instead of importing it in each.

``python -m mnist_hpc preload COMMAND`` starts the server, names its socket in the environment, and becomes the command.
A stage that computes then asks the server, and waits for a copy of it that does the work: with the stage's arguments,
folder, environment and files, and as a session of its own, to which the stage passes on its signals. A stage that finds
no server, or one with another environment, does its work itself.

The server has imported modules and started nothing: it has one thread, and no TensorFlow device. It ends when the
command has ended, and what it has forked is asked to save and ends before it.
"""

import contextlib
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from mnist_hpc import stages
from mnist_hpc.errors import UserError

VARIABLE = "MNIST_HPC_PRELOAD"
STAGES = {"train", "evaluate", "perturb", "sweep"}
# Variables that libraries read when they are imported begin like this.
READ_EARLY = ("TF_", "XLA_", "ONEDNN_", "KERAS_", "NVIDIA_", "LD_", "PYTHON")
# What the server imports beside TensorFlow.
MODULES = (
    *(f"mnist_hpc.stages.{stage}" for stage in sorted(STAGES)),
    *("mnist_hpc.training.trainer", "mnist_hpc.training.evaluation", "mnist_hpc.training.perturbation"),
    "mnist_hpc.training.sweep",
)
# Signals that a stage passes on.
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
# Options of Linux' prctl: the signal that a process gets when its parent ends, and the name of a process.
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
# Seconds between two checks that the command still runs.
PAUSE = 0.5


def become(command: Sequence[str]) -> NoReturn:
    """Start a server and become a command; raise UserError if there is no such command."""
    if not command or not shutil.which(command[0]):
        raise UserError(
            f"preload: found no command {' '.join(command)!r}, expected one such as snakemake --profile ..."
        )
    parent, name = os.getpid(), f"mnist-hpc-{os.urandom(16).hex()}"
    # Without a server, as when no process can be started, the stages do their work themselves.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{name}")
        listening.listen(1024)
        if os.fork() == 0:
            try:
                _Server(listening, parent).serve()
            finally:
                os._exit(0)
        os.environ[VARIABLE] = name
    os.execvp(command[0], [*command])  # noqa: S606  the command is the user's own


def delegated(arguments: Sequence[str]) -> int | None:
    """Let the server do the work of a stage and return its exit code, or None if this process is to do it."""
    name = os.environ.get(VARIABLE)
    if not name or not arguments or arguments[0] not in STAGES:
        return None
    if None in (sys.stdin, sys.stdout, sys.stderr):  # closed, so that the next file would have its number
        return None
    request = {
        "arguments": list(arguments),
        "folder": os.getcwd(),  # noqa: PTH109  as it is, links included
        "environment": dict(os.environ),
        "interpreter": _interpreter(),
        "umask": _umask(),
        "ignored": [number for number in PASSED_ON if signal.getsignal(number) == signal.SIG_IGN],  # as by nohup
        "begin": stages.BEGIN,
    }
    with socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
        server.connect(f"\0{name}")
        if not _own(server):
            return None
        text = json.dumps(request).encode()
        socket.send_fds(server, [len(text).to_bytes(8)], [0, 1, 2])
        server.sendall(text)
        answers = server.makefile()
        worker = answers.readline()
        if not worker:
            return None
        for number in PASSED_ON:
            signal.signal(number, lambda number, _: _kill(int(worker), number))
        status = answers.readline()
        # Without a status, the server was killed, and Linux has killed the worker with it.
        return _ended(os.waitstatus_to_exitcode(int(status)) if status else -signal.SIGKILL)
    return None


def _ended(code: int) -> int:
    """Return an exit code; end as a process that a signal ended."""
    if code < 0:
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _interpreter() -> list[str]:
    """Return what distinguishes this Python from that of another environment, or of a container."""
    return [sys.executable, sys.version, stages.__file__]


def _umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def _own(connection: socket.socket) -> bool:
    """Return whether a process of this user is at the other end: every user can connect to such a socket."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return user == os.geteuid()


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class _Server:
    """Forks a worker for each stage that connects."""

    def __init__(self, listening: socket.socket, parent: int) -> None:
        self._listening, self._parent = listening, parent
        self._workers: dict[int, socket.socket] = {}  # by process, the connection to its stage
        self._selector = selectors.DefaultSelector()
        self._wakeup = socket.socketpair()  # written to when a worker ends
        self._environment = _read_early(os.environ)

    def serve(self) -> None:
        """Import TensorFlow, and answer until the command has ended."""
        # Meant for the whole group: they reach the stages. Blocked, so that a fresh worker gets those that are its own.
        signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123  not the terminal, which may be closed before this ends
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        _signal_with_parent(signal.SIGKILL)  # nobody waits for the import of a command that has ended
        if os.getppid() != self._parent:
            return
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        from mnist_hpc.training import device

        device.import_keras()
        for module in MODULES:
            importlib.import_module(module)
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208  a copy would lack the other threads
            return
        del os.environ["OPENBLAS_NUM_THREADS"]
        _signal_with_parent(0)  # from now on it asks its workers to save first
        self._selector.register(self._listening, selectors.EVENT_READ)
        wakeup, ended = self._wakeup
        ended.setblocking(False)  # noqa: FBT003
        signal.set_wakeup_fd(ended.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(wakeup, selectors.EVENT_READ)
        while os.getppid() == self._parent:
            for key, _ in self._selector.select(PAUSE):
                if key.fileobj is self._listening:
                    self._accept()
                elif key.fileobj is wakeup:
                    wakeup.recv(4096)
                else:  # a stage that was killed
                    self._selector.unregister(key.fileobj)
                    _kill(next(pid for pid, stage in self._workers.items() if stage is key.fileobj), signal.SIGKILL)
            self._reap()
        self._listening.close()
        for pid in self._workers:
            _kill(pid, signal.SIGTERM)
        while self._workers:
            self._reap(0)

    def _accept(self) -> None:
        """Fork a worker for a stage."""
        connection, _ = self._listening.accept()
        if not _own(connection):
            connection.close()
            return
        connection.settimeout(10)
        files: Sequence[int] = ()
        pid = None
        with contextlib.suppress(OSError, ValueError):  # a stage that was killed, or no room for another process
            size, files, _, _ = socket.recv_fds(connection, 8, 3)
            request = json.loads(connection.makefile("rb").read(int.from_bytes(size)))
            same = request["interpreter"] == _interpreter() and _read_early(request["environment"]) == self._environment
            pid = os.fork() if same else None
        if pid == 0:
            self._selector.close()
            for one in (connection, self._listening, *self._wakeup, *self._workers.values()):
                one.close()
            _work(request, files)
        for file in files:
            os.close(file)
        if pid is None:
            connection.close()
            return
        with contextlib.suppress(OSError):  # a stage that was killed, which the selector tells
            connection.sendall(f"{pid}\n".encode())
        self._workers[pid] = connection
        self._selector.register(connection, selectors.EVENT_READ)

    def _reap(self, options: int = os.WNOHANG) -> None:
        """Tell the stages whose worker has ended how it did."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, options)
                if not pid:
                    return
                connection = self._workers.pop(pid)
                with contextlib.suppress(OSError, KeyError):
                    self._selector.unregister(connection)
                    connection.sendall(f"{status}\n".encode())
                connection.close()


def _signal_with_parent(number: int) -> None:
    """Let Linux send this process a signal when its parent ends, or none with 0."""
    _prctl(PR_SET_PDEATHSIG, number)


def _prctl(option: int, argument: int | bytes) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, argument)


def _read_early(environment: Any) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_EARLY)}


def _work(request: dict[str, Any], files: Sequence[int]) -> NoReturn:
    """Do the work of a stage and end."""
    code = 1
    try:
        os.setsid()
        _signal_with_parent(signal.SIGKILL)
        _prctl(PR_SET_NAME, request["arguments"][0].encode())  # for `top`
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in PASSED_ON:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, signal.SIG_IGN if number in request["ignored"] else usual)
        for target, file in enumerate(files):
            os.dup2(file, target)
            os.close(file)
        os.chdir(request["folder"])
        os.umask(request["umask"])
        os.environ.clear()
        os.environ.update(request["environment"])
        stages.BEGIN = request["begin"]
        from mnist_hpc.__main__ import main

        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        code = main(request["arguments"])
    except SystemExit as end:  # of the parser of arguments
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  as the interpreter does
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
