"""Barrier functions as a differentiable layer, for any control-affine system."""
