"""What the product costs: each figure is measured with the product's own processes, beside something it can be held to."""
