"""Exo nodes of every generation and a cloud, as real HTTP servers with switchable diseases."""

from exo_supervisor.demo.answers import text
from exo_supervisor.demo.cloud import Cloud
from exo_supervisor.demo.cluster import ExoCluster, Generation
from exo_supervisor.demo.diseases import HEALTHY, NAMES, Disease
from exo_supervisor.demo.node import ExoNode

__all__ = ["HEALTHY", "NAMES", "Cloud", "Disease", "ExoCluster", "ExoNode", "Generation", "text"]
