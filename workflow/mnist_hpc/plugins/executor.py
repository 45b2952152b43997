"""Snakemake's executor plugin ``mnist-slurm``: the Slurm plugin, with answers to what goes wrong between it and Slurm.

- A refused submission that may be accepted later waits, without using up a retry. Any other ends the block with Slurm's
  own words.
- A preempted job is submitted again. A job that found no GPU is tried again on another node.
- An error that would occur again is not retried.
- It reports why jobs wait, and warns if they will wait forever.
- One squeue per round for all jobs, and one sacct for those that squeue no longer lists.
"""

import asyncio
import contextlib
import shlex
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import snakemake_executor_plugin_slurm as base
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface

from mnist_hpc.cluster import attempts, main_process, preflight, profile, reasons, slurm
from mnist_hpc.cluster.main_process import MainProcess
from mnist_hpc.cluster.pause import Pause
from mnist_hpc.cluster.request import Request
from mnist_hpc.cluster.waiting import News, Waiting, away
from mnist_hpc.console import say
from mnist_hpc.errors import UserError
from mnist_hpc.files.provenance import now
from mnist_hpc.study import layout
from mnist_hpc.tables.text import duration

RESULTS = Path("results")
# Lines of a failed program's log that are shown.
LAST_LINES = 20
# A job that squeue does not list for this long, s, has ended, even if sacct does not know it yet.
FORGOTTEN_SECONDS = 600.0

common_settings = base.common_settings


@dataclass
class ExecutorSettings(base.ExecutorSettings):
    """Settings of the Slurm plugin, and those of this one."""

    no_check: bool = field(
        default=False,
        metadata={
            "help": "Submit without asking Slurm beforehand whether it would accept the jobs.",
            "env_var": False,
            "required": False,
        },
    )
    # Which command is asked is not a choice here; without a default, the Slurm plugin does not comment on it.
    status_command: Optional[str] = field(  # noqa: UP045  Snakemake reads the type
        default=None, metadata={"help": "No effect.", "env_var": False, "required": False}
    )


