# Draw the figures: one rule for each kind in figures.KINDS, which draws it for all its variants or sweeps.
FIGURES = {f"draw_{kind.replace('-', '_')}": kind for kind in figures.kinds(study, Path("results"))}


for rule_name, kind in FIGURES.items():

    rule:
        name:
            rule_name
        input:
            [f"results/{file}" for file in figures.KINDS[kind].inputs(study)],
        output:
            [f"results/{file}" for file in figures.files(study, kind).values()],
        log:
            f"logs/{study.dataset}/figures/{kind}.log",
        retries: 0  # on a cluster, `retries` of the profile is meant for Slurm jobs
        localrule: True
        params:
            code=lambda wildcards, module=figures.KINDS[kind].module: hashed("stages.draw", f"figures.{module}"),
            figure=kind,
        shell:
            "python -m mnist_hpc draw {STUDY} --figure {params.figure} > {log} 2>&1"
