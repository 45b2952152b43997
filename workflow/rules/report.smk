# Write the pages of the HTML report that are not figures; `make report` puts the report together.
HOME = Path("results", figures.home_file(study)).absolute()


localrules:
    report_pages,


rule report_pages:
    input:
        [f"results/{file}" for file in figures.of_pages(study)],
    output:
        f"results/{figures.home_file(study)}",
        [
            report(
                f"results/{file}",
                caption=f"../report/{name}.rst",
                category=figures.LECTURE,
                labels={"": name},
            )
            for name, file in figures.page_files(study).items()
        ],
    log:
        f"logs/{study.dataset}/report_pages.log",
    retries: 0  # on a cluster, `retries` of the profile is meant for Slurm jobs
    params:
        code=code_hash("stages.report", files=Path(workflow.basedir, "workflow", "report").glob("*.jinja")),
    shell:
        "python -m mnist_hpc report {STUDY} > {log} 2>&1"


# The first page of the report, which the rule above writes.
if HOME.exists():

    report: str(HOME)
