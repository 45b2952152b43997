# Fetch the raw files of each data set and convert them to HDF5.


localrules:
    fetch,
    convert,


# Not in `params`, as the place where files were found does not change the result.
SEARCH_PATH = " ".join(map(quote, study.search_path))


rule fetch:
    output:
        train_images="results/{dataset}/data/train-images-idx3-ubyte.gz",
        train_labels="results/{dataset}/data/train-labels-idx1-ubyte.gz",
        test_images="results/{dataset}/data/t10k-images-idx3-ubyte.gz",
        test_labels="results/{dataset}/data/t10k-labels-idx1-ubyte.gz",
    log:
        "logs/{dataset}/fetch.log",
    priority: 2  # a missing data set stops the run immediately
    retries: 0  # on a cluster, `retries` of the profile is meant for Slurm jobs
    params:
        code=lambda wildcards: hashed("stages.fetch"),
        entry=lambda wildcards: study.entry(wildcards.dataset),
    shell:
        "python -m mnist_hpc fetch --dataset {wildcards.dataset} --entry {params.entry:q} --search-path {SEARCH_PATH}"
        " --folder results/{wildcards.dataset}/data > {log} 2>&1"


rule convert:
    input:
        lambda wildcards: [f"results/{file}" for file in study.raw_files(wildcards.dataset)],
    output:
        train="results/{dataset}/data/train.h5",
        test="results/{dataset}/data/test.h5",
    log:
        "logs/{dataset}/convert.log",
    retries: 0  # on a cluster, `retries` of the profile is meant for Slurm jobs
    params:
        # Only the code of this data set's source matters.
        code=lambda wildcards: hashed("stages.convert", f"data.sources.{study.source(wildcards.dataset)}"),
        source=lambda wildcards: study.source(wildcards.dataset),
        entry=lambda wildcards: study.entry(wildcards.dataset),
    shell:
        "python -m mnist_hpc convert --dataset {wildcards.dataset} --source {params.source} --entry {params.entry:q}"
        " --folder results/{wildcards.dataset}/data > {log} 2>&1"
