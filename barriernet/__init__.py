"""Barrier functions as a differentiable layer, for any control-affine system."""

from barriernet.qp import QP as QP
from barriernet.qp import Outcome as Outcome
from barriernet.qp import Solution as Solution
from barriernet.qp import describe as describe
from barriernet.qp import solve_qp as solve_qp