class Executor(base.Executor):
    """Submits jobs to Slurm and watches them."""

    # Whether this is the main process of its folder; the thread that watches the jobs begins before that is known.
    _is_main = False

    def __post_init__(self, test_mode: bool = False) -> None:
        """Prepare a run; exit with 2, before anything is submitted, if it cannot work."""
        super().__post_init__(test_mode)
        self._begin = now()
        self._pause = Pause()
        self._refusals: dict[JobExecutorInterface, str] = {}
        self._forgotten: dict[str, float] = {}
        self._waiting = Waiting()
        self._writing = threading.Lock()
        self._news = News()
        try:
            profile.refuse_old_options(sys.argv)
            main_process.refuse_second()
            if self.workflow.executor_settings.array_jobs:
                raise UserError("mnist-slurm-array-jobs: job arrays lose results; delete the setting")
            if not self.workflow.executor_settings.no_check:
                self.logger.info(preflight.check(self._planned(), RESULTS, Path.cwd()))
        except UserError as error:
            say(f"mnist_hpc: error: {error}")
            sys.exit(2)
        self._main = MainProcess(run=self.run_uuid, works=main_process.known_works())
        self._main.write()
        self._is_main = True

    def _planned(self) -> list[preflight.Planned]:
        """Return what each job that will be submitted requests, and what it works on."""
        units = {self.dag.get_job_group(job) or job: job for job in self.dag.needrun_jobs() if not job.is_local}
        return [
            (
                Request.of(unit.resources, unit.threads, vars(self.workflow.executor_settings)),
                layout.of_wildcards(job.wildcards),
            )
            for unit, job in units.items()
        ]

    def get_account_arg(self, job: JobExecutorInterface) -> Iterator[str]:
        """Yield the option for the account; whether it is valid was asked once, for all jobs."""
        account = job.resources.get("slurm_account")
        yield f" -A {shlex.quote(str(account))}" if account else ""

    def run_job(self, job: JobExecutorInterface) -> None:
        """Submit a job; while Slurm has no room for it or does not answer, wait and try again.

        It is not submitted again before Slurm has said that it is not in the queue.
        """
        refused = False
        while self._pause.wait():
            if refused and not self._withdraw(job):
                self._pause.begin()
                continue
            try:
                super().run_job(job)
            except Exception as error:  # noqa: BLE001  in this thread, an exception would be lost
                # The Slurm plugin's own handler fails for a group of jobs; its error has the first one as context.
                self.report_job_error(SubmittedJobInfo(job), msg=str(error.__context__ or error))
            refusal = self._refusals.pop(job, None)
            if refusal is None:
                return
            refused = True
            self._withdraw(job)
            seconds = self._pause.begin()
            if seconds and self._news.is_new(refusal):
                self.logger.warning(
                    f"Slurm accepts no job now: {refusal}. Next try when a job has ended, or in {duration(seconds)}."
                )

    def _withdraw(self, job: JobExecutorInterface) -> bool:
        """Cancel a refused job that Slurm accepted; return whether it certainly did not.

        Slurm may have accepted it although sbatch reported an error, as it does when the answer is lost.
        """
        absent = True
        try:
            for number in slurm.queue(f"--name={self.run_uuid}").keys() - self._main.works.keys():
                script = slurm.ask("scontrol", "write", "batch_script", number, "-")
                if layout.find(script) == _work(job):
                    absent = False
                    slurm.cancel(number)
        except UserError as error:
            self._report_away(error)
            return False
        return absent

    def report_job_submission(self, job_info: SubmittedJobInfo, register_job: bool = True) -> None:  # noqa: FBT001, FBT002
        """Write down what the job works on, for a main process that may have to continue."""
        self._pause.accepted()
        with self._writing:
            self._main.works[_number(job_info)] = dict(_wildcards(job_info.job).items())
            with contextlib.suppress(OSError):  # the job is in the queue, whether it can be written down or not
                self._main.write()
        submitted = f"submitted: {_work(job_info.job)} as job {_number(job_info)}"
        self.logger.info(f"[{time.strftime('%H:%M:%S')}] {submitted}")
        super().report_job_submission(job_info, register_job=register_job)

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any) -> None:
        """Report a failed submission or job; let Snakemake try again only if that may succeed."""
        job, number = job_info.job, job_info.external_jobid
        if number is None:
            text = slurm.refusal(msg or "")
            if reasons.passes(text):
                self._refusals[job] = text
                return
            without = f" (without {', '.join(sorted(self._failed_nodes))})" if self._failed_nodes else ""
            self.logger.error(f"{_work(job)}: not submitted: {text}{without}")
            job.attempt = job.restart_times + 1  # no further one
        else:
            self._pause.end()
            self._report_end(job_info)
        super().report_job_error(job_info, msg=msg, **kwargs)

    def _report_end(self, job_info: SubmittedJobInfo) -> None:
        """Report how a job failed, and whether it is tried again."""
        job, number, work = job_info.job, _number(job_info), _work(job_info.job)
        state, nodes = job_info.aux["state"], job_info.aux["nodes"]
        record = RESULTS / work.record
        reason = attempts.hopeless(record, job.attempt, self._begin, number, state)
        last = attempts.last(record, number)
        if reason:
            job.attempt = job.restart_times + 1  # no further one
        elif job.attempt > job.restart_times:
            reason = f"job {number} ended as {state}, and all {job.attempt} attempts are used up"
        if reason:
            self.logger.error(f"{work}: failed: {reason}\n{_end_of_log(job_info, begun=last is not None)}")
        elif last and last["end"] == attempts.NO_GPU:
            self._failed_nodes |= {nodes} - {""}
            self.logger.warning(f"{work}: no GPU on {nodes}; tried again on another node")
        else:
            text = (last and last["reason"]) or f"it ended as {state}"
            self.logger.warning(f"{work}: job {number} on {nodes or 'no node'}: {text}; tried again")

    def print_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any) -> None:
        """Leave out Snakemake's page about a job, whose outcome is reported already."""

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        """Report that a job has ended well, which makes room for another."""
        self._pause.end()
        super().report_job_success(job_info)

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Yield the jobs that have not ended; report those that have, and why others wait."""
        if self._is_main:
            main_process.show_life()
        if not active_jobs:
            return
        _cancel_timers(keep=1)
        queue: dict[str, slurm.Job] = {}
        complete = False
        try:
            queue = slurm.queue("--states=all", f"--name={self.run_uuid}")
            complete = True
        except UserError as error:
            self._report_away(error)
        known = dict(queue)
        try:
            clear = {number for number, job in queue.items() if job.state not in slurm.FLAGS}
            unclear = {_number(info) for info in active_jobs} - clear
            known |= {
                number: ended
                for number, ended in (slurm.ended(unclear) if unclear else {}).items()
                # What is not in the queue does not run, whatever accounting still says.
                if number in queue or not complete or ended.state not in slurm.UNDER_WAY
            }
        except UserError as error:
            self._report_away(error)
        listed = {known[number]: _work(info.job) for info in active_jobs if (number := _number(info)) in known}
        for line in self._waiting.lines(listed):
            self.logger.info(line)
        for info in active_jobs:
            job = known.get(_number(info))
            # Without squeue's answer, only success is certain: accounting may not know yet that a job was requeued.
            unknown = not complete and not (job and job.state == "COMPLETED")
            if unknown or self._under_way(info, job):
                yield info

    def _under_way(self, info: SubmittedJobInfo, job: slurm.Job | None) -> bool:
        """Return whether a job has not ended; report it if it has."""
        number = _number(info)
        if job and job.state:
            self._forgotten.pop(number, None)
        if job is None or not job.state:
            if time.monotonic() - self._forgotten.setdefault(number, time.monotonic()) < FORGOTTEN_SECONDS:
                return True
            self.logger.warning(
                f"Slurm's queue lacks job {number}, and accounting has no end of it; its results decide whether it "
                "succeeded"
            )
            self.report_job_success(info)
        elif job.state == "COMPLETED":
            self.report_job_success(info)
        elif job.state in ("PREEMPTED", "REVOKED"):
            self.logger.info(f"{_work(info.job)}: job {number} was {job.state.lower()}; again")
            self._job_submission_executor.submit(self.run_job, info.job)
        elif job.state in slurm.UNDER_WAY:
            return True
        else:
            state = "OUT_OF_MEMORY" if slurm.out_of_memory(info.aux["slurm_logfile"]) else job.state
            info.aux |= {"state": state, "nodes": job.nodes}
            self.report_job_error(info)
        return False

    def _report_away(self, error: UserError) -> None:
        """Report that Slurm does not answer."""
        if self._news.is_new(str(error)):
            self.logger.warning(away(error))

    async def sleep(self) -> None:
        """Wait for the next round, or for the end of the run."""
        end = time.monotonic() + self.next_seconds_between_status_checks
        while self.wait and time.monotonic() < end:  # noqa: ASYNC110  another thread ends the run
            await asyncio.sleep(min(1.0, self.next_seconds_between_status_checks))

    def cancel(self) -> None:
        """Submit nothing more, and cancel all jobs of this run."""
        self._pause.stop()
        self._job_submission_executor.shutdown(wait=True, cancel_futures=True)
        super().cancel()

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Cancel all jobs of this run, also those that are being looked at or were submitted a moment ago."""
        del active_jobs
        try:
            slurm.cancel(f"--name={self.run_uuid}")
        except UserError as error:
            self.logger.error(f"The jobs were not cancelled: {error}. `make resume` lists them.")

    def shutdown(self) -> None:
        """End the run."""
        self._pause.stop()
        super().shutdown()
        _cancel_timers(keep=0)
        main_process.remove()


