"""The closeout as an asset with its checks, and the sensor that prepares clean windows."""
