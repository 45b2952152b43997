# Train and evaluate one block of seeds of one variant, on the test images and on transformed ones.

# Priority of what others wait for: the choices of sweeps, and the numbers of finished trainings.
SOON = 10_000


def memory(wildcards) -> int:
    """Return the memory of a block's job, MB: that of its variant, or more if that was too little before."""
    return attempts.memory(
        Path("results", layout.of_wildcards(wildcards).record), study.variants[wildcards.variant].keys["mem_mb"]
    )


def gpu_slots(wildcards) -> int:
    """Return how many slots of a GPU a process of a variant takes, 0 or 1."""
    return study.variants[wildcards.variant].gpu_slots


def shortest_first(wildcards) -> int:
    """Return the priority of a block's training: the shorter its time limit, the earlier."""
    return SOON - min(study.variants[wildcards.variant].keys["runtime"], SOON)


rule train:
    input:
        data="results/{dataset}/data/train.h5",
        # The choice of a sweep, if the variant has `from_sweep`.
        choice=lambda wildcards: [f"results/{file}" for file in study.choice(wildcards.variant)],
    output:
        models="results/{dataset}/runs/{variant}/seeds-{first}-{last}/models.h5",
        history="results/{dataset}/runs/{variant}/seeds-{first}-{last}/history.csv",
    log:
        "logs/{dataset}/{variant}/seeds-{first}-{last}/train.log",
    priority: shortest_first
    threads: lambda wildcards: study.variants[wildcards.variant].keys["threads"]
    resources:
        runtime=lambda wildcards: times.training_limit(study, layout.of_wildcards(wildcards), Path("results")),
        mem_mb=memory,
        # 1 in the profiles of clusters: a job without a GPU fails instead of training on the CPU for hours.
        require_gpu=0,
        # Limited by `--resources gpu_slot=...` only. A variant with `device: cpu` has 0: it sees no GPU and requires none.
        gpu_slot=gpu_slots,
    params:
        code=lambda wildcards: hashed("stages.train"),
        specification=lambda wildcards: study.variants[wildcards.variant].json,
    shell:
        "{PYTHON} -m mnist_hpc train --data {input.data} --variant {wildcards.variant}"
        " --specification {params.specification:q} --choice {input.choice} --seeds {wildcards.first}-{wildcards.last}"
        " --models {output.models} --history {output.history} --state results/state/{wildcards.dataset}"
        " --attempts results/state/{wildcards.dataset}/{wildcards.variant}/seeds-{wildcards.first}-{wildcards.last}.json"
        " --mem-mb {resources.mem_mb} --threads {threads} --gpu {resources.gpu_slot} --require-gpu {resources.require_gpu}"
        " --code-hash {params.code} > {log} 2>&1"


rule evaluate:
    input:
        models="results/{dataset}/runs/{variant}/seeds-{first}-{last}/models.h5",
        test="results/{dataset}/data/test.h5",
    output:
        metrics="results/{dataset}/runs/{variant}/seeds-{first}-{last}/metrics.csv",
        predictions="results/{dataset}/runs/{variant}/seeds-{first}-{last}/predictions.h5",
    log:
        "logs/{dataset}/{variant}/seeds-{first}-{last}/evaluate.log",
    priority: SOON
    threads: lambda wildcards: study.variants[wildcards.variant].keys["threads"]
    resources:
        runtime=lambda wildcards: times.evaluation_limit(study, layout.of_wildcards(wildcards), Path("results")),
        mem_mb=memory,
        gpu_slot=gpu_slots,
    params:
        code=lambda wildcards: hashed("stages.evaluate"),
    shell:
        "{PYTHON} -m mnist_hpc evaluate --models {input.models} --data {input.test} --metrics {output.metrics}"
        " --predictions {output.predictions}"
        " --attempts results/state/{wildcards.dataset}/{wildcards.variant}/seeds-{wildcards.first}-{wildcards.last}.json"
        " --mem-mb {resources.mem_mb} --threads {threads} --gpu {resources.gpu_slot} --code-hash {params.code} > {log} 2>&1"


rule perturb:
    input:
        models="results/{dataset}/runs/{variant}/seeds-{first}-{last}/models.h5",
        test="results/{dataset}/data/test.h5",
        # For the order alone: jobs of a group that could run at the same time would request the CPUs of both. Not
        # `ancient`, with which Snakemake overlooks new params of this job if the evaluation runs too.
        metrics="results/{dataset}/runs/{variant}/seeds-{first}-{last}/metrics.csv",
    output:
        "results/{dataset}/runs/{variant}/seeds-{first}-{last}/perturbed.csv",
    log:
        "logs/{dataset}/{variant}/seeds-{first}-{last}/perturb.log",
    priority: shortest_first
    threads: lambda wildcards: study.variants[wildcards.variant].keys["threads"]
    resources:
        runtime=lambda wildcards: times.evaluation_limit(
            study, layout.of_wildcards(wildcards), Path("results"), "perturb"
        ),
        mem_mb=memory,
        gpu_slot=gpu_slots,
    params:
        code=lambda wildcards: hashed("stages.perturb"),
    shell:
        "{PYTHON} -m mnist_hpc perturb --models {input.models} --data {input.test} --perturbed {output}"
        " --attempts results/state/{wildcards.dataset}/{wildcards.variant}/seeds-{wildcards.first}-{wildcards.last}.json"
        " --mem-mb {resources.mem_mb} --threads {threads} --gpu {resources.gpu_slot} --code-hash {params.code} > {log} 2>&1"
