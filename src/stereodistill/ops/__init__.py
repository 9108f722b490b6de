"""Pure tensor functions: no state, no files, any leading batch dimensions unless a docstring says otherwise."""
