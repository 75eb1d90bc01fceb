"""What is done with alignments: applied, composed, linked to other channels, changed by hand."""
