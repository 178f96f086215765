"""Liquid policies that fly, the pilot that keeps them safe, and how both are learned."""
