"""Loss scaling for float16, whose smallest numbers are larger than many gradients.

P. Micikevicius et al., "Mixed Precision Training", arXiv 1710.03740. It does what Keras' LossScaleOptimizer does, but
without a branch, which on a GPU would wait for the host.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

INITIAL_SCALE = 2.0**15
# After this many steps without overflow the scale is doubled.
GROWTH_STEPS = 2000


class LossScale:
    """A factor of the loss that halves when a gradient overflows, in a step that is skipped, and grows otherwise."""

    def __init__(self) -> None:
        """Start with a scale that is high, as one that is too high falls fast."""
        self._scale = keras.Variable(INITIAL_SCALE, dtype="float32", trainable=False)
        self._steps = keras.Variable(0, dtype="int64", trainable=False)  # since the last change of the scale

    @property
    def variables(self) -> list[keras.Variable]:
        """Scale and steps since it changed, which belong to the state of a training."""
        return [self._scale, self._steps]

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """Return the loss to be differentiated."""
        return loss * self._scale

    def apply(
        self, gradients: Sequence[tf.Tensor], update: Callable[..., None], variables: Sequence[keras.Variable]
    ) -> None:
        """Call ``update`` with the gradients of the unscaled loss, unless one of them is not finite.

        ``variables`` are all that ``update`` changes.
        """
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
        before = [tf.identity(variable.value) for variable in variables]
        update(*(gradient / self._scale for gradient in gradients))
        for variable, value in zip(variables, before, strict=True):
            variable.assign(tf.where(finite, variable.value, value))
        steps = self._steps + 1
        grows = steps >= GROWTH_STEPS
        self._scale.assign(self._scale * tf.where(finite, tf.where(grows, 2.0, 1.0), 0.5))
        self._steps.assign(tf.where(finite & ~grows, steps, 0))
