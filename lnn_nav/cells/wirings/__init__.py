"""Ways to wire neurons, one a file; the same tables as `ncps` at the same seed."""

from lnn_nav.cells.wirings.full import fully_connected as fully_connected
from lnn_nav.cells.wirings.ncp import auto_ncp as auto_ncp
from lnn_nav.cells.wirings.ncp import ncp as ncp
from lnn_nav.cells.wirings.sparse import random_wiring as random_wiring
