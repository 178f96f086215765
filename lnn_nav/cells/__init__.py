"""Liquid cells and their baselines, behind one protocol: `cell(memory, input, dt)`."""

from lnn_nav.cells._ode import Integration as Integration
from lnn_nav.cells._ode import LiquidExtraError as LiquidExtraError
from lnn_nav.cells.build import CELLS as CELLS
from lnn_nav.cells.build import build_cell as build_cell
from lnn_nav.cells.build import neurons_within as neurons_within
from lnn_nav.cells.cfc import CfC as CfC
from lnn_nav.cells.cfc import lecun_tanh as lecun_tanh
from lnn_nav.cells.ct_rnn import CTRNN as CTRNN
from lnn_nav.cells.gru_ode import GRUODE as GRUODE
from lnn_nav.cells.ltc import LTC as LTC
from lnn_nav.cells.mixed import MixedMemory as MixedMemory
from lnn_nav.cells.ode_ltc import ODELTC as ODELTC
from lnn_nav.cells.ode_rnn import ODERNN as ODERNN
from lnn_nav.cells.projected import Projected as Projected
from lnn_nav.cells.protocol import Cell as Cell
from lnn_nav.cells.recurrent import GRU as GRU
from lnn_nav.cells.recurrent import LSTM as LSTM
from lnn_nav.cells.recurrent import MLP as MLP
from lnn_nav.cells.reservoir import Reservoir as Reservoir
from lnn_nav.cells.reservoir import ridge as ridge
from lnn_nav.cells.sequence import SequenceError as SequenceError
from lnn_nav.cells.sequence import unroll as unroll
from lnn_nav.cells.tcn import TCN as TCN
from lnn_nav.cells.wired_cfc import WiredCfC as WiredCfC
from lnn_nav.cells.wired_ltc import WiredLTC as WiredLTC
from lnn_nav.cells.wiring import Wiring as Wiring
