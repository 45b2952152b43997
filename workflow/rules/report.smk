# The pages of the HTML report that are not figures; `make report` puts everything together.
report: "../report/workflow.rst"


localrules:
    report_pages,


rule report_pages:
    input:
        [f"results/{file}" for file in figures.of_pages(study)],
    output:
        [
            report(
                f"results/{file}",
                caption=f"../report/{name}.rst",
                category=figures.LECTURE,
                labels={"page": name},
            )
            for name, file in figures.page_files(study).items()
        ],
    log:
        f"logs/{study.dataset}/report_pages.log",
    params:
        code=code_hash("figures.pages"),
        text=file_hash(Path(workflow.basedir) / "workflow" / "report" / "lecture.rst.jinja"),
    shell:
        "python -m mnist_hpc pages {STUDY} > {log} 2>&1"
