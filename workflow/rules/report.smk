# Write the HTML report; `make report` calls the same stage on what is there.
localrules:
    write_report,


rule write_report:
    input:
        [f"results/{file}" for file in [*study.files, *figures.of_the_report(study)]],
    output:
        f"results/{study.dataset}/report.html",
    log:
        f"logs/{study.dataset}/report.log",
    retries: 0  # on a cluster, `retries` of the profile is meant for Slurm jobs
    params:
        code=lambda wildcards: code_hash("stages.report", files=report.FILES),
        # What makes a result stale, and what the report says of the study.
        results=lambda wildcards: [hashed(f"stages.{stage}") for stage in ("train", "evaluate", "perturb", "sweep")],
        study=study.hash,
        drawn=study.drawn,
    shell:
        "python -m mnist_hpc report {STUDY} > {log} 2>&1"
