"""Time limits that follow recorded times, on the private Slurm."""

from harness import NEEDS_SLURM, cluster, edit, make_project, name, project, workflow

pytestmark = NEEDS_SLURM


def test_a_block_that_was_cut_short_gets_the_default_limit_again(cluster, project):
    recorded = project / "results/digits/runs/slow/seeds-2-3/metrics.csv"
    recorded.parent.mkdir(parents=True)
    recorded.write_text("seed,train_seconds\n2,1\n3,1\n")
    with workflow(cluster, project, "results/digits/runs/slow/seeds-0-1/metrics.csv") as run:
        first = run.training()
        cluster.run("scancel", first)
        run.go_on(first)
        run.ended()
    limits = cluster.run("sacct", "-X", "-n", "-P", "--name", name(run), "-o", "TimelimitRaw").splitlines()
    assert limits == ["15", "70"]  # of the training and, 10 minutes, of the evaluation
