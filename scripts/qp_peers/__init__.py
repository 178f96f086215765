"""The solvers that `scripts/bench_qp.py` puts side by side, one peer a file."""

from qp_peers.peer import Answers as Answers
from qp_peers.peer import Peer as Peer


def all_peers() -> tuple[Peer, ...]:
    """One of each, ours first; none has imported its library yet."""
    from qp_peers.cvxpylayers_clarabel import ClarabelLayer
    from qp_peers.cvxpylayers_osqp import OSQPLayer
    from qp_peers.daqp_loop import DAQP, DAQPSoft
    from qp_peers.moreau_solver import MoreauJax, MoreauNumpy
    from qp_peers.ours import Ours
    from qp_peers.proxsuite_solver import ProxQP, ProxQPLayer
    from qp_peers.qpax_solver import Qpax
    from qp_peers.qpth_layer import Qpth
    from qp_peers.quadprog_loop import Quadprog

    kinds = (Ours, Qpax, MoreauJax, MoreauNumpy, DAQP, DAQPSoft, Quadprog)
    layers = (Qpth, ProxQP, ProxQPLayer, ClarabelLayer, OSQPLayer)
    return tuple(kind() for kind in (*kinds, *layers))
