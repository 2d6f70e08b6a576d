"""One optimizer step, and the device that it runs on."""
