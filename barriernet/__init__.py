"""Barrier functions as a differentiable layer, for any control-affine system.

A barrier h(x) >= 0 becomes rows A u >= b on the control; `solve_qp` finds the control nearest a
wish that meets them inside the limits, with exact derivatives; a `Certificate` says what is known
about it. Any fault ends in a fallback inside the limits: never in NaN, never in the wish.

    system = ControlAffineSystem(f, g)                    # dx/dt = f(x) + g(x) u
    wall = Barrier(lambda x: 1 - x[0], gains=(2.0, 3.0))  # relative degree found
    net = BarrierNet(system, [wall], Limits.between([-9, -9], [9, 9]))
    control, certificate = jax.jit(net)(state, wish)      # one, or [*batch, ...]

Barriers: `Barrier` of any relative degree, moving (`time_varying`), kept between samples too
(`sampled`, `largest_curvature`), against a declared push (`Disturbance`, `safety_depth`);
`DiscreteBarrier` for systems that move in steps; `all_of` and `any_of` for one function out of
many. Gains that are learnt: `LearnableGains`, `GainNetwork`, `positive`. The layer: `BarrierNet`,
the same as a pure function `safe_control`, `filter_control` for rows of one's own, and
`filtered_policy` around somebody else's policy.
"""

from barriernet.barrier import Barrier as Barrier
from barriernet.certificate import Cause as Cause
from barriernet.certificate import Certificate as Certificate
from barriernet.certificate import Summary as Summary
from barriernet.compose import all_of as all_of
from barriernet.compose import any_of as any_of
from barriernet.compose import composition_error as composition_error
from barriernet.compose import soft_maximum as soft_maximum
from barriernet.compose import soft_minimum as soft_minimum
from barriernet.curvature import largest_curvature as largest_curvature
from barriernet.degree import MixedDegreeError as MixedDegreeError
from barriernet.degree import find_relative_degree as find_relative_degree
from barriernet.discrete import DiscreteBarrier as DiscreteBarrier
from barriernet.discrete_system import DiscreteSystem as DiscreteSystem
from barriernet.disturbance import Disturbance as Disturbance
from barriernet.disturbance import safety_depth as safety_depth
from barriernet.errors import ModelError as ModelError
from barriernet.filter import filter_control as filter_control
from barriernet.gains import GainNetwork as GainNetwork
from barriernet.gains import LearnableGains as LearnableGains
from barriernet.gains import positive as positive
from barriernet.joint import chain_values as chain_values
from barriernet.joint import join_barriers as join_barriers
from barriernet.layer import BarrierNet as BarrierNet
from barriernet.limits import Limits as Limits
from barriernet.pure import safe_control as safe_control
from barriernet.qp import QP as QP
from barriernet.qp import Outcome as Outcome
from barriernet.qp import Solution as Solution
from barriernet.qp import describe as describe
from barriernet.qp import solve_qp as solve_qp
from barriernet.sampled import SampledData as SampledData
from barriernet.system import ControlAffineSystem as ControlAffineSystem
from barriernet.wrap import FilteredPolicy as FilteredPolicy
from barriernet.wrap import filtered_policy as filtered_policy
