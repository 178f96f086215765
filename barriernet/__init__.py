"""Barrier functions as a differentiable layer, for any control-affine system.

A barrier h(x) >= 0 becomes rows A u >= b on the control; `solve_qp` finds the control nearest a
wish that meets them inside the limits, with exact derivatives; a `Certificate` says what is known
about it. Any fault ends in a fallback inside the limits: never in NaN, never in the wish.
"""

from barriernet.barrier import Barrier as Barrier
from barriernet.barrier import find_relative_degree as find_relative_degree
from barriernet.barrier import join_barriers as join_barriers
from barriernet.barrier import positive as positive
from barriernet.certificate import Certificate as Certificate
from barriernet.layer import BarrierNet as BarrierNet
from barriernet.layer import filter_control as filter_control
from barriernet.qp import QP as QP
from barriernet.qp import Outcome as Outcome
from barriernet.qp import Solution as Solution
from barriernet.qp import describe as describe
from barriernet.qp import solve_qp as solve_qp
from barriernet.system import ControlAffineSystem as ControlAffineSystem
from barriernet.system import Limits as Limits
from barriernet.system import ModelError as ModelError
