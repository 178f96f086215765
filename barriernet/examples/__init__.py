"""BarrierNet's own experiments: small networks whose wishes and gains pass through the layer.

`robot3d` learns the published flight of a double integrator past a superquadric, `robot2d` a
unicycle's way round a disc, `merging` two cars' headways at a junction. Xiao, Wang, Hasani,
Chahine, Amini, Li and Rus, "BarrierNet: Differentiable Control Barrier Functions for Learning of
Safe Robot Control", IEEE T-RO 39(3), 2023, and github.com/Weixy21/BarrierNet.
"""

from barriernet.examples.closed_loop import drive as drive
from barriernet.examples.experiment import Demonstrations as Demonstrations
from barriernet.examples.experiment import Experiment as Experiment
from barriernet.examples.experiment import answer as answer
from barriernet.examples.network import Policy as Policy
from barriernet.examples.network import PolicySize as PolicySize
from barriernet.examples.training import Recipe as Recipe
from barriernet.examples.training import train as train
