"""Devices, memory, process groups, file locks, and the handling of SIGINT and SIGTERM."""
