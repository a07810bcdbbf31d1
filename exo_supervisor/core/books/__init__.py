"""What requests cost: prices in whole numbers, and which of them holds for a model on a day."""
