"""Air that does not move steadily: Dryden gusts, and a wind that sways; one model a file.

Each model gives the air's velocity at every tick of a flight as one array, from random numbers
alone: the same seed is the same wind in every engine, whoever flies in it.
"""

from sim.wind.air import air_of as air_of
from sim.wind.average import moving_average as moving_average
from sim.wind.dryden import Dryden as Dryden
from sim.wind.dryden import dryden as dryden
from sim.wind.dryden import dryden_low_altitude as dryden_low_altitude
