"""Time limits that follow recorded times, on the private Slurm."""

from harness import NEEDS_SLURM, SLOW, STEPS, cluster, make_project, name, workflow

pytestmark = NEEDS_SLURM


def test_a_block_that_was_cut_short_gets_the_default_limit_again(cluster, make_project):
    project = make_project(SLOW.replace(str(STEPS), "1000000"))
    recorded = project / "results/digits/runs/slow/seeds-2-3/metrics.csv"
    recorded.parent.mkdir(parents=True)
    recorded.write_text("seed,train_seconds\n2,1\n3,1\n")

    def limits():
        listed = cluster.run("sacct", "-X", "-n", "-P", "--name", name(run), "-o", "TimelimitRaw")
        return listed.splitlines()

    with workflow(cluster, project, "results/digits/runs/slow/seeds-0-1/metrics.csv") as run:
        cluster.wait_for(lambda: "seed 0: step" in run.log, 120)
        assert limits() == ["15"]  # 5 minutes for the training, 10 for the evaluation
        cluster.run("scancel", str(run.attempts()[-1]["job"]))
        cluster.wait_for(lambda: len(limits()) > 1, 120)
        assert limits() == ["15", "70"]
