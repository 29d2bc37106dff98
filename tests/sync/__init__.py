"""Tests of zenv.sync and zenv.delivery with the real connector and the simulator over real HTTP."""
