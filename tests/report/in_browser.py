"""What tests of the report's JavaScript share: a net in a browser and in Keras, and a study on the digits."""

import numpy as np

from conftest import ROOT, call
from mnist_hpc.files.code_hash import code_hash
from mnist_hpc.report import drawing
from mnist_hpc.report.scripts import joined
from mnist_hpc.study.specification import Study

# Largest difference of a probability from that of the float32 model. It is the promise; 2e-4 is what is found.
TOLERANCE = 1e-3


def loaded(browser):
    """Return an empty page in which the functions of the modules are global."""
    page = browser.new_page()
    names = "decoded, probabilities, centred, coarse"
    page.add_script_tag(type="module", content=f"{joined(drawing.SCRIPTS)}\nObject.assign(window, {{ {names} }})")
    page.wait_for_function("() => Boolean(window.decoded)")
    return page


def read_by_browser(net, model, images):
    """Return the outputs of an exported model for uint8 images (N, 28, 28)."""
    rows = net.evaluate(
        """([model, images]) => {
            const made = decoded(model);
            return images.map(image => [...probabilities(made, Float32Array.from(image, grey => grey / 255))]);
        }""",
        [model, images.reshape(len(images), -1).tolist()],
    )
    return np.array(rows)


def read_by_keras(model, loss, images):
    from mnist_hpc.training import models

    return models.predictor(model, loss)(images)[1].numpy()


def trained(results, data, dataset, variants, **changes):
    """Train and evaluate variants of the shipped study, one seed each, and return the study."""
    study = Study.read(ROOT / "config.yaml", {"dataset": dataset, "max_seeds": 1} | changes)
    for name in variants:
        (block,) = study.blocks_of(name)
        models, history, metrics, predictions = (results / file for file in block.files)
        models.parent.mkdir(parents=True)
        done = call(
            *("train", "--data", data / "train.h5", "--variant", name, "--seeds", "0-0"),
            *("--specification", study.variants[name].json, "--models", models, "--history", history),
            *("--code-hash", code_hash("stages.train")),
        )
        assert done.returncode == 0, done.stderr
        done = call(
            *("evaluate", "--models", models, "--data", data / "test.h5"),
            *("--metrics", metrics, "--predictions", predictions, "--code-hash", code_hash("stages.evaluate")),
        )
        assert done.returncode == 0, done.stderr
    return study
