"""Exo nodes of every generation and clouds, as real HTTP servers with switchable diseases."""

from exo_supervisor.demo.answers import text
from exo_supervisor.demo.cloud import Cloud
from exo_supervisor.demo.cluster import ExoCluster, Generation
from exo_supervisor.demo.diseases import HEALTHY, NAMES, Disease
from exo_supervisor.demo.local import Local
from exo_supervisor.demo.messages_cloud import MessagesCloud
from exo_supervisor.demo.node import ExoNode

__all__ = [
    "HEALTHY",
    "NAMES",
    "Cloud",
    "Disease",
    "ExoCluster",
    "ExoNode",
    "Generation",
    "Local",
    "MessagesCloud",
    "text",
]
