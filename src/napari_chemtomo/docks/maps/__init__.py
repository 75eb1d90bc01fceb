"""The dock *Element maps*."""
