"""Liquid cells and their baselines, behind one protocol: `cell(memory, input, dt)`."""

from lnn_nav.cells.build import CELLS as CELLS
from lnn_nav.cells.build import build_cell as build_cell
from lnn_nav.cells.build import neurons_within as neurons_within
from lnn_nav.cells.cfc import CfC as CfC
from lnn_nav.cells.cfc import lecun_tanh as lecun_tanh
from lnn_nav.cells.ltc import LTC as LTC
from lnn_nav.cells.mixed import MixedMemory as MixedMemory
from lnn_nav.cells.projected import Projected as Projected
from lnn_nav.cells.protocol import Cell as Cell
from lnn_nav.cells.recurrent import GRU as GRU
from lnn_nav.cells.recurrent import LSTM as LSTM
from lnn_nav.cells.recurrent import MLP as MLP
from lnn_nav.cells.sequence import SequenceError as SequenceError
from lnn_nav.cells.sequence import unroll as unroll
from lnn_nav.cells.wired_cfc import WiredCfC as WiredCfC
from lnn_nav.cells.wired_ltc import WiredLTC as WiredLTC
from lnn_nav.cells.wiring import Wiring as Wiring
