"""The dock *Reconstruct*."""
