# Train the points of each sweep in one or several jobs, and choose the best point by validation loss.


localrules:
    rank,


def memory_of_part(wildcards) -> int:
    """Return the memory of a part's job, MB: that of its sweep, or more if that was too little before."""
    return attempts.memory(Path("results", layout.of_wildcards(wildcards).record), swept(wildcards)["mem_mb"])


def swept(wildcards) -> dict:
    """Return the keys of the sweep's variant, with the threads and limits of the sweep."""
    return study.sweeps[wildcards.sweep].variant.keys


rule sweep:
    input:
        "results/{dataset}/data/train.h5",
    output:
        points="results/{dataset}/sweeps/{sweep}/part-{part}-of-{parts}.csv",
        # Of the finalists; without halving, there are none.
        losses="results/{dataset}/sweeps/{sweep}/part-{part}-of-{parts}.h5",
    log:
        "logs/{dataset}/sweeps/{sweep}/part-{part}-of-{parts}.log",
    priority: SOON
    threads: lambda wildcards: swept(wildcards)["threads"]
    resources:
        runtime=lambda wildcards: times.training_limit(study, layout.of_wildcards(wildcards), Path("results")),
        mem_mb=memory_of_part,
        require_gpu=0,
        gpu_slot=lambda wildcards: study.sweeps[wildcards.sweep].variant.gpu_slots,
    params:
        code=lambda wildcards: hashed("stages.sweep"),
        sweep=lambda wildcards: study.sweeps[wildcards.sweep].json,
        variant=lambda wildcards: study.sweeps[wildcards.sweep].variant.name,
    shell:
        "{PYTHON} -m mnist_hpc sweep --data {input} --name {wildcards.sweep} --variant {params.variant}"
        " --sweep {params.sweep:q} --part {wildcards.part}/{wildcards.parts} --points {output.points}"
        " --losses {output.losses}"
        " --state results/state/{wildcards.dataset}/sweep.{wildcards.sweep}"
        " --attempts results/state/{wildcards.dataset}/sweep.{wildcards.sweep}/part-{wildcards.part}-of-{wildcards.parts}.json"
        " --mem-mb {resources.mem_mb} --threads {threads} --gpu {resources.gpu_slot} --require-gpu {resources.require_gpu}"
        " --code-hash {params.code} > {log} 2>&1"


def of_parts(wildcards, ending: str) -> list[str]:
    """Return the files with an ending of all parts of a sweep."""
    files = [file for part in study.sweeps[wildcards.sweep].parts for file in part.files]
    return [f"results/{file}" for file in files if file.endswith(ending)]


rule rank:
    input:
        points=lambda wildcards: of_parts(wildcards, ".csv"),
        losses=lambda wildcards: of_parts(wildcards, ".h5"),
    output:
        points="results/{dataset}/sweeps/{sweep}/points.csv",
        best="results/{dataset}/sweeps/{sweep}/best.json",
    log:
        "logs/{dataset}/sweeps/{sweep}/rank.log",
    retries: 0  # on a cluster, `retries` of the profile is meant for Slurm jobs
    params:
        code=lambda wildcards: hashed("stages.rank"),
        sweep=lambda wildcards: study.sweeps[wildcards.sweep].json,
    shell:
        "python -m mnist_hpc rank --parts {input.points} --losses {input.losses} --sweep {params.sweep:q} --points {output.points}"
        " --best {output.best} --remove-state results/state/{wildcards.dataset}/sweep.{wildcards.sweep} > {log} 2>&1"
