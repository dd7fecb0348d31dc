"""What of this machine calibration, validation and real runs can rely on."""
