# Aggregate the runs of the study into tables.


localrules:
    tabulate,


rule tabulate:
    input:
        metrics=[f"results/{block.folder}/metrics.csv" for block in study.blocks],
        predictions=[f"results/{block.folder}/predictions.h5" for block in study.blocks],
        perturbed=[f"results/{block.perturbed}" for block in study.blocks_of_images],
        sweeps=[
            f"results/{sweep.folder}/{name}" for sweep in study.sweeps.values() for name in ("points.csv", "best.json")
        ],
    output:
        [f"results/{file}" for file in study.tables],
    log:
        f"logs/{study.dataset}/tabulate.log",
    retries: 0  # on a cluster, `retries` of the profile is meant for Slurm jobs
    params:
        code=lambda wildcards: hashed("stages.tabulate"),
        train=lambda wildcards: hashed("stages.train"),
        evaluate=lambda wildcards: hashed("stages.evaluate"),
        perturb=lambda wildcards: hashed("stages.perturb"),
        study=study.hash,
    shell:
        "python -m mnist_hpc tabulate {STUDY} --train-hash {params.train} --evaluate-hash {params.evaluate}"
        " --perturb-hash {params.perturb} > {log} 2>&1"
