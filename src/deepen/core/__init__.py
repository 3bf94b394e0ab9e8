"""What every package uses: errors, files and checksums, names, random numbers. It imports no other package."""
