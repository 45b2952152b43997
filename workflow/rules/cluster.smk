# The main process on a cluster: check the requests before submission, and do not retry permanent errors.
from snakemake.jobs import Job

from mnist_hpc.cluster import preflight, slurm
from mnist_hpc.files.provenance import now

BEGIN = now()
BUDGET = Job.restart_times
GIVEN_UP = set()


def restart_times(job) -> int:
    """Return the number of further attempts of a job: none after a permanent error."""
    if job.is_local:
        return BUDGET.fget(job)
    reason = attempts.hopeless(
        Path("results", layout.of_wildcards(job.wildcards).record), job.attempt, BEGIN, slurm.state
    )
    if reason and reason not in GIVEN_UP:  # called for both jobs of a group
        print(f"mnist_hpc: not retried: {reason}", file=sys.stderr)
        GIVEN_UP.add(reason)
    return 0 if reason else BUDGET.fget(job)


def planned() -> list[preflight.Planned]:
    """Return what each job that will be submitted requests, and what it works on."""
    units = {workflow.dag.get_job_group(job) or job: job for job in workflow.dag.needrun_jobs() if not job.is_local}
    return [
        (slurm.Request.of(unit.resources, unit.threads), layout.of_wildcards(job.wildcards))
        for unit, job in units.items()
    ]


def see_cancelled_jobs() -> None:
    """Correct the executor plugin 2.8, which never finishes when sacct reports a job as "CANCELLED by 1234"."""
    import snakemake_executor_plugin_slurm as plugin

    query = plugin.query_job_status

    async def job_states(*arguments):
        states, seconds = await query(*arguments)
        return states and {job: state.split()[0] for job, state in states.items()}, seconds

    plugin.query_job_status = job_states


def look_before_submission() -> None:
    """On a cluster, prepare the executor plugin, and stop if Slurm would refuse the jobs."""
    if workflow.local_exec:
        return
    see_cancelled_jobs()
    # Snakemake has one number of retries per rule, whatever the reason of a failure.
    Job.restart_times = property(restart_times)
    try:
        if submitted := planned():
            print(preflight.check(submitted, Path("results"), Path.cwd()), file=sys.stderr)
    except UserError as error:
        print(f"mnist_hpc: error: {error}", file=sys.stderr)
        sys.exit(2)
