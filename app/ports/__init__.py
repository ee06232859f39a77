"""What the use-cases need of the outside, as small typed protocols. A connector implements one of them."""
