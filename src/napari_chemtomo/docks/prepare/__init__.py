"""The dock *Prepare*."""
