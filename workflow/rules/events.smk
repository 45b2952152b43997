# Messages of the main process when a run starts and ends.
import time

from snakemake.logging import logger

from mnist_hpc import preload
from mnist_hpc.files.provenance import now
from mnist_hpc.plugins import events

RUN_STARTED = time.time(), now()


onstart:
    if workflow.is_main_process:
        for stage in preload.STAGES:
            hashed(f"stages.{stage}")  # before anybody edits the code that its server has imported
        logger.info(events.outdated(study, Path("results")))
        logger.info(events.planned(study, Path("results")))


onsuccess:
    if workflow.is_main_process:
        logger.info(events.best(study, Path("results"), RUN_STARTED[0]))


onerror:
    if workflow.is_main_process:
        logger.info(events.interrupted(study, Path("results"), RUN_STARTED[1]))
