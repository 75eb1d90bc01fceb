"""Classical methods: data and settings become their iterations."""
