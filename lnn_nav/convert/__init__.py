"""Networks that were trained elsewhere, and ours for elsewhere: plain arrays in and out."""

from lnn_nav.convert.arrays import WeightsError as WeightsError
from lnn_nav.convert.drone_causality import from_drone_causality as from_drone_causality
from lnn_nav.convert.drone_network import DroneNetwork as DroneNetwork
from lnn_nav.convert.drone_network import FrameError as FrameError
from lnn_nav.convert.ncps import from_ncps as from_ncps
from lnn_nav.convert.ncps import to_ncps as to_ncps
from lnn_nav.convert.ncps_keras import from_ncps_keras as from_ncps_keras
