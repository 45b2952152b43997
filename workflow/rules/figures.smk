# Draw the study's tables.


localrules:
    draw,


rule draw:
    input:
        f"results/{study.dataset}/tables/variants.csv",
    output:
        f"results/{study.dataset}/figures/{{figure}}.svg",
    log:
        f"logs/{study.dataset}/figures/{{figure}}.log",
    params:
        code=code_hash("draw"),
    shell:
        "python -m mnist_hpc draw --variants {input} --dataset {study.dataset} --figure {wildcards.figure}"
        " --output {output} > {log} 2>&1"
