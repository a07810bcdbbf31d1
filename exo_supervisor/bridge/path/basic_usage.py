"""The client of the old examples."""

from exo_supervisor.bridge import UnifiedLLMClient

__all__ = ["UnifiedLLMClient"]
