"""What is wrong with a reading: small models that compose, one kind of fault a file.

A model is a frozen dataclass with two pure functions: `begin` draws what lasts, `apply` spoils one
reading. A tuple of models is applied in its order, each with a random key of its own, so a seed
decides everything, `jax.vmap` works over keys and readings, and an empty tuple changes no bit.
"""

from sim.sensors.errors.clock import Delay as Delay
from sim.sensors.errors.clock import Jitter as Jitter
from sim.sensors.errors.loss import Dropout as Dropout
from sim.sensors.errors.loss import Sector as Sector
from sim.sensors.errors.model import ErrorModel as ErrorModel
from sim.sensors.errors.model import Models as Models
from sim.sensors.errors.model import Reading as Reading
from sim.sensors.errors.model import apply as apply
from sim.sensors.errors.model import begin as begin
from sim.sensors.errors.model import reading_of as reading_of
from sim.sensors.errors.noise import Bias as Bias
from sim.sensors.errors.noise import BiasWalk as BiasWalk
from sim.sensors.errors.noise import RelativeNoise as RelativeNoise
from sim.sensors.errors.noise import WhiteNoise as WhiteNoise
from sim.sensors.errors.steps import Quantisation as Quantisation
