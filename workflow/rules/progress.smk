# What the main process says: a line for each job that begins or ends, and at the end the best rows.
import logging
import time

from snakemake.logging import logger

from mnist_hpc.progress import Job as PlannedJob, Progress, summary

# What Snakemake says of its jobs, which is told in one line here.
TOLD = ("job_info", "job_started", "job_finished", "group_info", "progress")


class OneLine(logging.Filter):
    """Says in one line what Snakemake says of a job in a dozen; its log file keeps those."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def filter(self, record: logging.LogRecord) -> bool:
        event = getattr(record, "event", None)
        if event == "job_info" and record.jobid in self.progress.jobs:
            self.say(self.progress.begin(record.jobid, time.time()))
        elif event == "job_finished" and record.job_id in self.progress.jobs:
            self.say(self.progress.end(record.job_id, time.time()))
        return event not in TOLD and record.msg != "Select jobs to execute..."

    def say(self, line: str) -> None:
        print(f"[{time.strftime('%H:%M:%S')}] {line}", file=sys.stderr, flush=True)


def follow() -> None:
    """Begin to follow the jobs of this run."""
    jobs_of_run = {workflow.dag.jobid(job): job for job in workflow.dag.needrun_jobs() if job.rule.name != "all"}
    progress = Progress(
        {number: planned_job(job) for number, job in jobs_of_run.items()},
        workflow.cores if workflow.local_exec else None,
    )
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(OneLine(progress))


def planned_job(job) -> PlannedJob:
    """What is known of a job before it begins; how long it took is in Snakemake's records of its files."""
    values = dict(job.wildcards.items())
    name = f"{job.rule.name} {jobs.of_wildcards(values)}" if {"first", "part"} & set(values) else job.rule.name
    if "dataset" in values and name == job.rule.name:
        name += f" {values['dataset']}" + (f" {values['sweep']}" if "sweep" in values else "")
    record = workflow.persistence.metadata(job.output[0]) or {}
    begin, end = record.get("starttime"), record.get("endtime")
    return PlannedJob(name, job.rule.name, job.threads, end - begin if begin and end else None)


def tell_the_best() -> None:
    """Show the best variants, if this run made the tables anew."""
    variants = Path("results") / study.dataset / "tables" / "variants.csv"
    if variants.exists() and variants.stat().st_mtime > STARTED:
        print(f"\n{summary(variants)}", file=sys.stderr)


def tell_of_interruptions() -> None:
    """Say, at the end of a run that was stopped, that nothing is lost."""
    works = [*study.blocks, *(part for sweep in study.sweeps.values() for part in sweep.parts)]
    if saved := attempts.interrupted((Path("results") / work.record for work in works), BEGIN):
        print(
            f"\nInterrupted; {saved} trainings saved themselves. Run the same command again to go on.", file=sys.stderr
        )


STARTED = time.time()


onstart:
    if workflow.is_main_process:
        look_before_submission()
        follow()


onsuccess:
    if workflow.is_main_process:
        tell_the_best()


onerror:
    if workflow.is_main_process:
        tell_of_interruptions()