def _cancel_timers(keep: int) -> None:
    """Cancel timers of Snakemake's scheduler, but for some that are kept.

    While jobs are ready, each of its rounds starts a timer for the next one, and so does the end of each job: after a
    thousand jobs there would be a thousand rounds in each ``max-jobs-per-timespan``. The process waits for all timers.
    """
    for timer in [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)][keep:]:
        timer.cancel()


def _number(info: SubmittedJobInfo) -> str:
    """Return the Slurm number of a submitted job."""
    return str(info.external_jobid)


def _wildcards(job: Any) -> Any:
    """Return the wildcards of a job, or of the first in a group; all in a group have the same."""
    return next(iter(job.jobs)).wildcards if job.is_group() else job.wildcards


def _work(job: Any) -> layout.Work:
    """Return what a job works on."""
    return layout.of_wildcards(_wildcards(job))


def _end_of_log(info: SubmittedJobInfo, *, begun: bool) -> str:
    """Return the last lines of a failed job: of its program's log, or of Slurm's if the program did not begin."""
    logs = [Path(log) for log in info.job.log if begun and Path(log).exists()]
    log = max(logs, key=lambda path: path.stat().st_mtime, default=info.aux["slurm_logfile"])
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:] if log.exists() else []
    return "\n    ".join([f"The end of {log}:", *lines])
