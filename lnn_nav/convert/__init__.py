"""Networks that were trained elsewhere, and ours for elsewhere: plain arrays in and out."""

from lnn_nav.convert.arrays import WeightsError as WeightsError
from lnn_nav.convert.ncps import from_ncps as from_ncps
from lnn_nav.convert.ncps import to_ncps as to_ncps
