"""Initial weights: the same for the same seed and names, whether a group is sharded or not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from topology.plan import GroupPlan, LinkPlan

Floats = NDArray[np.float32]

KINDS = ("auto", "he", "glorot")

Makes = Callable[[np.random.SeedSequence], np.random.Generator]
"""Makes the source of chance of a seed."""


def initial_weights(
    seed: int,
    pre_group: str,
    post_group: str,
    pre_size: int,
    post_size: int,
    fan_in: int,
    neuron: str,
    init: str = "auto",
    slope: float = 0.0,
    generator: Makes = np.random.default_rng,
    purpose: str = "",
) -> Floats:
    """The whole matrix between two groups, float32 (post_size, pre_size), before any sharding.

    `fan_in` counts the neurons that feed the post group over all its links, so that several links together
    give z the variance that one link of that size would. `init` is one of `KINDS`; auto is He for relu and
    leaky_relu and Glorot for the others.

    he      normal with variance 2 / ((1 + slope^2) fan_in); `slope` counts for leaky_relu only
            (He et al. 2015, arXiv:1502.01852, equations 10 and 15)
    glorot  uniform in +-sqrt(6 / (fan_in + post_size)) (Glorot and Bengio 2010, equation 16)

    The numbers depend on the seed, the two names, the `purpose` (empty for weights) and on nothing else: not on
    Python's hash, not on the other links, not on the order of construction. Raises ValueError for an unknown init.
    """
    if init not in KINDS:
        raise ValueError(f"unknown init {init!r}: one of {', '.join(KINDS)}")
    pre, post = pre_group.encode(), post_group.encode()
    # The lengths keep ("ab", "c") and ("a", "bc") apart.
    rng = generator(np.random.SeedSequence([seed, len(pre), *pre, len(post), *post, *purpose.encode()]))
    shape = (post_size, pre_size)
    if init == "he" or (init == "auto" and neuron in ("relu", "leaky_relu")):
        gain = 2.0 / (1.0 + slope**2) if neuron == "leaky_relu" else 2.0
        normal: Floats = rng.standard_normal(shape, np.float32)
        normal *= np.float32(np.sqrt(gain / fan_in))
        return normal
    uniform: Floats = rng.random(shape, np.float32)
    uniform -= np.float32(0.5)
    uniform *= np.float32(2.0 * np.sqrt(6.0 / (fan_in + post_size)))
    return uniform


def link_weights(
    group: GroupPlan, link: LinkPlan, generator: Makes = np.random.default_rng, purpose: str = ""
) -> Floats:
    """The initial weights of one link into one group process, float32 (group.size, link.n_pre).

    A process that is a shard, or is fed by one, takes its rows and columns of the whole matrix, so a sharded
    network starts exactly where the same network without shards does.
    """
    whole = initial_weights(
        group.seed,
        link.pre_group,
        group.group,
        link.pre_size,
        group.group_size,
        group.fan_in,
        group.neuron,
        group.init,
        group.slope,
        generator,
        purpose,
    )
    rows = slice(group.start, group.start + group.size)
    columns = slice(link.pre_start, link.pre_start + link.n_pre)
    return np.ascontiguousarray(whole[rows, columns])


def feedback_weights(group: GroupPlan, link: LinkPlan, generator: Makes = np.random.default_rng) -> Floats:
    """The fixed random matrix that carries errors back on a link with `feedback: random`, (group.size, link.n_pre).

    Of the same distribution as the initial weights, and independent of them (Lillicrap et al. 2016, Random synaptic
    feedback weights support error backpropagation for deep learning, Nature Communications 7:13276). It follows from
    the seed and the names, so no checkpoint holds it.
    """
    return link_weights(group, link, generator, "feedback")


def initial_bias(group: GroupPlan) -> Floats:
    """The initial bias of a group process: zeros, float32 (group.size, 1)."""
    return np.zeros((group.size, 1), np.float32)
