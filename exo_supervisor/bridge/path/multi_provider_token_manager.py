"""The name under which the old bridge's pages ask for ai-token-manager.

No release of it has such a class: what does that is `EnhancedTokenManager`, which has to be on the
path, too; `exo-supervisor connect token-manager --write` makes Exo the first of its providers.
"""

from importlib import import_module

MultiProviderTokenManager = import_module("enhanced_multi_provider_manager").EnhancedTokenManager

__all__ = ["MultiProviderTokenManager"]
