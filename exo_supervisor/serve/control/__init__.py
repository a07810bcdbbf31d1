"""What is answered here instead of being sent on: models, health, views and orders.

`routes` finds who answers a path, and `plain` how; `authority` says who may give orders, of which
`trusting` takes those that trust a node, `orders` those of models, `token_orders` those of tokens.
"""
