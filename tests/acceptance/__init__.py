"""What somebody from outside tries first, through the command line and the Python API alone."""
