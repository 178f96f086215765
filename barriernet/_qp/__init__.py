"""Private parts of the quadratic program solver; the public door is `barriernet.qp`."""
